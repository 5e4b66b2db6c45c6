"""People, rates and second factors for the tests of accounts."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from django.core import mail
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import ApiToken, User
from accounts.services import create_api_token

PASSWORD = "correct horse battery"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


@pytest.fixture
def alice(db: None) -> User:
    return User.objects.create_user("alice@example.com", PASSWORD, name="Alice")


@pytest.fixture
def bob(db: None) -> User:
    return User.objects.create_user("bob@example.com", PASSWORD, name="Bob")


@pytest.fixture
def api() -> APIClient:
    return APIClient()


@pytest.fixture
def rate(settings: Settings) -> Callable[..., None]:
    """Sets rates by their scope, `sign_in` for sign-in."""

    def set_rates(**rates: str) -> None:
        named = {scope.replace("_", "-"): value for scope, value in rates.items()}
        known = {**settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"], **named}
        settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": known}

    return set_rates


@pytest.fixture
def three_tries(rate: Callable[..., None]) -> None:
    rate(sign_in="3/hour")


@pytest.fixture
def mail_needed(settings: Settings) -> None:
    """As with a mail server: an address is confirmed before its owner can sign in."""
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"


@pytest.fixture
def guarded(alice: User) -> User:
    """Alice with an authenticator app and recovery codes."""
    totp.TOTP.activate(alice, SECRET)
    RecoveryCodes.activate(alice)
    return alice


def app_code(step: int = 0) -> str:
    """What the app shows now, or some steps from now; each code is good once."""
    counters = list(totp.yield_hotp_counters_from_time())
    return totp.format_hotp_value(totp.hotp_value(SECRET, counters[len(counters) // 2] + step))


def recovery_codes(user: User) -> list[str]:
    return list(user.authenticator_set.get(type="recovery_codes").wrap().get_unused_codes())  # type: ignore[attr-defined]


def mailed_link(number: int = -1) -> str:
    """The path of the link in a mail of the outbox."""
    found = re.search(r"https?://[^/\s]+(/\S+)", str(mail.outbox[number].body))
    assert found, mail.outbox[number].body
    return found[1]


def mailed_key(number: int = -1) -> str:
    return mailed_link(number).rstrip("/").rpartition("/")[2]


def with_token(user: User, *scopes: str, **more: Any) -> tuple[APIClient, ApiToken]:
    """A program that sends an API token of the user's, and that token."""
    token, secret = create_api_token(user=user, name="script", scopes=scopes, **more)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    return client, token
