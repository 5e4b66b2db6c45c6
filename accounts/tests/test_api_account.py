"""One's own account over the API: export and deletion, forgotten passwords, addresses to confirm."""

from typing import Any
from unittest.mock import patch

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from rest_framework.test import APIClient
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from accounts.models import User
from accounts.tests.conftest import PASSWORD, mailed_key, with_token
from accounts.tests.test_api_auth import AUTH, code, faults, sign_in
from accounts.tokens import issue_tokens

NEW = "a better password"


@pytest.fixture
def signed_in(api: APIClient, alice: User) -> APIClient:
    api.force_authenticate(alice)
    return api


def test_it_erases_the_account_after_the_password(signed_in: APIClient, alice: User, bob: User) -> None:
    issue_tokens(alice)
    with_token(alice, "read")
    assert faults(signed_in.delete(f"{AUTH}/me/", {"password": "wrong"})) == {"password": "wrong_password"}
    assert faults(signed_in.delete(f"{AUTH}/me/")) == {"password": "required"}
    assert User.objects.count() == 2
    assert signed_in.delete(f"{AUTH}/me/", {"password": PASSWORD}).status_code == 204
    assert list(User.objects.all()) == [bob]
    assert not OutstandingToken.objects.exists()


@pytest.mark.usefixtures("three_tries")
@pytest.mark.parametrize(
    ("method", "path", "content"),
    [
        ("delete", "me/", {"password": "wrong"}),
        ("post", "password/change/", {"old_password": "wrong", "new_password": NEW}),
    ],
)
def test_it_limits_guesses_of_ones_own_password(
    signed_in: APIClient, method: str, path: str, content: dict[str, str]
) -> None:
    statuses = [getattr(signed_in, method)(f"{AUTH}/{path}", content).status_code for _ in range(4)]
    assert statuses == [400, 400, 400, 429]


def test_it_exports_what_is_kept_without_secrets(signed_in: APIClient, alice: User, bob: User) -> None:
    with_token(alice, "read")
    issue_tokens(alice)
    answer = signed_in.get(f"{AUTH}/me/export/")
    assert answer["Content-Disposition"].startswith("attachment")
    data = answer.json()
    assert data["profile"]["email"] == alice.email
    assert data["API tokens"][0]["name"] == "script"
    text = answer.content.decode()
    assert alice.password not in text
    assert "digest" not in text
    assert bob.email not in text


def test_it_mails_a_link_and_sets_a_new_password_once(api: APIClient, alice: User) -> None:
    old = issue_tokens(alice)
    program, _ = with_token(alice, "read")
    asked = api.post(f"{AUTH}/password/reset/", {"email": "ALICE@example.com"})
    assert asked.status_code == 202
    key = mailed_key()
    weak = api.post(f"{AUTH}/password/reset/confirm/", {"key": key, "new_password": "short"})
    assert faults(weak) == {"new_password": "password_too_short"}
    content = {"key": key, "new_password": NEW}
    assert api.post(f"{AUTH}/password/reset/confirm/", content).status_code == 204
    assert faults(api.post(f"{AUTH}/password/reset/confirm/", content)) == {"key": "key_not_valid"}
    assert sign_in(api, password=NEW).status_code == 200
    assert code(api.post(f"{AUTH}/token/refresh/", {"refresh": old.refresh})) == (401, "token_not_valid")
    assert program.get("/api/v1/portfolios/").status_code == 401
    assert EmailAddress.objects.get(user=alice).verified  # they read the mail


def test_a_link_ends_after_an_hour_and_when_the_password_changes(api: APIClient, alice: User) -> None:
    api.post(f"{AUTH}/password/reset/", {"email": alice.email})
    content = {"key": mailed_key(), "new_password": NEW}
    with patch("django.contrib.auth.tokens.PasswordResetTokenGenerator._num_seconds", return_value=10**10):
        assert faults(api.post(f"{AUTH}/password/reset/confirm/", content)) == {"key": "key_not_valid"}
    alice.set_password("changed meanwhile")
    alice.save()
    assert faults(api.post(f"{AUTH}/password/reset/confirm/", content)) == {"key": "key_not_valid"}


@pytest.mark.parametrize("key", ["x", "1-x", "zzzzzzzzzzzzzzzzzzzzzzzzzzz-1", "-", "\u0661-a"])
@pytest.mark.usefixtures("alice")
def test_it_refuses_a_key_that_is_none(api: APIClient, key: str) -> None:
    answer = api.post(f"{AUTH}/password/reset/confirm/", {"key": key, "new_password": NEW})
    assert faults(answer) == {"key": "key_not_valid"}
    assert faults(api.post(f"{AUTH}/email/verify/", {"key": key})) == {"key": "key_not_valid"}


def test_it_gives_an_inactive_person_no_link(api: APIClient, alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)
    api.post(f"{AUTH}/password/reset/", {"email": alice.email})
    assert "/account/reset/" not in str(mail.outbox[0].body)


@pytest.mark.django_db
def test_it_registers_once_for_one_idempotency_key(api: APIClient) -> None:
    content = {"email": "new@example.com", "password": PASSWORD}
    answers = [api.post(f"{AUTH}/register/", content, headers={"Idempotency-Key": "one"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[1]["Idempotency-Replayed"] == "true"
    assert len(mail.outbox) == 1


@pytest.mark.usefixtures("mail_needed")
@pytest.mark.django_db
def test_it_lets_a_new_person_in_once_the_address_is_confirmed(api: APIClient) -> None:
    api.post(f"{AUTH}/register/", {"email": "new@example.com", "password": PASSWORD})
    first = mailed_key()
    wrong = sign_in(api, "new@example.com", "wrong password")
    assert code(wrong) == (401, "authentication_failed")  # not told to who does not know the password
    assert code(sign_in(api, "new@example.com")) == (403, "email_not_verified")
    assert len(mail.outbox) == 2  # another link
    assert api.post(f"{AUTH}/email/verify/", {"key": first}).status_code == 204
    assert faults(api.post(f"{AUTH}/email/verify/", {"key": first})) == {"key": "key_not_valid"}
    assert sign_in(api, "new@example.com").status_code == 200


def test_the_owner_of_a_confirmed_address_keeps_it(api: APIClient, alice: User, bob: User) -> None:
    from accounts import addresses

    pending = EmailAddress.objects.create(user=bob, email=alice.email)
    assert not addresses.confirm_address(request=_request(), address=pending)
    bob.refresh_from_db()
    assert bob.email == "bob@example.com"


def _request() -> Any:
    from django.test import RequestFactory

    return RequestFactory().get("/")
