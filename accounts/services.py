"""What changes an account, or proves whose it is."""

import logging
from collections.abc import Sequence
from datetime import datetime

from allauth.account.adapter import get_adapter
from allauth.account.utils import url_str_to_user_pk, user_pk_to_url_str
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.models import update_last_login
from django.contrib.auth.tokens import default_token_generator
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from accounts import addresses, mailer, places, second_factor
from accounts.hashing import TooBusy
from accounts.models import ApiToken, User
from accounts.tokens import TokenPair, end_all_families, issue_tokens
from cryptopredict.rest import shared
from cryptopredict.rest.throttling import use_sign_in

logger = logging.getLogger(__name__)

MAX_API_TOKENS = 50


class SignInRefused(Exception):
    """The address or the password is wrong, or the account is not active; which of them is not told."""


class TooManyTries(Exception):
    """The limit of tries is used up for `wait_seconds` more."""

    def __init__(self, wait_seconds: int) -> None:
        super().__init__(f"Too many tries. Try again in {wait_seconds} seconds.")
        self.wait_seconds = wait_seconds


class SignInUnavailable(Exception):
    """Tries cannot be counted just now, or too many passwords wait to be hashed: none more is allowed."""


class CodeRequired(Exception):
    """The password is right; a code of the second factor is needed too."""


class CodeRefused(Exception):
    """The code of the second factor is wrong or was used."""


class NotConfirmed(Exception):
    """The password is right, and the address waits to be confirmed."""


@sensitive_variables("password")
def register_user(*, request: HttpRequest, email: str, password: str, name: str = "") -> None:
    """Creates an account, or does nothing when the address has one: the caller cannot tell which.

    Both ways hash the password once and send one mail beside the request, so that they take the same time.
    `password` was checked against the rules.
    """
    try:
        with transaction.atomic():
            user = User.objects.create_user(email, password, name=name)
    except (IntegrityError, ValidationError):
        if not User.objects.filter(email__iexact=email.strip()).exists():
            raise
        mailer.do_beside(request, lambda: addresses.send_account_exists(request=request, email=email.strip()))
        logger.info("A registration for an address that has an account was ignored")
    else:
        mailer.do_beside(request, lambda: addresses.send_confirmation(request=request, user=user, is_new=True))
        logger.info("User %s registered", user.pk)


def count_try(*, request: HttpRequest, account: str, email: str) -> None:
    """Counts one try at an account's password or code. Raises TooManyTries or SignInUnavailable."""
    try:
        allowance = use_sign_in(request, account, is_known=places.is_known(request, email))
    except shared.CACHE_ERRORS as error:
        logger.error("Sign-ins are refused, the cache does not answer: %s", error)
        raise SignInUnavailable("Sign-in is not possible just now. Try again shortly.") from error
    if not allowance.is_allowed:
        raise TooManyTries(allowance.reset_seconds)


@sensitive_variables("password")
def check_credentials(*, request: HttpRequest, email: str, password: str) -> User:
    """The active user whose address and password these are; page, admin and API count their tries together here.

    Raises SignInRefused, TooManyTries (before any password is hashed) or SignInUnavailable.
    """
    count_try(request=request, account=email, email=email)
    try:
        user = authenticate(request, username=email.strip(), password=password)
    except TooBusy as error:
        raise SignInUnavailable(str(error.detail)) from error
    if user is None:
        raise SignInRefused("The e-mail address or the password is wrong.")
    return user


@sensitive_variables("code")
def check_code(*, request: HttpRequest, user: User, code: str) -> Authenticator:
    """Uses up a code of the user's second factor, counted like passwords but for itself.

    Raises CodeRefused, TooManyTries or SignInUnavailable.
    """
    count_try(request=request, account=f"code of {user.pk}", email=user.email)
    try:
        authenticator = second_factor.use_code(user, code)
    except shared.CACHE_ERRORS as error:
        logger.error("Codes are refused, the cache does not answer: %s", error)
        raise SignInUnavailable("Sign-in is not possible just now. Try again shortly.") from error
    if authenticator is None:
        logger.warning("User %s: a wrong code for the second factor", user.pk)
        raise CodeRefused("This code is wrong or was used already.")
    return authenticator


@sensitive_variables("password", "otp")
def obtain_tokens(*, request: HttpRequest, email: str, password: str, otp: str = "") -> TokenPair:
    """Signs a client of the API in; raises as `check_credentials` does, and NotConfirmed, CodeRequired, CodeRefused."""
    user = check_credentials(request=request, email=email, password=password)
    if settings.ACCOUNT_EMAIL_VERIFICATION == "mandatory" and not addresses.is_confirmed(user):
        addresses.send_confirmation(request=request, user=user)
        raise NotConfirmed("Confirm your address first: the link was mailed to you again.")
    if second_factor.has_second_factor(user):
        if not otp:
            raise CodeRequired("Send a code of your authenticator app, or a recovery code, as otp.")
        check_code(request=request, user=user, code=otp)
    places.remember_address(request, user)
    update_last_login(None, user)  # type: ignore[arg-type]  # the signal's sender, which is not used
    return issue_tokens(user)


