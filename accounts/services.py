"""What changes an account, or proves whose it is."""

import logging

from django.contrib.auth import authenticate
from django.contrib.auth.models import update_last_login
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from accounts.models import User
from accounts.tokens import TokenPair, end_all_families, issue_tokens
from cryptopredict.rest import shared
from cryptopredict.rest.throttling import use_sign_in

logger = logging.getLogger(__name__)


class SignInRefused(Exception):
    """The address or the password is wrong, or the account is not active; which of them is not told."""


class TooManyTries(Exception):
    """The limit of tries is used up for `wait_seconds` more."""

    def __init__(self, wait_seconds: int) -> None:
        super().__init__(f"Too many tries. Try again in {wait_seconds} seconds.")
        self.wait_seconds = wait_seconds


class SignInUnavailable(Exception):
    """Tries cannot be counted just now, so none is allowed."""


@sensitive_variables("password")
def register_user(*, email: str, password: str, name: str = "") -> None:
    """Creates an account, or does nothing when the address has one: the caller cannot tell which.

    Both ways hash the password once, so that they take the same time. `password` was checked against the rules.
    """
    try:
        user = User.objects.create_user(email, password, name=name)
    except (IntegrityError, ValidationError):
        if not User.objects.filter(email__iexact=email.strip()).exists():
            raise
        logger.info("A registration for an address that has an account was ignored")
    else:
        logger.info("User %s registered", user.pk)


@sensitive_variables("password")
def check_credentials(*, request: HttpRequest, email: str, password: str) -> User:
    """The active user whose address and password these are; page, admin and API count their tries together here.

    Raises SignInRefused, TooManyTries (before any password is hashed) or SignInUnavailable.
    """
    try:
        allowance = use_sign_in(request, email)
    except shared.CACHE_ERRORS as error:
        logger.error("Sign-ins are refused, the cache does not answer: %s", error)
        raise SignInUnavailable("Sign-in is not possible just now. Try again shortly.") from error
    if not allowance.is_allowed:
        raise TooManyTries(allowance.reset_seconds)
    user = authenticate(request, username=email.strip(), password=password)
    if user is None:
        raise SignInRefused("The e-mail address or the password is wrong.")
    return user


@sensitive_variables("password")
def obtain_tokens(*, request: HttpRequest, email: str, password: str) -> TokenPair:
    """Signs a client of the API in; raises as `check_credentials` does."""
    user = check_credentials(request=request, email=email, password=password)
    update_last_login(None, user)  # type: ignore[arg-type]  # the signal's sender, which is not used
    return issue_tokens(user)


@sensitive_variables("new_password")
def change_password(*, user: User, new_password: str) -> None:
    """Sets a password that was checked against the rules; all sessions and refresh tokens end."""
    user.set_password(new_password)
    with transaction.atomic():
        user.save(update_fields=["password"])
        end_all_families(user)
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
                end_all_families(user)
    return len(changed)
