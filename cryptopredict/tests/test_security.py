"""What every page and every process owes: headers, closed doors, keys that are not guessed, logs without secrets."""

import logging
import re
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from django.conf import settings as real
from django.core.checks import run_checks
from django.test import Client
from django.urls import get_resolver
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import User
from accounts.tokens import issue_tokens
from cryptopredict.operations.checks import STARTUP, refuse_unsafe_start
from cryptopredict.operations.logs import MaskingFormatter, mask

PASSWORD = "correct horse battery"
GOOD = {"SECRET_KEY": "k9-" + "abcdefghijklmnop" * 4, "JWT_SIGNING_KEY": "j7-" + "qrstuvwxyzabcdef" * 4}


@pytest.fixture
def root(db: None) -> User:
    return User.objects.create_superuser("root@example.com", PASSWORD)


def admin_pages(resolver: Any = None, prefix: str = "/") -> Iterator[str]:
    """Every list and every form for a new row in the admin."""
    for pattern in (resolver or get_resolver()).url_patterns:
        route = prefix + str(pattern.pattern)
        if hasattr(pattern, "url_patterns"):
            yield from admin_pages(pattern, route)
        elif route.startswith("/admin/") and re.search(r"_(changelist|add)$", pattern.name or ""):
            yield route


def assert_no_script_but_ours(answer: Any, path: str) -> None:
    policy = answer["Content-Security-Policy"]
    scripts = re.search(r"script-src ([^;]+)", policy)
    assert scripts, path
    assert scripts[1] == "'self'", path
    page = answer.content.decode()
    inline = re.findall(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)[^>]*>", page)
    assert inline == [], (path, inline)
    assert not re.search(r"\son(click|load|submit|change)=", page), path
    assert "javascript:" not in page, path


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/sign-in/",
        "/sign-up/",
        "/account/reset/",
        "/account/confirm-email/",
        "/status/",
        "/method/",
        "/api/docs/",
        "/api/redoc/",
    ],
)
@pytest.mark.django_db
def test_a_public_page_runs_no_script_but_our_files(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert_no_script_but_ours(answer, path)
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "same-origin"
    assert "camera=()" in answer["Permissions-Policy"]


def test_every_admin_page_opens_and_runs_no_script_but_our_files(client: Client, root: User) -> None:
    client.force_login(root)
    pages = ["/admin/", f"/admin/accounts/user/{root.pk}/change/", *admin_pages()]
    assert len(pages) > 20
    for path in pages:
        answer = client.get(path)
        if answer.status_code == 403 and path.endswith("/add/"):
            continue  # rows that nobody types
        assert answer.status_code == 200, path
        assert_no_script_but_ours(answer, path)


@pytest.mark.parametrize("name", ["access", "access_token", "jwt", "token", "Authorization", "sessionid", "refresh"])
def test_it_takes_no_jwt_from_a_cookie(db: None, name: str) -> None:
    pair = issue_tokens(User.objects.create_user("alice@example.com", PASSWORD))
    client = APIClient()
    client.cookies[name] = pair.access
    assert client.get("/api/v1/auth/me/").status_code == 401
    client.cookies[name] = f"Bearer {pair.access}"
    assert client.get("/api/v1/auth/me/").status_code == 401


@pytest.mark.parametrize(
    ("claims", "key", "algorithm"),
    [
        ({}, "NO_KEY", "none"),
        ({}, "JWT_SIGNING_KEY", "HS512"),
        ({}, "SECRET_KEY", "HS256"),
        ({"iss": "elsewhere"}, "JWT_SIGNING_KEY", "HS256"),
        ({"aud": "elsewhere"}, "JWT_SIGNING_KEY", "HS256"),
        ({"token_type": "refresh"}, "JWT_SIGNING_KEY", "HS256"),
        ({"exp": 1}, "JWT_SIGNING_KEY", "HS256"),
    ],
)
def test_it_takes_no_jwt_but_its_own(db: None, claims: dict[str, Any], key: str, algorithm: str) -> None:
    access = issue_tokens(User.objects.create_user("alice@example.com", PASSWORD)).access
    good = jwt.decode(access, options={"verify_signature": False})
    assert (good["iss"], good["aud"], good["exp"] - good["iat"]) == ("cryptopredict", "cryptopredict-api", 600)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {jwt.encode({**good, **claims}, getattr(real, key, ''), algorithm)}")
    answer = client.get("/api/v1/auth/me/")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "token_not_valid")
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {jwt.encode(good, real.JWT_SIGNING_KEY, 'HS256')}")
    assert client.get("/api/v1/auth/me/").status_code == 200  # all else was right