def request_password_reset(*, request: HttpRequest, email: str) -> None:
    """Mails a link that sets a new password; to an address without an account goes a mail that says so.

    Everything that depends on whether there is one is done beside the request.
    """
    mailer.do_beside(request, lambda: mail_reset_link(request, email.strip().lower()))


def mail_reset_link(request: HttpRequest, email: str) -> None:
    user = User.objects.filter(email=email, is_active=True).first()
    if user is None:
        addresses.send_unknown_account(request=request, email=email)
        return
    adapter = get_adapter(request)
    key = f"{user_pk_to_url_str(user)}-{default_token_generator.make_token(user)}"
    context = {"user": user, "password_reset_url": adapter.get_reset_password_from_key_url(key)}
    adapter.send_password_reset_mail(user, user.email, context)


def user_of_reset_key(key: str) -> User | None:
    """The active user whom a mailed key lets set a password; None when it is forged, old or used."""
    encoded, _, token = key.partition("-")
    try:
        user = User.objects.filter(pk=int(url_str_to_user_pk(encoded)), is_active=True).first()
    except (ValueError, ValidationError, OverflowError):
        return None
    return user if user is not None and default_token_generator.check_token(user, token) else None


@sensitive_variables("new_password")
def reset_password(*, request: HttpRequest, key: str, new_password: str) -> User:
    """Sets a password for who holds the mailed key, which is used up by this; raises SignInRefused for a bad one."""
    with transaction.atomic():
        found = user_of_reset_key(key)
        if found is not None:
            User.objects.select_for_update().get(pk=found.pk)
        user = user_of_reset_key(key)  # read anew under the lock: of two uses at once the second finds it used
        if user is None:
            raise SignInRefused("This link is not good any more: it was used, or it is too old.")
        change_password(user=user, new_password=new_password)
        addresses.mark_confirmed(user)
        places.remember_address(request, user)
    get_adapter(request).send_notification_mail("account/email/password_reset", user)
    return user


@sensitive_variables("new_password")
def change_password(*, user: User, new_password: str) -> None:
    """Sets a password that was checked against the rules; all sessions, refresh tokens and API tokens end."""
    user.set_password(new_password)
    with transaction.atomic():
        user.save(update_fields=["password"])
        end_all_tokens(user)
    logger.info("User %s changed the password", user.pk)


def delete_account(*, user: User) -> None:
    """Erases an account with all that belongs to it."""
    user_id = user.pk
    with transaction.atomic():
        OutstandingToken.objects.filter(user=user).delete()
        user.delete()
    logger.info("User %s deleted the account", user_id)


def set_active(*, users: QuerySet[User], is_active: bool) -> int:
    """Lets people sign in, or keeps them out at once with all their sessions and tokens; how many it changed."""
    with transaction.atomic():
        changed = list(users.filter(is_active=not is_active))
        User.objects.filter(pk__in=[user.pk for user in changed]).update(is_active=is_active)
        if not is_active:
            for user in changed:
                end_all_tokens(user)
    return len(changed)


def end_all_tokens(user: User) -> None:
    """Makes every refresh token and every API token of a user useless."""
    with transaction.atomic():
        end_all_families(user)
        ApiToken.objects.of(user).filter(revoked_at__isnull=True).update(revoked_at=timezone.now())


def create_api_token(
    *, user: User, name: str, scopes: Sequence[str], expires_at: datetime | None = None
) -> tuple[ApiToken, str]:
    """A token for a program of the user's, and its secret, which nobody can read again.

    Raises ValidationError when the user has too many, or no right to the scopes.
    """
    if ApiToken.Scope.STAFF in scopes and not user.is_staff:
        raise ValidationError({"scopes": ValidationError("This scope is for staff.", code="not_staff")})
    secret = ApiToken.draw_secret()
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        if ApiToken.objects.of(user).usable().count() >= MAX_API_TOKENS:
            problem = f"{MAX_API_TOKENS} tokens are the most that one account has: revoke one first."
            raise ValidationError(problem, code="too_many")
        token = ApiToken.objects.create(
            user=user,
            name=name,
            start=secret[: ApiToken.SHOWN],
            digest=ApiToken.digest_of(secret),
            scopes=[scope for scope in ApiToken.Scope.values if scope in scopes],
            expires_at=expires_at,
        )
    logger.info("User %s created the API token %s", user.pk, token.pk)
    return token, secret


def revoke_api_token(token: ApiToken) -> None:
    """Makes a token useless at once and for ever; doing it again changes nothing."""
    if ApiToken.objects.filter(pk=token.pk, revoked_at__isnull=True).update(revoked_at=timezone.now()):
        logger.info("User %s revoked the API token %s", token.user_id, token.pk)
