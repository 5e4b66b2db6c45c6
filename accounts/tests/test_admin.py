"""What staff can do with accounts."""

import re

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework_simplejwt.exceptions import TokenError

from accounts.models import KnownAddress, User
from accounts.tests.conftest import PASSWORD, with_token
from accounts.tokens import issue_tokens, verify_token

USERS = "/admin/accounts/user/"


@pytest.fixture
def staff(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_superuser("root@example.com", PASSWORD))
    return client


def test_it_lists_filters_and_searches(staff: Client, alice: User, bob: User) -> None:
    def shown(query: str) -> list[str]:
        response = staff.get(f"{USERS}?{query}")
        assert response.status_code == 200
        return sorted(user.email for user in response.context["cl"].queryset)

    assert shown("q=alic") == ["alice@example.com"]
    assert shown("q=Bob") == ["bob@example.com"]
    assert shown("is_staff__exact=1") == ["root@example.com"]
    assert shown("o=-1") == ["alice@example.com", "bob@example.com", "root@example.com"]


def test_it_adds_a_user_with_a_hashed_password(staff: Client) -> None:
    assert staff.get(f"{USERS}add/").status_code == 200
    form = {"email": "New@Example.com", "name": "", "usable_password": "true"}
    response = staff.post(f"{USERS}add/", {**form, "password1": PASSWORD, "password2": PASSWORD})
    assert response.status_code == 302
    user = User.objects.get(email="new@example.com")
    assert user.check_password(PASSWORD)
    assert not user.is_staff


def test_it_refuses_a_taken_address_and_a_weak_password(staff: Client, alice: User) -> None:
    form = {"email": "ALICE@example.com", "name": "", "usable_password": "true", "password1": "x", "password2": "x"}
    response = staff.post(f"{USERS}add/", form)
    faults = response.context["adminform"].form.errors
    assert {"email", "password2"} <= set(faults)
    assert not User.objects.exclude(pk=alice.pk).filter(is_superuser=False).exists()


def test_it_changes_a_user(staff: Client, alice: User) -> None:
    page = staff.get(f"{USERS}{alice.pk}/change/")
    assert page.status_code == 200
    initial = page.context["adminform"].form.initial
    names = ("email", "name", "language", "currency", "time_zone", "theme")
    form = {name: initial[name] for name in names} | {"name": "Alicia", "is_active": "on"}
    assert staff.post(f"{USERS}{alice.pk}/change/", form).status_code == 302
    alice.refresh_from_db()
    assert (alice.name, alice.is_active) == ("Alicia", True)
    assert alice.check_password(PASSWORD)


def test_it_deactivates_and_activates_the_selected(staff: Client, alice: User, bob: User) -> None:
    pair = issue_tokens(alice)
    phone = Client()
    phone.force_login(alice)
    root = User.objects.get(is_superuser=True)
    chosen = {"_selected_action": [alice.pk, root.pk]}
    staff.post(USERS, {"action": "deactivate", **chosen})
    assert set(User.objects.filter(is_active=True)) == {bob, root}  # nobody locks themselves out
    with pytest.raises(TokenError):
        verify_token(pair.refresh)
    assert phone.get("/account/").status_code == 302
    staff.post(USERS, {"action": "activate", **chosen})
    assert User.objects.filter(is_active=True).count() == 3
    with pytest.raises(TokenError):
        verify_token(pair.refresh)  # an old token does not come back to life


def test_it_keeps_who_is_no_staff_out(client: Client, alice: User) -> None:
    client.force_login(alice)
    assert client.get(USERS).status_code == 302
    assert client.get("/admin/login/").status_code == 403
    response = Client().post("/admin/login/", {"username": "alice@example.com", "password": PASSWORD})
    assert (response.status_code, response["Location"]) == (302, "/sign-in/?next=%2Fadmin%2Flogin%2F")
    assert "_auth_user_id" not in response.client.session


@pytest.mark.parametrize("page", ["user", "apitoken", "knownaddress"])
def test_its_lists_ask_the_database_as_often_for_many_rows_as_for_few(staff: Client, page: str) -> None:
    def asked(people: int) -> int:
        for number in range(User.objects.count(), people):
            user = User.objects.create_user(f"p{number}@example.com", None)
            user.groups.add(Group.objects.get(name="support"))
            with_token(user, "read")
            KnownAddress.objects.create(user=user, address="192.0.2.1")
        with CaptureQueriesContext(connection) as queries:
            assert staff.get(f"/admin/accounts/{page}/").status_code == 200
        return len(queries)

    asked(3)  # warms up
    assert asked(3) == asked(15)


