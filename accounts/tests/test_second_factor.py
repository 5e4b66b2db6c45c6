"""The second step: apps, recovery codes, passkeys; on the pages and over the API."""

from typing import Any
from unittest.mock import patch

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client
from redis.exceptions import ConnectionError as RedisDown
from rest_framework.test import APIClient

from accounts import second_factor
from accounts.models import User
from accounts.tests.conftest import PASSWORD, SECRET, app_code, recovery_codes
from accounts.tests.test_api_auth import AUTH, code
from cryptopredict.rest import shared

CODE_PAGE = "/account/two-factor/authenticate/"


@pytest.fixture
def halfway(client: Client, guarded: User) -> Client:
    """After the password, before the code."""
    answer = client.post("/sign-in/", {"login": guarded.email, "password": PASSWORD, "next": "/account/"})
    assert (answer.status_code, answer["Location"]) == (302, CODE_PAGE)
    return client


def is_signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def token(api: APIClient, **more: str) -> Any:
    return api.post(f"{AUTH}/token/", {"email": "alice@example.com", "password": PASSWORD, **more})


def test_it_lets_nobody_in_by_the_password_alone(halfway: Client) -> None:
    assert not is_signed_in(halfway)
    assert halfway.get("/account/")["Location"] == "/sign-in/?next=/account/"


def test_it_lets_in_by_the_code_of_the_app_and_goes_on(halfway: Client) -> None:
    answer = halfway.post(CODE_PAGE, {"code": app_code()})
    assert (answer.status_code, answer["Location"]) == (302, "/account/")
    assert is_signed_in(halfway)


def test_it_takes_a_code_once(halfway: Client) -> None:
    used = app_code()
    halfway.post(CODE_PAGE, {"code": used})
    thief = Client()
    thief.post("/sign-in/", {"login": "alice@example.com", "password": PASSWORD})
    answer = thief.post(CODE_PAGE, {"code": used})
    assert "wrong or was used" in answer.content.decode()
    assert not is_signed_in(thief)


def test_it_takes_a_recovery_code_once(halfway: Client, guarded: User) -> None:
    first = recovery_codes(guarded)[0]
    halfway.post(CODE_PAGE, {"code": f"{first[:4]} {first[4:]}"})
    assert is_signed_in(halfway)
    assert len(recovery_codes(guarded)) == 9
    assert second_factor.use_code(guarded, first) is None


def test_it_limits_guesses_of_the_code(halfway: Client, three_tries: None) -> None:
    answers = [halfway.post(CODE_PAGE, {"code": "000000"}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert int(answers[-1]["Retry-After"]) > 0
    assert halfway.post(CODE_PAGE, {"code": app_code()}).status_code == 429


def test_it_refuses_codes_while_used_ones_cannot_be_remembered(halfway: Client) -> None:
    with patch.object(shared, "claim", side_effect=RedisDown("refused")):
        assert "not possible just now" in halfway.post(CODE_PAGE, {"code": app_code()}).content.decode()
    assert not is_signed_in(halfway)


def test_it_keeps_the_secrets_encrypted(guarded: User) -> None:
    kept = Authenticator.objects.get(user=guarded, type="totp").data["secret"]
    assert SECRET not in kept
    seed = Authenticator.objects.get(user=guarded, type="recovery_codes").data["seed"]
    assert seed.startswith("gAAAA")  # a Fernet token


def test_it_asks_again_who_it_is_before_a_second_factor_is_changed(client: Client, alice: User) -> None:
    client.post("/sign-in/", {"login": alice.email, "password": PASSWORD})
    path = "/account/two-factor/totp/activate/"
    assert client.get(path)["Location"] == f"/account/confirm/?next={path.replace('/', '%2F')}"
    wrong = client.post("/account/confirm/", {"password": "wrong", "next": path})
    assert "This is not your password" in wrong.content.decode()
    assert client.post("/account/confirm/", {"password": PASSWORD, "next": path})["Location"] == path
    assert 'alt="The secret as a QR code"' in client.get(path).content.decode()


def test_it_switches_an_app_on_by_its_code_and_shows_recovery_codes(client: Client, alice: User) -> None:
    client.post("/sign-in/", {"login": alice.email, "password": PASSWORD})
    client.post("/account/confirm/", {"password": PASSWORD, "next": "/account/"})
    path = "/account/two-factor/totp/activate/"
    client.get(path)
    session = client.session
    session["mfa.totp.secret"] = SECRET
    session.save()
    wrong = client.post(path, {"code": "000000"})
    assert wrong.status_code == 200
    assert not second_factor.has_second_factor(alice)
    shown = client.post(path, {"code": app_code()}, follow=True)
    assert second_factor.has_second_factor(alice)
    for number in recovery_codes(alice):
        assert number in shown.content.decode()


def test_the_api_asks_for_a_code_after_the_right_password_only(api: APIClient, guarded: User) -> None:
    assert code(token(api)) == (401, "otp_required")
    wrong = api.post(f"{AUTH}/token/", {"email": guarded.email, "password": "wrong", "otp": app_code()})
    assert code(wrong) == (401, "authentication_failed")
    assert code(token(api, otp="000000")) == (401, "otp_not_valid")


def test_the_api_takes_a_code_of_the_app_and_a_recovery_code_once(api: APIClient, guarded: User) -> None:
    used, spare = app_code(), recovery_codes(guarded)[0]
    assert token(api, otp=used).status_code == 200
    assert code(token(api, otp=used)) == (401, "otp_not_valid")
    assert token(api, otp=spare).status_code == 200
    assert code(token(api, otp=spare)) == (401, "otp_not_valid")


def test_the_api_counts_wrong_codes(api: APIClient, guarded: User, three_tries: None) -> None:
    statuses = [token(api, otp="000000").status_code for _ in range(4)]
    assert statuses == [401, 401, 401, 429]


def test_a_passkey_form_stays_on_our_own_scripts(halfway: Client) -> None:
    page = halfway.get(CODE_PAGE).content.decode()
    scripts = [part.partition('"')[0] for part in page.split('<script src="')[1:]]
    assert scripts
    assert all(script.startswith("/static/") for script in scripts)


def test_it_refuses_a_passkey_that_it_never_saw(client: Client, alice: User) -> None:
    options = client.get("/account/two-factor/webauthn/login/", headers={"Accept": "application/json"})
    assert options.json()["request_options"]["publicKey"]["challenge"]
    answer = client.post("/account/two-factor/webauthn/login/", {"credential": "{}"})
    assert answer["Location"] == "/sign-in/"
    assert not is_signed_in(client)
