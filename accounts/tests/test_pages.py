"""The account pages: signing up, in and out, and one's own account."""

from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from redis.exceptions import ConnectionError as RedisDown
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from accounts.models import User
from accounts.tests.conftest import PASSWORD
from accounts.tokens import issue_tokens, verify_token
from cryptopredict.rest import shared

PASSWORDS = ("password1", "password2")
SIGN_UP = {"email": "new@example.com", "name": "", "password1": PASSWORD, "password2": PASSWORD}


def errors(response: Any, form: str = "form") -> dict[str, list[str]]:
    faults = response.context[form].errors.as_data()
    return {name: [fault.code for fault in found] for name, found in faults.items()}


def said(response: Any) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]


@pytest.fixture
def signed_in(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


@pytest.mark.parametrize(
    ("path", "autocomplete"),
    [("/sign-up/", ["email", "name", "new-password"]), ("/sign-in/", ["username", "current-password"])],
)
@pytest.mark.django_db
def test_it_helps_the_browser_fill_in_the_form(client: Client, path: str, autocomplete: list[str]) -> None:
    page = client.get(path)
    assert page.status_code == 200
    for name in autocomplete:
        assert f'autocomplete="{name}"' in page.content.decode()
    assert "no-store" in page["Cache-Control"]


@pytest.mark.django_db
def test_it_signs_a_new_person_up_and_in(client: Client) -> None:
    response = client.post("/sign-up/", SIGN_UP)
    assert (response.status_code, response["Location"]) == (302, "/sign-in/")
    response = client.post("/sign-in/", {"login": "New@example.com", "password": PASSWORD})
    assert (response.status_code, response["Location"]) == (302, "/dashboard/")
    assert client.session["_auth_user_id"] == str(User.objects.get(email="new@example.com").pk)


def test_it_answers_a_sign_up_for_a_taken_address_the_same(client: Client, alice: User) -> None:
    taken = client.post("/sign-up/", {**SIGN_UP, "email": "ALICE@example.com"})
    fresh = Client().post("/sign-up/", SIGN_UP)
    assert (taken.status_code, taken["Location"]) == (fresh.status_code, fresh["Location"])
    assert said(taken) == said(fresh) != []
    assert User.objects.count() == 2


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"email": "nobody"}, {"email": ["invalid"]}),
        ({"password2": "something else"}, {"password2": ["password_mismatch"]}),
        ({"password1": "short", "password2": "short"}, {"password1": ["password_too_short"]}),
        (
            {"password1": "x y" * 43, "password2": "x y" * 43},
            {"password1": ["max_length"], "password2": ["max_length"]},
        ),
        ({"password1": "", "password2": ""}, {"password1": ["required"], "password2": ["required"]}),
    ],
)
@pytest.mark.django_db
def test_it_shows_the_fault_beside_its_field(
    client: Client, change: dict[str, str], expected: dict[str, list[str]]
) -> None:
    response = client.post("/sign-up/", {**SIGN_UP, **change})
    assert errors(response) == expected
    page = response.content.decode()
    for name in expected:
        assert f'id="id_{name}_error"' in page
    assert page.count('aria-invalid="true"') == len(expected)
    assert not User.objects.exists()


@pytest.mark.usefixtures("three_tries")
@pytest.mark.django_db
def test_it_limits_sign_ups(client: Client) -> None:
    statuses = [client.post("/sign-up/", {**SIGN_UP, "email": "bad"}).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/portfolios/3/", "/portfolios/3/"),
        ("https://evil.example/", "/dashboard/"),
        ("//evil.example/", "/dashboard/"),
        ("/\\evil.example/", "/dashboard/"),
        ("javascript:alert(1)", "/dashboard/"),
    ],
)
@pytest.mark.usefixtures("alice")
def test_it_goes_on_to_our_own_pages_only(client: Client, target: str, expected: str) -> None:
    content = {"login": "alice@example.com", "password": PASSWORD, "next": target}
    assert client.post("/sign-in/", content)["Location"] == expected


@pytest.mark.usefixtures("alice")
def test_it_keeps_next_in_the_form(client: Client) -> None:
    assert (
        '<input type="hidden" name="next" value="/account/">' in client.get("/sign-in/?next=/account/").content.decode()
    )


def test_it_says_the_same_for_a_wrong_password_an_unknown_address_and_an_inactive_user(
    client: Client, alice: User, bob: User
) -> None:
    User.objects.filter(pk=bob.pk).update(is_active=False)
    tries = [("alice@example.com", "wrong"), ("nobody@example.com", PASSWORD), ("bob@example.com", PASSWORD)]
    answers = [client.post("/sign-in/", {"login": email, "password": password}) for email, password in tries]
    shown = {str(answer.context["form"].errors) for answer in answers}
    assert len(shown) == 1
    assert "address or the password is wrong" in shown.pop()
    assert "_auth_user_id" not in client.session


