"""Tokens for programs: shown once, kept as a hash, good for their scopes, and ended in many ways."""

from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.models import Group
from django.core.cache import caches
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import services
from accounts.models import ApiToken, User
from accounts.tests.conftest import PASSWORD, with_token
from accounts.tests.test_api_auth import AUTH, code, faults

TOKENS = f"{AUTH}/tokens/"
PORTFOLIOS = "/api/v1/portfolios/"


@pytest.fixture
def signed_in(api: APIClient, alice: User) -> APIClient:
    api.force_authenticate(alice)
    return api


def test_it_shows_a_new_token_once_and_keeps_its_hash(signed_in: APIClient, alice: User) -> None:
    answer = signed_in.post(TOKENS, {"name": "script", "scopes": ["read", "write"]})
    assert answer.status_code == 201
    secret = answer.json()["token"]
    assert secret.startswith("cpt_")
    assert len(secret) >= 4 + 43  # 256 bits
    kept = ApiToken.objects.get()
    assert (kept.user, kept.scopes, kept.expires_at) == (alice, ["read", "write"], None)
    assert secret not in str([getattr(kept, field.name) for field in ApiToken._meta.concrete_fields])
    listed = signed_in.get(TOKENS).json()
    assert listed["count"] == 1
    assert listed["results"][0]["start"] == secret[:10]
    assert "token" not in listed["results"][0]


def test_a_repeated_request_creates_no_second_one_and_the_cache_never_holds_the_secret(
    signed_in: APIClient,
) -> None:
    kept: list[Any] = []
    cache = type(caches["default"])
    store = cache.set

    def watched(self: Any, *args: Any, **more: Any) -> None:
        kept.append(args)
        store(self, *args, **more)

    with patch.object(cache, "set", watched):
        content, key = {"name": "script", "scopes": ["read"]}, {"Idempotency-Key": "one"}
        first = signed_in.post(TOKENS, content, headers=key)
        again = signed_in.post(TOKENS, content, headers=key)
    assert (again.status_code, again["Idempotency-Replayed"], again.json()["token"]) == (201, "true", None)
    assert again.json()["id"] == first.json()["id"]
    assert ApiToken.objects.count() == 1
    assert kept
    assert first.json()["token"] not in repr(kept)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({}, {"name": "required", "scopes": "required"}),
        ({"name": "", "scopes": []}, {"name": "blank", "scopes": "empty"}),
        ({"name": "x", "scopes": ["all"]}, {"scopes": "invalid_choice"}),
        ({"name": "x", "scopes": ["staff"]}, {"scopes": "not_staff"}),
        ({"name": "x", "scopes": ["read"], "expires_at": "2020-01-01T00:00:00Z"}, {"expires_at": "min_value"}),
        ({"name": "x", "scopes": ["read"], "user": 3}, {"user": "unknown_field"}),
    ],
)
def test_it_refuses_a_token_naming_each_fault(
    signed_in: APIClient, content: dict[str, Any], expected: dict[str, str]
) -> None:
    assert faults(signed_in.post(TOKENS, content)) == expected
    assert not ApiToken.objects.exists()


def test_it_gives_one_account_so_many_and_no_more(signed_in: APIClient) -> None:
    with patch.object(services, "MAX_API_TOKENS", 2):
        answers = [signed_in.post(TOKENS, {"name": "x", "scopes": ["read"]}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 400]
    assert faults(answers[-1]) == {"": "too_many"}


def test_it_revokes_ones_own_and_nobody_elses(signed_in: APIClient, alice: User, bob: User) -> None:
    program, mine = with_token(alice, "read")
    _, other = with_token(bob, "read")
    assert program.get(PORTFOLIOS).status_code == 200
    for _ in range(2):
        assert signed_in.delete(f"{TOKENS}{mine.pk}/").status_code == 204
    assert code(signed_in.delete(f"{TOKENS}{other.pk}/")) == (404, "not_found")
    assert code(program.get(PORTFOLIOS)) == (401, "token_not_valid")
    other.refresh_from_db()
    assert other.state == "active"


def test_reading_needs_read_and_writing_needs_write(alice: User) -> None:
    reader, _ = with_token(alice, "read")
    writer, _ = with_token(alice, "write")
    assert reader.get(PORTFOLIOS).status_code == 200
    assert code(reader.post(PORTFOLIOS, {"name": "Savings"})) == (403, "scope_missing")
    assert writer.post(PORTFOLIOS, {"name": "Savings"}).status_code == 201
    assert code(writer.get(PORTFOLIOS)) == (403, "scope_missing")


def test_staff_endpoints_need_the_scope_and_a_staff_account(alice: User, db: None) -> None:
    root = User.objects.create_superuser("root@example.com", PASSWORD)
    with_scope, _ = with_token(root, "staff")
    without, _ = with_token(root, "read", "write")
    assert with_scope.get("/api/v1/users/").status_code == 200
    assert code(without.get("/api/v1/users/")) == (403, "scope_missing")
    User.objects.filter(pk=root.pk).update(is_staff=False)
    assert code(with_scope.get("/api/v1/users/")) == (403, "permission_denied")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "me/"),
        ("patch", "me/"),
        ("delete", "me/"),
        ("get", "me/export/"),
        ("post", "password/change/"),
        ("post", "logout/"),
        ("get", "tokens/"),
        ("post", "tokens/"),
        ("delete", "tokens/1/"),
    ],
)
def test_the_account_itself_is_closed_to_tokens(alice: User, method: str, path: str) -> None:
    program, _ = with_token(alice, "read", "write")
    assert code(getattr(program, method)(f"{AUTH}/{path}")) == (403, "scope_missing")


