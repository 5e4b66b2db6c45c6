"""Sign-up, sign-in and profile over the API."""

from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from redis.exceptions import ConnectionError as RedisDown
from rest_framework.test import APIClient
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from accounts.models import User
from accounts.tests.conftest import PASSWORD
from cryptopredict.rest import shared

AUTH = "/api/v1/auth"


def sign_in(api: APIClient, email: str = "alice@example.com", password: str = PASSWORD) -> Any:
    return api.post(f"{AUTH}/token/", {"email": email, "password": password})


def faults(response: Any) -> dict[str, str]:
    assert response.status_code == 400, response.content
    return {fault["field"]: fault["code"] for fault in response.json()["error"]["fields"]}


def code(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


@pytest.mark.django_db
def test_it_registers_a_person_who_can_then_sign_in(api: APIClient) -> None:
    answer = api.post(f"{AUTH}/register/", {"email": "New@Example.com", "password": PASSWORD, "name": "New"})
    assert answer.status_code == 202
    user = User.objects.get()
    assert (user.email, user.name, user.is_active, user.is_staff) == ("new@example.com", "New", True, False)
    assert set(sign_in(api, "new@example.com").json()) == {"access", "refresh"}


def test_it_answers_a_taken_address_the_same_and_changes_nothing(api: APIClient, alice: User) -> None:
    fresh = api.post(f"{AUTH}/register/", {"email": "new@example.com", "password": PASSWORD})
    taken = api.post(f"{AUTH}/register/", {"email": "ALICE@example.com", "password": "another good password"})
    assert (taken.status_code, taken.content) == (fresh.status_code, fresh.content)
    assert set(taken.headers) == set(fresh.headers)
    assert User.objects.count() == 2
    assert sign_in(api).status_code == 200


@pytest.mark.parametrize("email", ["new@example.com", "alice@example.com"])
@pytest.mark.usefixtures("alice")
def test_it_hashes_one_password_whether_or_not_the_address_is_taken(api: APIClient, email: str) -> None:
    encode = MD5PasswordHasher.encode
    with patch.object(MD5PasswordHasher, "encode", autospec=True, side_effect=encode) as hashed:
        api.post(f"{AUTH}/register/", {"email": email, "password": "another good password"})
    assert hashed.call_count == 1


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({}, {"email": "required", "password": "required"}),
        ({"email": "nobody", "password": PASSWORD}, {"email": "invalid"}),
        ({"email": "a@example.com", "password": "short"}, {"password": "password_too_short"}),
        ({"email": "someone.long@example.com", "password": "someone.long"}, {"password": "password_too_similar"}),
        ({"email": "a@example.com", "password": PASSWORD, "is_staff": True}, {"is_staff": "unknown_field"}),
        ({"email": "a@example.com", "password": "x" * 129}, {"password": "max_length"}),
        ({"email": "a@example.com", "password": "nul\x00 in a password"}, {"password": "null_characters_not_allowed"}),
    ],
)
@pytest.mark.django_db
def test_it_refuses_a_registration_naming_each_fault(
    api: APIClient, content: dict[str, Any], expected: dict[str, str]
) -> None:
    assert faults(api.post(f"{AUTH}/register/", content)) == expected
    assert not User.objects.exists()


@pytest.mark.django_db
def test_it_names_every_password_rule_that_is_broken(api: APIClient) -> None:
    response = api.post(f"{AUTH}/register/", {"email": "a@example.com", "password": "1234567"})
    codes = {fault["code"] for fault in response.json()["error"]["fields"]}
    assert codes == {"password_too_short", "password_too_common", "password_entirely_numeric"}


def test_it_signs_in_whatever_the_case_of_the_address(api: APIClient, alice: User) -> None:
    assert sign_in(api, "Alice@EXAMPLE.com").status_code == 200
    alice.refresh_from_db()
    assert alice.last_login is not None


def test_it_refuses_alike_a_wrong_password_an_unknown_address_and_an_inactive_user(
    api: APIClient, alice: User, bob: User
) -> None:
    User.objects.filter(pk=bob.pk).update(is_active=False)
    wrong, unknown = sign_in(api, password="not the password"), sign_in(api, "nobody@example.com")
    inactive = sign_in(api, "bob@example.com")
    assert code(wrong) == (401, "authentication_failed")
    assert wrong.content == unknown.content == inactive.content
    assert wrong["WWW-Authenticate"] == 'Bearer realm="api"'


@pytest.mark.usefixtures("alice", "three_tries")
def test_it_hashes_no_more_passwords_than_the_limit_allows(api: APIClient) -> None:
    with patch("accounts.services.authenticate", return_value=None) as tried:
        statuses = [
            api.post(
                f"{AUTH}/token/",
                {"email": "alice@example.com", "password": "wrong"},
                headers={"X-Forwarded-For": f"10.0.0.{number}"},
            ).status_code
            for number in range(6)
        ]
    assert statuses == [401, 401, 401, 429, 429, 429]
    assert tried.call_count == 3
    refused = sign_in(api)
    assert code(refused) == (429, "throttled")
    assert 0 < int(refused["Retry-After"]) <= 3600


