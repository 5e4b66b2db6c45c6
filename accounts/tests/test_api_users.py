"""Other people's accounts over the API: staff only, and never beyond one's own rights."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core import mail
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User
from accounts.tests.conftest import PASSWORD, mailed_key
from accounts.tests.test_api_auth import AUTH, code, faults
from accounts.tokens import issue_tokens

USERS = "/api/v1/users/"


@pytest.fixture
def root(db: None) -> User:
    return User.objects.create_superuser("root@example.com", PASSWORD)


@pytest.fixture
def staff(api: APIClient, root: User) -> APIClient:
    api.force_authenticate(root)
    return api


@pytest.fixture
def in_role(db: None) -> Callable[[str], APIClient]:
    def client_of(role: str) -> APIClient:
        user = User.objects.create_user(f"{role}@example.com", PASSWORD, is_staff=True)
        user.groups.add(Group.objects.get(name=role))
        client = APIClient()
        client.force_authenticate(User.objects.get(pk=user.pk))
        return client

    return client_of


def emails(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [row["email"].partition("@")[0] for row in answer.json()["results"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["bob", "alice", "root"]),
        ("search=ALI", ["alice"]),
        ("search=Bob", ["bob"]),
        ("is_staff=true", ["root"]),
        ("is_active=false", ["bob"]),
        ("ordering=email", ["alice", "bob", "root"]),
        ("ordering=-email&page_size=2", ["root", "bob"]),
        ("joined_before=2026-01-15T00:00:00Z", ["root"]),
        ("joined_after=2026-01-15T00:00:00Z&ordering=joined_at", ["alice", "bob"]),
    ],
)
def test_it_searches_filters_orders_and_pages(
    staff: APIClient, root: User, alice: User, bob: User, query: str, expected: list[str]
) -> None:
    for day, user in ((10, root), (20, alice), (30, bob)):
        User.objects.filter(pk=user.pk).update(joined_at=datetime(2026, 1, day, tzinfo=UTC))
    User.objects.filter(pk=bob.pk).update(is_active=False)
    assert emails(staff.get(f"{USERS}?{query}")) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("colour=red", {"colour": "unknown_parameter"}),
        ("is_staff=perhaps&joined_after=yesterday", {"is_staff": "invalid", "joined_after": "invalid"}),
        ("ordering=password", {"ordering": "invalid_choice"}),
        ("page_size=251", {"page_size": "max_value"}),
    ],
)
def test_it_refuses_parameters_with_faults(staff: APIClient, query: str, expected: dict[str, str]) -> None:
    assert faults(staff.get(f"{USERS}?{query}")) == expected


def test_it_asks_the_database_as_often_for_many_as_for_few(staff: APIClient, django_assert_num_queries: Any) -> None:
    for number in range(20):
        User.objects.create_user(f"p{number}@example.com", None)
    with django_assert_num_queries(2):
        staff.get(USERS)


def test_it_creates_a_person_who_sets_a_password_by_the_mailed_link(staff: APIClient) -> None:
    answer = staff.post(USERS, {"email": "New@Example.com", "name": "New"})
    assert answer.status_code == 201
    user = User.objects.get(pk=answer.json()["id"])
    assert (user.email, user.name, user.is_staff, user.has_usable_password()) == (
        "new@example.com",
        "New",
        False,
        False,
    )
    assert mail.outbox[0].to == ["new@example.com"]
    confirmed = APIClient().post(
        f"{AUTH}/password/reset/confirm/", {"key": mailed_key(), "new_password": "a better password"}
    )
    assert confirmed.status_code == 204
    user.refresh_from_db()
    assert user.check_password("a better password")


def test_creating_takes_no_parameters_of_the_list(staff: APIClient) -> None:
    assert faults(staff.post(f"{USERS}?search=x", {"email": "new@example.com"})) == {"search": "unknown_parameter"}


def test_it_creates_once_for_one_idempotency_key(staff: APIClient) -> None:
    for _ in range(2):
        answer = staff.post(USERS, {"email": "new@example.com"}, headers={"Idempotency-Key": "one"})
        assert answer.status_code == 201
    assert User.objects.filter(email="new@example.com").count() == 1


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({}, {"email": "required"}),
        ({"email": "ALICE@example.com"}, {"email": "unique"}),
        ({"email": "nobody"}, {"email": "invalid"}),
        ({"email": "a@example.com", "is_superuser": True}, {"is_superuser": "unknown_field"}),
        ({"email": "a@example.com", "time_zone": "Mars/Phobos"}, {"time_zone": "time_zone"}),
    ],
)
def test_it_refuses_a_person_naming_each_fault(
    staff: APIClient, alice: User, content: dict[str, Any], expected: dict[str, str]
) -> None:
    before = User.objects.count()
    assert faults(staff.post(USERS, content)) == expected
    assert User.objects.count() == before


def test_it_reads_and_changes_one_person(staff: APIClient, alice: User, bob: User) -> None:
    assert staff.get(f"{USERS}{alice.pk}/").json()["email"] == alice.email
    changed = staff.patch(f"{USERS}{alice.pk}/", {"name": "Al", "is_staff": True})
    assert (changed.status_code, changed.json()["name"], changed.json()["is_staff"]) == (200, "Al", True)
    assert faults(staff.patch(f"{USERS}{alice.pk}/", {"email": bob.email})) == {"email": "unique"}
    assert code(staff.get(f"{USERS}999999/")) == (404, "not_found")


def test_it_deactivates_at_once_and_lets_back_in(staff: APIClient, alice: User) -> None:
    pair = issue_tokens(alice)
    for _ in range(2):
        assert staff.delete(f"{USERS}{alice.pk}/").status_code == 204
    person = APIClient()
    person.credentials(HTTP_AUTHORIZATION=f"Bearer {pair.access}")
    assert person.get(f"{AUTH}/me/").status_code == 401
    answer = staff.post(f"{USERS}{alice.pk}/activate/")
    assert (answer.status_code, answer.json()["is_active"]) == (200, True)
    assert code(person.post(f"{AUTH}/token/refresh/", {"refresh": pair.refresh})) == (401, "token_not_valid")


def test_nobody_deactivates_themselves(staff: APIClient, root: User) -> None:
    assert code(staff.delete(f"{USERS}{root.pk}/")) == (403, "permission_denied")


def test_it_counts_totals_and_new_people_of_each_day(staff: APIClient, alice: User, bob: User) -> None:
    User.objects.filter(pk=bob.pk).update(is_active=False, joined_at=timezone.now() - timedelta(days=3))
    User.objects.filter(pk=alice.pk).update(joined_at=timezone.now() - timedelta(days=40), last_login=timezone.now())
    found = staff.get(f"{USERS}stats/").json()
    assert {name: found[name] for name in ("total", "active", "staff", "signed_in_30_days")} == {
        "total": 3,
        "active": 2,
        "staff": 1,
        "signed_in_30_days": 1,
    }
    days = [row["count"] for row in found["new_per_day"]]
    assert (len(days), sum(days), days[-1], days[-4]) == (30, 2, 1, 1)


@pytest.mark.parametrize("path", ["", "stats/", "1/", "1/activate/"])
def test_it_is_closed_to_who_is_no_staff(alice: User, path: str) -> None:
    client = APIClient()
    method = client.post if path.endswith("activate/") else client.get
    assert code(method(USERS + path)) == (401, "not_authenticated")
    client.force_authenticate(alice)
    assert code(method(USERS + path)) == (403, "permission_denied")


def test_support_reads_and_changes_nothing(in_role: Callable[[str], APIClient], alice: User) -> None:
    support = in_role("support")
    assert support.get(f"{USERS}{alice.pk}/").status_code == 200
    for answer in (
        support.post(USERS, {"email": "x@example.com"}),
        support.patch(f"{USERS}{alice.pk}/", {"name": "X"}),
        support.delete(f"{USERS}{alice.pk}/"),
        support.post(f"{USERS}{alice.pk}/activate/"),
    ):
        assert code(answer) == (403, "permission_denied")


def test_an_administrator_reaches_people_and_no_staff(
    in_role: Callable[[str], APIClient], alice: User, root: User
) -> None:
    administrator = in_role("administrator")
    assert administrator.patch(f"{USERS}{alice.pk}/", {"name": "Al"}).status_code == 200
    for answer in (
        administrator.patch(f"{USERS}{alice.pk}/", {"is_staff": True}),
        administrator.patch(f"{USERS}{root.pk}/", {"email": "mine@example.com"}),
        administrator.delete(f"{USERS}{root.pk}/"),
        administrator.post(USERS, {"email": "x@example.com", "is_staff": True}),
    ):
        assert code(answer) == (403, "permission_denied")
    root.refresh_from_db()
    assert (root.email, root.is_active) == ("root@example.com", True)