@pytest.mark.parametrize("secret", ["cpt_", "cpt_nonsense", "cpt_" + "x" * 5000, "cpt_\x00", "cpt_é"])
@pytest.mark.django_db
def test_it_refuses_what_is_no_token(api: APIClient, secret: str) -> None:
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    answer = api.get(PORTFOLIOS)
    assert code(answer) == (401, "token_not_valid")
    assert answer["WWW-Authenticate"] == 'Bearer realm="api"'


def test_a_token_ends_at_its_time_and_with_its_owner(alice: User) -> None:
    short, token = with_token(alice, "read", expires_at=timezone.now() + timedelta(hours=1))
    assert short.get(PORTFOLIOS).status_code == 200
    ApiToken.objects.filter(pk=token.pk).update(expires_at=timezone.now())
    assert code(short.get(PORTFOLIOS)) == (401, "token_not_valid")
    lasting, _ = with_token(alice, "read")
    services.set_active(users=User.objects.filter(pk=alice.pk), is_active=False)
    assert code(lasting.get(PORTFOLIOS)) == (401, "token_not_valid")


def test_every_way_of_changing_the_password_ends_the_tokens(alice: User) -> None:
    program, _ = with_token(alice, "read")
    alice.set_password("set by a command")
    alice.save()
    assert code(program.get(PORTFOLIOS)) == (401, "token_not_valid")
    again, _ = with_token(alice, "read")
    alice.name = "Al"
    alice.save()  # another change leaves them alone
    assert again.get(PORTFOLIOS).status_code == 200


def test_it_writes_the_last_use_at_most_once_a_minute(alice: User) -> None:
    program, token = with_token(alice, "read")
    program.get(PORTFOLIOS)
    token.refresh_from_db()
    first = token.last_used_at
    assert first is not None
    program.get(PORTFOLIOS)
    token.refresh_from_db()
    assert token.last_used_at == first
    ApiToken.objects.filter(pk=token.pk).update(last_used_at=first - timedelta(seconds=61))
    program.get(PORTFOLIOS)
    token.refresh_from_db()
    assert token.last_used_at is not None
    assert token.last_used_at > first


def test_its_page_shows_a_new_token_once_and_revokes_it(client: Client, alice: User, bob: User) -> None:
    client.post("/sign-in/", {"login": alice.email, "password": PASSWORD})
    assert client.get("/account/tokens/")["Location"].startswith("/account/confirm/")
    client.post("/account/confirm/", {"password": PASSWORD, "next": "/account/tokens/"})
    created = {"token-name": "script", "token-scopes": ["read"], "token-days": "30"}
    assert client.post("/account/tokens/", created)["Location"] == "/account/tokens/"
    token = ApiToken.objects.get()
    first, second = (client.get("/account/tokens/").content.decode() for _ in range(2))
    assert "shown this once" in first
    assert "shown this once" not in second
    assert token.start in second
    assert "Staff endpoints" not in second
    _, other = with_token(bob, "read")
    assert client.post(f"/account/tokens/{other.pk}/revoke/").status_code == 404
    client.post(f"/account/tokens/{token.pk}/revoke/")
    token.refresh_from_db()
    assert token.state == "revoked"


def test_there_are_three_roles_of_staff(db: None) -> None:
    assert set(Group.objects.values_list("name", flat=True)) >= {"support", "operator", "administrator"}