def test_its_rows_lead_to_what_belongs_to_a_user(staff: Client, alice: User) -> None:
    _, token = with_token(alice, "read")
    users = staff.get(USERS).content.decode()
    for link in re.findall(r'href="(/admin/[^"]+user__id__exact=\d+|/admin/[^"]+owner__id__exact=\d+)"', users):
        assert staff.get(link).status_code == 200
    assert f"/admin/accounts/apitoken/?user__id__exact={alice.pk}" in users
    tokens = staff.get(f"/admin/accounts/apitoken/?user__id__exact={alice.pk}").content.decode()
    assert f"{USERS}{alice.pk}/change/" in tokens
    assert token.digest not in tokens


def test_staff_revoke_a_token(staff: Client, alice: User) -> None:
    _, token = with_token(alice, "read")
    staff.post("/admin/accounts/apitoken/", {"action": "revoke", "_selected_action": [token.pk]})
    token.refresh_from_db()
    assert token.state == "revoked"


def test_a_password_set_by_staff_ends_sessions_and_tokens(staff: Client, alice: User) -> None:
    pair = issue_tokens(alice)
    program, _ = with_token(alice, "read")
    new = {"password1": "a better password", "password2": "a better password", "usable_password": "true"}
    assert staff.post(f"{USERS}{alice.pk}/password/", new).status_code == 302
    with pytest.raises(TokenError):
        verify_token(pair.refresh)
    assert program.get("/api/v1/portfolios/").status_code == 401


def in_role(role: str) -> Client:
    user = User.objects.create_user(f"{role}@example.com", PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize(
    ("role", "opens", "closed"),
    [
        ("support", ["accounts/user"], ["markets/cryptocurrency", "portfolios/portfolio", "accounts/apitoken"]),
        ("operator", ["markets/cryptocurrency", "predictions/trainedmodel"], ["accounts/user", "portfolios/portfolio"]),
        ("administrator", ["accounts/user", "markets/cryptocurrency", "portfolios/portfolio"], ["auth/group"]),
    ],
)
@pytest.mark.django_db
def test_each_role_opens_its_own_pages(role: str, opens: list[str], closed: list[str]) -> None:
    client = in_role(role)
    assert {client.get(f"/admin/{page}/").status_code for page in opens} == {200}
    assert {client.get(f"/admin/{page}/").status_code for page in closed} == {403}


def test_support_looks_at_people_and_changes_nothing(alice: User) -> None:
    support = in_role("support")
    assert support.get(f"{USERS}{alice.pk}/change/").status_code == 200
    assert support.post(f"{USERS}{alice.pk}/change/", {"email": "x@example.com"}).status_code == 403
    support.post(USERS, {"action": "deactivate", "_selected_action": [alice.pk]})
    alice.refresh_from_db()
    assert (alice.email, alice.is_active) == ("alice@example.com", True)


def test_an_administrator_gives_no_rights_and_touches_no_staff(alice: User) -> None:
    root = User.objects.create_superuser("root@example.com", PASSWORD)
    administrator = in_role("administrator")
    page = administrator.get(f"{USERS}{alice.pk}/change/")
    initial = page.context["adminform"].form.initial
    form = {name: initial[name] for name in ("email", "name", "language", "currency", "time_zone", "theme")}
    administrator.post(f"{USERS}{alice.pk}/change/", {**form, "name": "Al", "is_active": "on", "is_superuser": "on"})
    alice.refresh_from_db()
    assert (alice.name, alice.is_superuser, alice.is_staff) == ("Al", False, False)
    assert administrator.post(f"{USERS}{root.pk}/password/", {"password1": "x", "password2": "x"}).status_code == 403
    administrator.post(USERS, {"action": "deactivate", "_selected_action": [root.pk]})
    root.refresh_from_db()
    assert root.is_active


def test_ones_own_password_is_changed_on_the_account_page(staff: Client) -> None:
    assert staff.get("/admin/password_change/")["Location"] == "/account/"