@pytest.mark.usefixtures("alice", "three_tries")
def test_it_shares_the_limit_among_page_admin_and_api(client: Client) -> None:
    wrong = {"login": "alice@example.com", "password": "wrong"}
    assert client.post("/sign-in/", wrong).status_code == 200
    assert client.post("/admin/login/", wrong)["Location"].startswith("/sign-in/?next=")  # there is one way in
    client.post("/sign-in/", {**wrong, "next": "/admin/"})
    api = {"email": "alice@example.com", "password": "wrong"}
    assert client.post("/api/v1/auth/token/", api, content_type="application/json").status_code == 401
    with patch("accounts.services.authenticate") as tried:
        refused = client.post("/sign-in/", {**wrong, "password": PASSWORD})
        answer = client.post("/api/v1/auth/token/", api, content_type="application/json")
    assert refused.status_code == answer.status_code == 429
    assert int(refused["Retry-After"]) > 0
    assert "Too many tries" in refused.content.decode()
    assert not tried.called


@pytest.mark.usefixtures("alice")
def test_it_refuses_sign_in_while_tries_cannot_be_counted(client: Client) -> None:
    with patch.object(shared, "count", side_effect=RedisDown("refused")):
        page = client.post("/sign-in/", {"login": "alice@example.com", "password": PASSWORD})
        assert "not possible just now" in page.content.decode()
        assert client.post("/sign-up/", SIGN_UP).status_code == 503
    assert "_auth_user_id" not in client.session


def test_it_signs_out_by_post_only(signed_in: Client) -> None:
    assert signed_in.get("/sign-out/").status_code == 405
    assert "_auth_user_id" in signed_in.session
    assert signed_in.post("/sign-out/")["Location"] == "/"
    assert "_auth_user_id" not in signed_in.session


@pytest.mark.parametrize("path", ["/sign-in/", "/sign-up/", "/sign-out/", "/account/"])
def test_it_refuses_a_form_from_elsewhere(alice: User, path: str) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    assert client.post(path).status_code == 403


@pytest.mark.parametrize("path", ["/account/", "/account/password/", "/account/delete/"])
@pytest.mark.django_db
def test_it_asks_strangers_to_sign_in(client: Client, path: str) -> None:
    assert client.post(path)["Location"] == f"/sign-in/?next={path}"


def test_it_keeps_the_profile(signed_in: Client, alice: User) -> None:
    profile = {"name": "Al", "language": "en", "currency": "usd", "time_zone": "Asia/Tehran", "theme": "dark"}
    assert signed_in.post("/account/", profile)["Location"] == "/account/"
    alice.refresh_from_db()
    assert (alice.name, alice.time_zone, alice.theme) == ("Al", "Asia/Tehran", "dark")


def test_it_refuses_a_profile_with_a_fault_whole(signed_in: Client, alice: User) -> None:
    profile = {"name": "Al", "language": "en", "currency": "usd", "time_zone": "Mars/Phobos", "theme": "blue"}
    response = signed_in.post("/account/", {**profile, "is_staff": "1"})
    assert errors(response, "profile") == {"time_zone": ["invalid_choice"], "theme": ["invalid_choice"]}
    alice.refresh_from_db()
    assert (alice.name, alice.is_staff) == ("Alice", False)


def test_it_changes_the_password_and_ends_every_other_session(signed_in: Client, alice: User) -> None:
    phone = Client()
    phone.force_login(alice)
    pair = issue_tokens(alice)
    new = {"new_password1": "a better password", "new_password2": "a better password"}
    assert signed_in.post("/account/password/", {"old_password": PASSWORD, **new}).status_code == 302
    assert signed_in.get("/account/").status_code == 200
    assert phone.get("/account/").status_code == 302
    with pytest.raises(TokenError):
        verify_token(pair.refresh)
    alice.refresh_from_db()
    assert alice.check_password("a better password")


def test_it_keeps_the_password_when_the_new_one_breaks_a_rule(signed_in: Client, alice: User) -> None:
    new = {"new_password1": "short", "new_password2": "short"}
    response = signed_in.post("/account/password/", {"old_password": PASSWORD, **new})
    assert errors(response, "password") == {"new_password1": ["password_too_short"]}
    alice.refresh_from_db()
    assert alice.check_password(PASSWORD)


def test_it_asks_for_the_right_old_password(signed_in: Client, alice: User) -> None:
    new = {"new_password1": "a better password", "new_password2": "a better password"}
    response = signed_in.post("/account/password/", {"old_password": "wrong", **new})
    assert errors(response, "password") == {"old_password": ["wrong_password"]}
    alice.refresh_from_db()
    assert alice.check_password(PASSWORD)


@pytest.mark.usefixtures("three_tries")
def test_it_limits_guesses_of_the_old_password(signed_in: Client) -> None:
    content = {"old_password": "wrong", "new_password1": "x", "new_password2": "x"}
    statuses = [signed_in.post("/account/password/", content).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]


def test_it_deletes_an_account_after_its_password(signed_in: Client, alice: User, bob: User) -> None:
    issue_tokens(alice)
    response = signed_in.post("/account/delete/", {"delete-password": "wrong"})
    assert errors(response, "delete") == {"password": ["wrong_password"]}
    assert User.objects.count() == 2
    assert signed_in.post("/account/delete/", {"delete-password": PASSWORD})["Location"] == "/"
    assert list(User.objects.all()) == [bob]
    assert not OutstandingToken.objects.exists()
    assert "_auth_user_id" not in signed_in.session


def test_it_never_shows_markup_that_somebody_put_in_a_name(signed_in: Client, alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(name="<script>alert(1)</script>")
    page = signed_in.get("/account/").content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
