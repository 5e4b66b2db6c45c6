"""Nothing that a stranger sees tells whether an address is known: not status, body, headers, nor time."""

import re
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.messages import get_messages
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from accounts import mailer
from accounts.models import User
from accounts.tests.conftest import PASSWORD

KNOWN, UNKNOWN = "alice@example.com", "zlice@example.com"
NEW = {"name": "", "password1": "another good password", "password2": "another good password"}
Ask = Callable[[Client, str], Any]


def api_post(path: str, **content: str) -> Ask:
    return lambda client, email: client.post(f"/api/v1/auth/{path}/", {**content, "email": email}, "application/json")


def page_post(path: str, field: str = "email", **content: str) -> Ask:
    return lambda client, email: client.post(path, {**content, field: email})


WAYS: dict[str, Ask] = {
    "sign-in page": page_post("/sign-in/", "login", password="wrong"),
    "sign-in API": api_post("token", password="wrong"),
    "reset page": page_post("/account/reset/"),
    "reset API": api_post("password/reset"),
    "sign-up page": page_post("/sign-up/", **NEW),
    "sign-up API": api_post("register", password="another good password"),
    "resend page": page_post("/account/confirm-email/"),
}


@pytest.fixture(params=["optional", "mandatory"])
def policy(request: pytest.FixtureRequest, settings: Settings) -> str:
    settings.ACCOUNT_EMAIL_VERIFICATION = request.param
    return str(request.param)


def seen(answer: Any, email: str) -> tuple[Any, ...]:
    """What a stranger sees of an answer, but for what they typed themselves and what is drawn anew each time."""
    body = answer.content.decode().replace(email, "@")
    body = re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", body)
    # Each of these tells the time, which goes on between the two.
    headers = {name: value for name, value in answer.items() if name not in {"Date", "Expires", "RateLimit-Reset"}}
    cookies = {name: re.sub(r"=[^;]+", "", morsel.OutputString(), count=1) for name, morsel in answer.cookies.items()}
    told = [str(message) for message in get_messages(answer.wsgi_request)]
    return answer.status_code, body, headers, sorted(cookies), told


@contextmanager
def counted_hashes() -> Iterator[list[str]]:
    """Every hashing of a password, whichever way the hasher is asked."""
    calls: list[str] = []
    encode = MD5PasswordHasher.encode

    def counted(self: Any, password: str, *args: Any, **more: Any) -> str:
        calls.append("hash")
        return str(encode(self, password, *args, **more))

    with patch.object(MD5PasswordHasher, "encode", counted):
        yield calls


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.usefixtures("alice", "policy")
def test_it_answers_a_known_address_like_an_unknown_one(way: str) -> None:
    answers = {}
    for email in (KNOWN, UNKNOWN):
        answers[email] = seen(WAYS[way](Client(), email), email)
        cache.clear()  # so that the counts of tries left are the same
    assert answers[KNOWN] == answers[UNKNOWN]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.usefixtures("alice", "policy")
def test_it_hashes_and_mails_as_often_for_a_known_address_as_for_an_unknown_one(
    way: str, mailoutbox: list[Any]
) -> None:
    work = {}
    for email in (KNOWN, UNKNOWN):
        mailoutbox.clear()
        with counted_hashes() as hashes:
            WAYS[way](Client(), email)
        work[email] = (len(hashes), len(mailoutbox))
    assert work[KNOWN] == work[UNKNOWN]
    assert work[KNOWN][0] == (1 if "sign" in way else 0)
    assert work[KNOWN][1] == (0 if "sign-in" in way else 1)


@pytest.mark.parametrize("way", ["sign-in page", "sign-in API", "reset page", "reset API"])
@pytest.mark.usefixtures("alice")
def test_it_asks_the_database_as_often_where_nothing_else_takes_time(way: str) -> None:
    asked = {}
    for email in (KNOWN, UNKNOWN):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            WAYS[way](Client(), email)
        asked[email] = len(queries)
    assert asked[KNOWN] == asked[UNKNOWN]


def test_it_tells_the_owner_of_a_taken_address_by_mail_alone(
    client: Client, alice: User, mailoutbox: list[Any]
) -> None:
    WAYS["sign-up page"](client, KNOWN)
    assert mailoutbox[0].to == [KNOWN]
    assert "which has one already" in mailoutbox[0].body
    alice.refresh_from_db()
    assert alice.check_password(PASSWORD)


def medians_ms(way: str, rounds: int) -> tuple[float, float]:
    """What a known and an unknown address take, asked in turns by one client."""
    times: dict[str, list[float]] = {"known": [], "unknown": []}
    client = Client()
    for number in range(rounds):
        for kind in ("known", "unknown") if number % 2 else ("unknown", "known"):
            email = KNOWN if kind == "known" else f"nobody{number:03}@example.com"
            started = time.perf_counter()
            WAYS[way](client, email)
            if number >= 5:  # the first ones warm up
                times[kind].append(1000 * (time.perf_counter() - started))
            mailer.POOL.submit(lambda: None).result()
    return statistics.median(times["known"]), statistics.median(times["unknown"])


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.django_db(transaction=True)
def test_its_medians_for_known_and_unknown_addresses_lie_within_ten_percent(
    way: str, settings: Settings, monkeypatch: pytest.MonkeyPatch, figure: Callable[[str], None]
) -> None:
    settings.MAIL_IN_BACKGROUND = True
    monkeypatch.setattr(mailer, "START_AFTER_SECONDS", 0.03)
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
    rates = dict.fromkeys(settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"], "100000/min")
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": rates}
    User.objects.create_user(KNOWN, PASSWORD)
    ratios = []
    for _ in range(4):  # a busy computer disturbs one measurement, a leak shows in all
        known, unknown = medians_ms(way, rounds=40 if "sign" in way else 150)
        ratios.append(known / unknown)
        User.objects.exclude(email=KNOWN).delete()
        if 0.9 <= ratios[-1] <= 1.1:
            figure(f"R15 {way}: known {known:.2f} ms, unknown {unknown:.2f} ms in measurement {len(ratios)}")
            return
    pytest.fail(f"The ratios of the medians are {ratios}.")