@pytest.mark.usefixtures("alice")
def test_it_refuses_sign_ins_while_tries_cannot_be_counted(api: APIClient) -> None:
    with patch.object(shared, "count", side_effect=RedisDown("refused")):
        assert code(sign_in(api)) == (503, "unavailable")


@pytest.mark.usefixtures("three_tries")
@pytest.mark.django_db
def test_it_limits_registrations_by_address(api: APIClient) -> None:
    statuses = [
        api.post(f"{AUTH}/register/", {"email": f"p{number}@example.com", "password": PASSWORD}).status_code
        for number in range(4)
    ]
    assert statuses == [202, 202, 202, 429]


def test_it_lets_nobody_keep_a_token_answer(api: APIClient, alice: User) -> None:
    assert "no-store" in sign_in(api)["Cache-Control"]


def test_it_ignores_an_old_token_in_the_header_when_signing_in(api: APIClient, alice: User) -> None:
    api.credentials(HTTP_AUTHORIZATION="Bearer nonsense")
    assert sign_in(api).status_code == 200


def test_it_reads_ones_own_profile(api: APIClient, alice: User) -> None:
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {sign_in(api).json()['access']}")
    profile = api.get(f"{AUTH}/me/").json()
    assert profile.pop("joined_at").endswith("Z")
    assert profile == {
        "id": alice.pk,
        "email": "alice@example.com",
        "name": "Alice",
        "language": "en",
        "currency": "usd",
        "time_zone": "UTC",
        "theme": "system",
        "is_staff": False,
    }


def test_it_changes_ones_own_profile(api: APIClient, alice: User) -> None:
    api.force_authenticate(alice)
    response = api.patch(f"{AUTH}/me/", {"name": "Al", "time_zone": "Europe/Berlin"})
    assert (response.status_code, response.json()["name"]) == (200, "Al")
    alice.refresh_from_db()
    assert (alice.name, alice.time_zone) == ("Al", "Europe/Berlin")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"time_zone": "Mars/Phobos"}, {"time_zone": "time_zone"}),
        ({"currency": "doge", "language": "xx"}, {"currency": "invalid_choice", "language": "invalid_choice"}),
        ({"email": "b@example.com"}, {"email": "unknown_field"}),
        ({"name": "Al", "is_staff": True}, {"is_staff": "unknown_field"}),
        ({"colour": "red"}, {"colour": "unknown_field"}),
        ({"name": None}, {"name": "null"}),
    ],
)
def test_it_refuses_a_profile_with_a_fault_whole(
    api: APIClient, alice: User, content: dict[str, Any], expected: dict[str, str]
) -> None:
    api.force_authenticate(alice)
    assert faults(api.patch(f"{AUTH}/me/", content)) == expected
    alice.refresh_from_db()
    assert (alice.name, alice.is_staff, alice.email) == ("Alice", False, "alice@example.com")


def test_it_refuses_parameters_it_does_not_know(api: APIClient, alice: User) -> None:
    api.force_authenticate(alice)
    assert faults(api.get(f"{AUTH}/me/?user=2")) == {"user": "unknown_parameter"}


@pytest.mark.parametrize("path", ["me/", "logout/", "password/change/"])
def test_it_asks_for_a_token_and_takes_no_session(api: APIClient, alice: User, path: str) -> None:
    api.force_login(alice)
    method = api.get if path == "me/" else api.post
    assert code(method(f"{AUTH}/{path}")) == (401, "not_authenticated")


def test_it_changes_the_password_and_ends_the_other_tokens(api: APIClient, alice: User) -> None:
    phone, laptop = sign_in(api).json(), sign_in(api).json()
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {laptop['access']}")
    answer = api.post(f"{AUTH}/password/change/", {"old_password": PASSWORD, "new_password": "a better password"})
    assert answer.status_code == 200
    for pair in (phone, laptop):
        assert api.post(f"{AUTH}/token/refresh/", {"refresh": pair["refresh"]}).status_code == 401
    assert api.post(f"{AUTH}/token/refresh/", {"refresh": answer.json()["refresh"]}).status_code == 200
    assert sign_in(api).status_code == 401
    assert sign_in(api, password="a better password").status_code == 200


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("not my password", "a better password", {"old_password": "wrong_password"}),
        (PASSWORD, "short", {"new_password": "password_too_short"}),
        (PASSWORD, "", {"new_password": "blank"}),
    ],
)
def test_it_keeps_the_password_when_the_change_is_refused(
    api: APIClient, alice: User, old: str, new: str, expected: dict[str, str]
) -> None:
    refresh = sign_in(api).json()["refresh"]
    api.force_authenticate(alice)
    assert faults(api.post(f"{AUTH}/password/change/", {"old_password": old, "new_password": new})) == expected
    assert api.post(f"{AUTH}/token/refresh/", {"refresh": refresh}).status_code == 200
    assert OutstandingToken.objects.filter(user=alice, blacklistedtoken=None).count() == 1
