"""How many tries reach the password hasher, from where, and who is never shut out."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core.cache import cache
from django.db import connection
from django.test import Client
from pytest_django import Settings

from accounts.models import KnownAddress, User
from accounts.tests.conftest import PASSWORD

Rate = Callable[..., None]
ELSEWHERE = "203.0.113.9"


def on_page(client: Client, password: str, address: str = "127.0.0.1", **headers: str) -> int:
    content = {"login": "alice@example.com", "password": password}
    return client.post("/sign-in/", content, REMOTE_ADDR=address, headers=headers).status_code


def on_api(client: Client, password: str, address: str = "127.0.0.1", **headers: str) -> int:
    content = {"email": "alice@example.com", "password": password}
    return client.post(
        "/api/v1/auth/token/", content, "application/json", REMOTE_ADDR=address, headers=headers
    ).status_code


@pytest.mark.second
@pytest.mark.parametrize(("from_many", "limit"), [(False, 10), (True, 30)])
@pytest.mark.django_db(transaction=True)
def test_it_lets_no_more_of_200_tries_at_once_reach_the_hasher_than_the_limit(
    rate: Rate, from_many: bool, limit: int, figure: Callable[[str], None]
) -> None:
    User.objects.create_user("alice@example.com", PASSWORD)
    rate(sign_in="10/hour", account="30/hour", anonymous="1000/min")  # no window ends while this runs

    def attempt(number: int) -> int:
        forged = f"198.51.100.{number}, 10.0.0.{number}"
        address = f"192.0.2.{number}" if from_many else ELSEWHERE
        ways: list[Any] = [on_page, on_api, on_page]
        try:
            return int(ways[number % 3](Client(), "wrong", address, **{"X-Forwarded-For": forged}))
        finally:
            connection.close()

    verify = MD5PasswordHasher.verify
    with (
        patch.object(MD5PasswordHasher, "verify", autospec=True, side_effect=verify) as hashed,
        ThreadPoolExecutor(8) as pool,
    ):
        statuses = list(pool.map(attempt, range(200)))
    assert hashed.call_count == limit
    assert statuses.count(429) == 200 - limit
    where = "200 addresses" if from_many else "one address under 200 forged ones"
    figure(f"R14 200 wrong passwords at once from {where}: {hashed.call_count} reached the hasher (limit {limit})")


@pytest.mark.usefixtures("alice")
def test_it_never_shuts_a_known_address_out_by_what_others_try(rate: Rate) -> None:
    rate(account="4/hour")
    assert on_page(Client(), PASSWORD) == 302  # the first of the four: its place was new then
    attacks = [on_page(Client(), "wrong", f"192.0.2.{number}") for number in range(6)]
    assert attacks == [200, 200, 200, 429, 429, 429]
    assert on_page(Client(), PASSWORD) == 302
    assert on_api(Client(), PASSWORD) == 200
    assert on_page(Client(), PASSWORD, ELSEWHERE) == 429  # new to the account, while it is attacked


@pytest.mark.usefixtures("alice")
def test_it_never_shuts_a_known_device_out_wherever_it_travels(rate: Rate) -> None:
    rate(account="3/hour")
    laptop = Client()
    assert on_page(laptop, PASSWORD) == 302
    laptop.post("/sign-out/")
    for number in range(6):
        on_page(Client(), "wrong", f"192.0.2.{number}")
    assert on_page(laptop, PASSWORD, ELSEWHERE) == 302


@pytest.mark.usefixtures("alice")
def test_it_believes_no_device_cookie_but_its_own(rate: Rate, bob: User) -> None:
    rate(account="3/hour")
    for number in range(3):
        on_page(Client(), "wrong", f"192.0.2.{number}")
    of_bob = Client()
    of_bob.post("/sign-in/", {"login": "bob@example.com", "password": PASSWORD}, REMOTE_ADDR=ELSEWHERE)
    of_bob.post("/sign-out/")
    forged = Client()
    forged.cookies["device"] = "WzFd:1abcde:forged"
    assert on_page(of_bob, PASSWORD, "192.0.2.77") == on_page(forged, PASSWORD, "192.0.2.78") == 429


@pytest.mark.usefixtures("alice")
def test_a_known_device_has_a_limit_of_its_own_all_the_same(rate: Rate) -> None:
    rate(sign_in="3/hour")
    laptop = Client()
    assert on_page(laptop, PASSWORD) == 302
    laptop.post("/sign-out/")
    assert [on_page(laptop, "wrong") for _ in range(3)] == [200, 200, 429]


def test_it_keeps_an_address_once_and_forgets_the_oldest(alice: User, rate: Rate) -> None:
    rate(account="1000/hour")
    for number in range(25):
        on_page(Client(), PASSWORD, f"192.0.2.{number}")
    on_page(Client(), PASSWORD, "192.0.2.24")
    kept = set(KnownAddress.objects.filter(user=alice).values_list("address", flat=True))
    assert kept == {f"192.0.2.{number}" for number in range(5, 25)}


def test_a_failed_try_makes_no_place_known(alice: User) -> None:
    on_page(Client(), "wrong")
    assert not KnownAddress.objects.exists()


@pytest.mark.usefixtures("alice")
def test_a_reset_password_makes_its_place_known_so_that_an_attacked_owner_gets_in(rate: Rate) -> None:
    from accounts.tests.conftest import mailed_link

    rate(account="2/hour")
    for number in range(3):
        on_page(Client(), "wrong", f"192.0.2.{number}")
    owner = Client()
    assert on_page(owner, PASSWORD, ELSEWHERE) == 429
    owner.post("/account/reset/", {"email": "alice@example.com"}, REMOTE_ADDR=ELSEWHERE)
    owner.get(mailed_link(), follow=True, REMOTE_ADDR=ELSEWHERE)
    new = {"new_password1": "a better password", "new_password2": "a better password"}
    assert owner.post("/account/reset/set/", new, REMOTE_ADDR=ELSEWHERE)["Location"] == "/sign-in/"
    assert on_page(owner, "a better password", ELSEWHERE) == 302


def test_it_sends_so_many_mails_to_one_address_and_no_more(
    client: Client, alice: User, rate: Rate, mailoutbox: list[Any]
) -> None:
    rate(mail="2/hour")
    for email in ("alice@example.com", "Alice@example.com", "ALICE@example.com", "nobody@example.com"):
        assert client.post("/account/reset/", {"email": email}).status_code == 302
    assert [message.to for message in mailoutbox] == [["alice@example.com"]] * 2 + [["nobody@example.com"]]


@pytest.mark.parametrize("path", ["/account/reset/", "/account/confirm-email/"])
@pytest.mark.usefixtures("alice")
def test_it_limits_requests_for_mail(client: Client, rate: Rate, path: str) -> None:
    rate(sign_in="3/hour")
    statuses = [client.post(path, {"email": "alice@example.com"}).status_code for _ in range(4)]
    assert statuses == [302, 302, 302, 429]


def test_it_counts_an_ipv6_network_as_one_place(alice: User, settings: Settings) -> None:
    on_page(Client(), PASSWORD, "2001:db8:1:2::3")
    assert KnownAddress.objects.get().address == "2001:db8:1:2::/64"
    cache.clear()
