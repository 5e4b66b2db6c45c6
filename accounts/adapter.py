"""What django-allauth asks of this site: whose password it is, what a mail says, how secrets are kept."""

import logging
from base64 import urlsafe_b64encode
from smtplib import SMTPException
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.urls import reverse
from django.utils.crypto import salted_hmac

from accounts.models import User
from cryptopredict.rest import shared
from cryptopredict.rest.throttling import remote_address, use_mail

logger = logging.getLogger(__name__)

# Mails that somebody who is not signed in can cause: so many and no more go to one address.
CAUSED_BY_ANYBODY = frozenset(
    f"account/email/{name}"
    for name in (
        "email_confirmation",
        "email_confirmation_signup",
        "account_already_exists",
        "unknown_account",
        "password_reset_key",
    )
)


def display_name(user: User) -> str:
    return user.short_name


class AccountAdapter(DefaultAccountAdapter):
    """Sign-ins and mails of the account pages."""

    def authenticate(self, request: HttpRequest, **credentials: Any) -> User | None:
        """Checks a password under the limit that page, admin and API share."""
        from accounts import services  # services send mail through this adapter

        email, password = str(credentials.get("email", "")), str(credentials.get("password", ""))
        try:
            return services.check_credentials(request=request, email=email, password=password)
        except services.SignInRefused:
            return None
        except services.TooManyTries as problem:
            raise ValidationError(str(problem), code="throttled", params={"wait": problem.wait_seconds}) from None
        except services.SignInUnavailable as problem:
            raise ValidationError(str(problem), code="unavailable") from None

    def reauthenticate(self, user: User, password: str) -> bool:
        return self.authenticate(self.request, email=user.email, password=password) is not None

    def set_password(self, user: User, password: str) -> None:
        from accounts import services

        services.change_password(user=user, new_password=password)

    def confirm_email(self, request: HttpRequest, email_address: Any) -> bool:
        from accounts import addresses

        if addresses.confirm_address(request=request, address=email_address):
            messages.success(request, f"{email_address.email} is confirmed.")
            return True
        messages.error(request, "This address cannot be confirmed: it belongs to another account.")
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        return str(remote_address(request) or "0.0.0.0")

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        return reverse("account")

    def is_ajax(self, request: HttpRequest) -> bool:
        """Only the passkey script asks for JSON, by its Accept header; forms answer with pages."""
        return bool(request.META.get("HTTP_ACCEPT") == "application/json")

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Sends a mail; one that cannot be sent is logged, and the page says the same as ever."""
        try:
            if template_prefix in CAUSED_BY_ANYBODY and not use_mail(email).is_allowed:
                logger.warning("No more mails to this address for now: %s was not sent", template_prefix)
                return
            super().send_mail(template_prefix, email, context)
        except (SMTPException, *shared.CACHE_ERRORS) as error:
            logger.error("%s could not be sent: %s", template_prefix, error)


class SecondFactorAdapter(DefaultMFAAdapter):
    """Keeps the secrets of authenticator apps and recovery codes encrypted under SECRET_KEY."""

    def encrypt(self, text: str) -> str:
        return str(self.cipher().encrypt(text.encode()).decode())

    def decrypt(self, encrypted_text: str) -> str:
        return str(self.cipher().decrypt(encrypted_text.encode()).decode())

    def generate_authenticator_name(self, user: User, type: Any) -> str:
        return f"Passkey {Authenticator.objects.filter(user=user, type=type).count() + 1}"

    @staticmethod
    def cipher() -> MultiFernet:
        keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
        digests = (salted_hmac("accounts.second_factor", "", secret=key, algorithm="sha256").digest() for key in keys)
        return MultiFernet([Fernet(urlsafe_b64encode(digest)) for digest in digests])