def test_the_two_keys_of_an_installation_differ() -> None:
    assert len(real.JWT_SIGNING_KEY) > 60
    assert real.JWT_SIGNING_KEY != real.SECRET_KEY


@pytest.mark.django_db
def test_other_sites_may_not_call_the_api_from_a_browser_unless_named(client: Client, settings: Settings) -> None:
    origin = {"Origin": "https://app.example.org"}
    assert "Access-Control-Allow-Origin" not in client.get("/api/v1/health/live/", headers=origin)
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example.org"]
    named = client.get("/api/v1/health/live/", headers=origin)
    assert named["Access-Control-Allow-Origin"] == "https://app.example.org"
    assert "RateLimit-Remaining" in named["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Credentials" not in named  # cookies stay at home
    assert "Access-Control-Allow-Origin" not in client.get("/api/v1/health/live/", headers={"Origin": "https://x.org"})
    assert "Access-Control-Allow-Origin" not in client.get("/sign-in/", headers=origin)
    asked = {**origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "idempotency-key"}
    preflight = client.options("/api/v1/auth/token/", headers=asked)
    assert "idempotency-key" in preflight["Access-Control-Allow-Headers"]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (GOOD, []),
        ({**GOOD, "SECRET_KEY": ""}, ["E001"]),
        ({**GOOD, "SECRET_KEY": "django-insecure-" + "abcdefgh" * 8}, ["E001"]),
        ({**GOOD, "JWT_SIGNING_KEY": "x" * 64}, ["E002"]),
        ({"SECRET_KEY": "", "JWT_SIGNING_KEY": "short"}, ["E001", "E002"]),
        ({**GOOD, "JWT_SIGNING_KEY": GOOD["SECRET_KEY"]}, ["E003"]),
    ],
)
def test_a_site_that_others_reach_starts_with_good_keys_only(
    settings: Settings, keys: dict[str, str], expected: list[str]
) -> None:
    settings.HTTPS, settings.SECRETS_FROM_ENVIRONMENT = True, keys
    assert [str(fault.id) for fault in run_checks(tags=[STARTUP])] == [f"cryptopredict.{name}" for name in expected]
    if expected:
        with pytest.raises(SystemExit, match=expected[0]):
            refuse_unsafe_start()
    settings.HTTPS = False
    refuse_unsafe_start()  # a site for this computer only draws its keys itself


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("Authorization: Bearer eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl", "eyJhbGciOi.eyJzdWIiOi"),
        ("token cpt_AbCdEf123456789 refused", "AbCdEf123456789"),
        ("{'email': 'a@b.c', 'password': 'correct horse'}", "correct horse"),
        ('{"old_password": "correct horse", "new_password": "battery"}', "battery"),
        ("POST /sign-in/ login=a@b.c&password=correct-horse&next=/", "correct-horse"),
        ("otp=123456 was tried", "123456"),
        ("postgres://cryptopredict:hunter22@db:5432/x did not answer", "hunter22"),
        ("GET /account/reset/1-abc123-0f0f0f0f/ 500", "abc123-0f0f0f0f"),
        ("GET /account/confirm-email/MQ:1abc:sig/ 500", "MQ:1abc:sig"),
    ],
)
def test_no_line_of_the_log_holds_a_secret(line: str, secret: str) -> None:
    record = logging.LogRecord("x", logging.ERROR, "", 0, "%s", (line,), None)
    shown = MaskingFormatter().format(record)
    assert secret not in shown
    assert "***" in shown


@pytest.mark.parametrize("name", ["SECRET_KEY", "JWT_SIGNING_KEY"])
def test_no_line_of_the_log_holds_a_key_of_the_site(name: str) -> None:
    assert mask(f"key {getattr(real, name)}") == "key ***"


def test_a_traceback_in_the_log_holds_none_either() -> None:
    try:
        raise ValueError("password=hunter22")
    except ValueError as error:
        record = logging.LogRecord("x", logging.ERROR, "", 0, "failed", (), (type(error), error, error.__traceback__))
    shown = MaskingFormatter().format(record)
    assert "Traceback" in shown
    assert "hunter22" not in shown


def test_it_leaves_plain_lines_as_they_are() -> None:
    line = "User 5: a used refresh token came back, its family is revoked; 12 tokens, secrets and passwords at 10:30"
    assert mask(line) == line


def test_the_log_of_this_site_is_masked() -> None:
    logs: Any = real.LOGGING
    (formatter,) = {handler["formatter"] for handler in logs["handlers"].values()}
    assert logs["formatters"][formatter]["()"].endswith("MaskingFormatter")
