"""A person who signs in with an e-mail address, the places it was done from, and the tokens of their programs."""

import secrets
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Any, ClassVar
from zoneinfo import available_timezones

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models.functions import Lower
from django.utils import timezone


@cache
def time_zone_names() -> frozenset[str]:
    """The names of the IANA database; read once, because it means to open hundreds of files."""
    return frozenset(available_timezones())


def validate_time_zone(name: str) -> None:
    if name not in time_zone_names():
        raise ValidationError(f"{name} is not a time zone; a name such as Europe/Berlin is expected.", code="time_zone")


class UserManager(BaseUserManager["User"]):
    """Creates users; addresses are compared without regard to case."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        if not email:
            raise ValueError("A user needs an e-mail address.")
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.full_clean(exclude=["password"])
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Creates staff by hand of whoever runs the site, so the address needs no confirmation."""
        from allauth.account.models import EmailAddress

        with transaction.atomic():
            user = self.create_user(email, password, **{**fields, "is_staff": True, "is_superuser": True})
            EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
        return user

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email__iexact=(username or "").strip())


class User(AbstractBaseUser, PermissionsMixin):
    """An account; the e-mail address is its name."""

    class Theme(models.TextChoices):
        SYSTEM = "system", "As the system"
        LIGHT = "light", "Light"
        DARK = "dark", "Dark"

    email = models.EmailField("e-mail address", max_length=254, unique=True)
    name = models.CharField(max_length=100, blank=True)
    language = models.CharField(max_length=5, default="en", choices=[("en", "English")])
    currency = models.CharField(max_length=3, default="usd", choices=[("usd", "US dollar")])
    time_zone = models.CharField(max_length=50, default="UTC", validators=[validate_time_zone])
    theme = models.CharField(max_length=6, default=Theme.SYSTEM, choices=Theme.choices)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField("staff", default=False)
    joined_at = models.DateTimeField(default=timezone.now, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        ordering = ("-joined_at", "id")
        constraints = (
            models.UniqueConstraint(
                Lower("email"),
                name="user_email_unique",
                violation_error_message="There is an account with this e-mail address already.",
            ),
        )

    def __str__(self) -> str:
        return self.email

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Saves; wherever a password is changed, by a page, the admin or a command, its API tokens end with it."""
        is_new_password = getattr(self, "_password", None) is not None and self.pk is not None
        with transaction.atomic():
            super().save(*args, **kwargs)
            if is_new_password:
                self.api_tokens.filter(revoked_at__isnull=True).update(revoked_at=timezone.now())

    @property
    def short_name(self) -> str:
        return self.name or self.email.partition("@")[0]


class KnownAddress(models.Model):
    """A network address that a user signed in from: attacks from elsewhere do not shut it out."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="known_addresses")
    address = models.CharField(max_length=50)
    used_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name_plural = "known addresses"
        constraints = (models.UniqueConstraint(fields=["user", "address"], name="address_known_once"),)

    def __str__(self) -> str:
        return self.address


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    """Chains of API tokens."""

    def of(self, user: Any) -> "ApiTokenQuerySet":
        return self.filter(user=user)

    def usable(self, now: datetime | None = None) -> "ApiTokenQuerySet":
        """Those that are neither revoked nor expired, of people who may sign in."""
        moment = now or timezone.now()
        lasting = models.Q(expires_at__isnull=True) | models.Q(expires_at__gt=moment)
        return self.filter(lasting, revoked_at__isnull=True, user__is_active=True)

    def with_secret(self, secret: str) -> "ApiTokenQuerySet":
        return self.filter(digest=ApiToken.digest_of(secret))


class ApiToken(models.Model):
    """A key for a program of one user's: shown once, kept as a hash, good for its scopes only."""

    class Scope(models.TextChoices):
        READ = "read", "Read"
        WRITE = "write", "Write the trade log: portfolios, transactions, watchlist, alerts"
        STAFF = "staff", "Staff endpoints"

    PREFIX = "cpt_"
    SHOWN = 10  # characters that tell one token from another in a list
    LAST_USE_EVERY = timedelta(minutes=1)

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=60)
    start = models.CharField(max_length=SHOWN, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        verbose_name = "API token"

    def __str__(self) -> str:
        return f"{self.name} ({self.start}…)"

    @classmethod
    def draw_secret(cls) -> str:
        """A new secret of 256 random bits."""
        return cls.PREFIX + secrets.token_urlsafe(32)

    @staticmethod
    def digest_of(secret: str) -> str:
        """What is kept of a secret; it is random and long, so one plain SHA-256 is enough."""
        return sha256(secret.encode()).hexdigest()

    @property
    def state(self) -> str:
        if self.revoked_at:
            return "revoked"
        return "expired" if self.expires_at and self.expires_at <= timezone.now() else "active"
