"""Refresh tokens: one winner, families that end, and tokens that are no longer good."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from pytest_django import Settings
from rest_framework.test import APIClient
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken
from rest_framework_simplejwt.tokens import AccessToken, UntypedToken

from accounts.models import User
from accounts.tests.test_api_auth import AUTH, code, faults, sign_in
from accounts.tokens import RefreshToken, issue_tokens


def refresh(api: APIClient, token: str) -> tuple[int, dict[str, Any]]:
    response = api.post(f"{AUTH}/token/refresh/", {"refresh": token})
    return response.status_code, response.json()


def family(token: str) -> str:
    return str(UntypedToken(token).payload["jti"]).partition(".")[0]  # type: ignore[arg-type]


def test_it_keeps_no_token_in_the_database(api: APIClient, alice: User) -> None:
    first = issue_tokens(alice).refresh
    refresh(api, first)
    assert list(OutstandingToken.objects.values_list("token", flat=True)) == ["", ""]


def test_a_password_changed_anywhere_ends_its_tokens(api: APIClient, alice: User) -> None:
    pair = issue_tokens(alice)
    alice.set_password("changed by a command")
    alice.save()
    assert refresh(api, pair.refresh)[0] == 401
    assert code(api.post(f"{AUTH}/token/verify/", {"token": pair.access})) == (401, "token_not_valid")


@pytest.mark.usefixtures("alice")
def test_it_rotates_and_keeps_the_family(api: APIClient) -> None:
    first = sign_in(api).json()["refresh"]
    status, second = refresh(api, first)
    assert status == 200
    assert second["refresh"] != first
    assert family(second["refresh"]) == family(first)
    status, third = refresh(api, second["refresh"])
    assert status == 200
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {third['access']}")
    assert api.get(f"{AUTH}/me/").status_code == 200


def test_it_revokes_the_family_when_a_rotated_token_comes_back(
    api: APIClient, alice: User, caplog: pytest.LogCaptureFixture
) -> None:
    first, other = sign_in(api).json()["refresh"], sign_in(api).json()["refresh"]
    second = refresh(api, first)[1]["refresh"]
    with caplog.at_level(logging.WARNING, logger="accounts"):
        status, body = refresh(api, first)
    assert (status, body["error"]["code"]) == (401, "token_not_valid")
    assert f"User {alice.pk}: a used refresh token came back" in caplog.text
    assert refresh(api, second)[0] == 401
    assert refresh(api, other)[0] == 200  # another sign-in is another family


@pytest.mark.parametrize("rounds", [5, pytest.param(100, marks=[pytest.mark.slow, pytest.mark.faults])])
@pytest.mark.django_db(transaction=True)
def test_it_gives_eight_refreshes_at_once_one_winner(
    rounds: int, settings: Settings, figure: Callable[[str], None]
) -> None:
    rates = dict.fromkeys(settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"], "100000/min")
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": rates}
    user = User.objects.create_user("alice@example.com", "correct horse battery")
    for _ in range(rounds):
        token = issue_tokens(user).refresh

        def ask(token: str = token) -> int:
            try:
                return refresh(APIClient(), token)[0]
            finally:
                connection.close()

        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(ask) for _ in range(8)]
            statuses = sorted(future.result() for future in asked)
        assert statuses == [200] + [401] * 7
        left = OutstandingToken.objects.filter(jti__startswith=f"{family(token)}.", blacklistedtoken=None)
        assert not left.exists()  # a token that was used twice ends its family, the winner's child with it
    figure(f"R13 on {connection.vendor}: {rounds} × 8 refreshes at once, {rounds} won, {rounds} families revoked")


def test_it_refuses_what_is_no_refresh_token(api: APIClient, alice: User) -> None:
    expired = RefreshToken.for_user(alice)
    expired.set_exp(lifetime=timedelta(seconds=-1))
    head, claims, signature = issue_tokens(alice).refresh.split(".")
    for token in (str(expired), str(AccessToken.for_user(alice)), f"{head}.{claims}.{signature[::-1]}", "x"):
        status, body = refresh(api, token)
        assert (status, body["error"]["code"]) == (401, "token_not_valid")


def test_it_refuses_an_inactive_or_deleted_user(api: APIClient, alice: User, bob: User) -> None:
    of_alice, of_bob = issue_tokens(alice), issue_tokens(bob)
    User.objects.filter(pk=alice.pk).update(is_active=False)
    bob.delete()
    for pair in (of_alice, of_bob):
        assert refresh(api, pair.refresh)[0] == 401
        assert code(api.post(f"{AUTH}/token/verify/", {"token": pair.access})) == (401, "token_not_valid")


def test_it_verifies_good_tokens_and_no_used_one(api: APIClient, alice: User) -> None:
    pair = issue_tokens(alice)
    for token, kind in ((pair.access, "access"), (pair.refresh, "refresh")):
        response = api.post(f"{AUTH}/token/verify/", {"token": token})
        assert (response.status_code, response.json()["token_type"]) == (200, kind)
        assert response.json()["expires_at"].endswith("Z")
    refresh(api, pair.refresh)
    assert code(api.post(f"{AUTH}/token/verify/", {"token": pair.refresh})) == (401, "token_not_valid")


def test_it_logs_one_device_out_and_again_without_complaint(api: APIClient, alice: User) -> None:
    phone, laptop = sign_in(api).json(), sign_in(api).json()
    rotated = refresh(api, phone["refresh"])[1]["refresh"]
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {phone['access']}")
    for _ in range(2):
        assert api.post(f"{AUTH}/logout/", {"refresh": rotated}).status_code == 204
    assert refresh(api, rotated)[0] == 401
    assert refresh(api, laptop["refresh"])[0] == 200


def test_it_logs_nobody_else_out(api: APIClient, alice: User, bob: User) -> None:
    of_bob = issue_tokens(bob)
    api.force_authenticate(alice)
    assert faults(api.post(f"{AUTH}/logout/", {"refresh": of_bob.refresh})) == {"refresh": "token_not_valid"}
    assert refresh(api, of_bob.refresh)[0] == 200
