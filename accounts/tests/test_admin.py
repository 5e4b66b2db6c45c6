"""What staff can do with accounts."""

import pytest
from django.test import Client
from rest_framework_simplejwt.exceptions import TokenError

from accounts.models import User
from accounts.tests.conftest import PASSWORD
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
