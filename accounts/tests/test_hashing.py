"""Passwords are hashed one at a time, behind all other work, and not without end."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.test import Client
from pytest_django import Settings

from accounts import hashing
from accounts.hashing import NICENESS, PatientArgon2PasswordHasher, TooBusy, aside
from accounts.models import User

PATIENT = "accounts.hashing.PatientArgon2PasswordHasher"
PASSWORD = "a long enough passphrase"


def test_it_reads_and_writes_the_hashes_of_djangos_own_hasher() -> None:
    encoded = Argon2PasswordHasher().encode(PASSWORD, "some salt of 16 chars")
    assert PatientArgon2PasswordHasher().verify(PASSWORD, encoded)
    assert not PatientArgon2PasswordHasher().verify("another", encoded)
    made = PatientArgon2PasswordHasher().encode(PASSWORD, "some salt of 16 chars")
    assert made.split("$")[:4] == encoded.split("$")[:4]  # the same variant, version and parameters
    assert Argon2PasswordHasher().verify(PASSWORD, made)


def test_it_does_one_piece_of_work_at_a_time_however_many_wait() -> None:
    running, most = 0, 0

    def work() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        threading.Event().wait(0.01)
        running -= 1

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(aside, work) for _ in range(8)]:
            done.result()
    assert most == 1


@pytest.mark.skipif(not hasattr(os, "setpriority"), reason="threads have no niceness of their own here")
def test_it_steps_back_behind_the_threads_that_serve() -> None:
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    assert aside(niceness) == min(19, niceness() + NICENESS)


def test_it_refuses_at_once_when_too_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "_waiting", threading.Semaphore(1))
    inner: list[str] = []

    def work() -> None:
        with pytest.raises(TooBusy):
            aside(lambda: inner.append("ran"))

    aside(work)
    assert inner == []
    aside(lambda: inner.append("ran"))  # and lets the next one in as soon as there is room
    assert inner == ["ran"]


@pytest.mark.django_db
@pytest.mark.parametrize("email", ["alice@example.com", "nobody@example.com"])
def test_sign_in_answers_503_then_whether_or_not_there_is_an_account(
    email: str, client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PASSWORD_HASHERS = [PATIENT]
    User.objects.create_user("alice@example.com", PASSWORD)
    monkeypatch.setattr(hashing, "_waiting", threading.Semaphore(0))
    answer = client.post("/api/v1/auth/token/", {"email": email, "password": PASSWORD}, "application/json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
    assert "Retry-After" in answer.headers
    page = client.post("/sign-in/", {"login": email, "password": PASSWORD})
    assert page.status_code in {200, 503}
    assert "Too many people sign in just now" in page.content.decode()


@pytest.mark.django_db
def test_registration_answers_503_on_page_and_api_too(
    client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PASSWORD_HASHERS = [PATIENT]
    monkeypatch.setattr(hashing, "_waiting", threading.Semaphore(0))
    answer = client.post(
        "/api/v1/auth/register/", {"email": "bob@example.com", "password": PASSWORD}, "application/json"
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
    assert not User.objects.exists()
