"""What guards an account on the pages: confirmed addresses, sessions that end, links good once, data to take away."""

from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.core import mail
from django.test import Client
from django.utils import timezone

from accounts.models import User
from accounts.tests.conftest import PASSWORD, mailed_link, with_token
from accounts.views.guards import browser_name

NEW_PASSWORD = {"new_password1": "a better password", "new_password2": "a better password"}
SIGN_UP = {"email": "new@example.com", "name": "", "password1": PASSWORD, "password2": PASSWORD}


def sign_in(client: Client, email: str = "alice@example.com", password: str = PASSWORD) -> Any:
    return client.post("/sign-in/", {"login": email, "password": password})


def confirmed(client: Client) -> Client:
    """Signed in, and asked again who it is."""
    sign_in(client)
    client.post("/account/confirm/", {"password": PASSWORD, "next": "/account/"})
    return client


def is_signed_in(client: Client) -> bool:
    return client.get("/account/").status_code == 200


@pytest.mark.usefixtures("mail_needed")
@pytest.mark.django_db
def test_with_a_mail_server_it_lets_in_once_the_address_is_confirmed(client: Client) -> None:
    assert client.post("/sign-up/", SIGN_UP)["Location"] == "/account/confirm-email/"
    assert sign_in(client, "new@example.com")["Location"] == "/account/confirm-email/"
    assert not is_signed_in(client)
    link = mailed_link()
    assert "Is <strong>new@example.com</strong> your address?" in client.get(link).content.decode()
    assert not EmailAddress.objects.get().verified  # a mail program that looks at links confirms nothing
    assert client.post(link)["Location"] == "/sign-in/"
    assert sign_in(client, "new@example.com")["Location"] == "/dashboard/"
    assert "not good any more" in Client().get(link).content.decode()


@pytest.mark.django_db
def test_without_a_mail_server_it_lets_in_at_once_and_says_where_mails_are(client: Client) -> None:
    page = client.get("/sign-up/").content.decode()
    assert "no mail server" in page
    client.post("/sign-up/", SIGN_UP)
    assert sign_in(client, "new@example.com")["Location"] == "/dashboard/"
    assert "not confirmed" in client.get("/account/").content.decode()


@pytest.mark.usefixtures("mail_needed")
@pytest.mark.django_db
def test_it_says_with_a_mail_server_that_a_mail_comes(client: Client) -> None:
    page = client.get("/sign-up/").content.decode()
    assert "We mail you a link" in page
    assert "no mail server" not in page


def test_who_runs_the_site_needs_no_mail(client: Client, mail_needed: None, db: None) -> None:
    User.objects.create_superuser("root@localhost", PASSWORD)
    assert sign_in(client, "root@localhost")["Location"] == "/dashboard/"


def test_it_changes_the_address_once_the_new_one_is_confirmed(client: Client, alice: User) -> None:
    assert confirmed(client).post("/account/email/", {"email": "Al@Example.org"}).status_code == 302
    alice.refresh_from_db()
    assert alice.email == "alice@example.com"
    assert mail.outbox[-1].to == ["al@example.org"]
    client.post(mailed_link())
    alice.refresh_from_db()
    assert alice.email == "al@example.org"
    assert list(EmailAddress.objects.values_list("email", "verified", "primary")) == [("al@example.org", True, True)]
    assert mail.outbox[-1].to == ["alice@example.com"]  # the old address is told
    assert sign_in(Client(), "al@example.org").status_code == 302
    assert sign_in(Client(), "alice@example.com").status_code == 200


def test_it_answers_the_same_for_a_new_address_that_is_taken_and_never_gives_it(
    client: Client, alice: User, bob: User
) -> None:
    confirmed(client)
    taken = client.post("/account/email/", {"email": bob.email})
    link = mailed_link()
    free = client.post("/account/email/", {"email": "free@example.com"})
    assert (taken.status_code, taken["Location"]) == (free.status_code, free["Location"])
    assert len(mail.outbox) == 2
    client.post(link)
    alice.refresh_from_db()
    assert alice.email == "alice@example.com"


def test_it_keeps_the_address_when_the_change_is_dropped(client: Client, alice: User) -> None:
    confirmed(client).post("/account/email/", {"email": "al@example.org"})
    link = mailed_link()
    client.post("/account/email/", {"drop": "1"})
    assert "not good any more" in client.get(link).content.decode()
    assert client.get("/account/email/").status_code == 200
    same = client.post("/account/email/", {"email": "ALICE@example.com"})
    assert "This is your address already" in same.content.decode()


def test_it_sets_a_forgotten_password_once_and_ends_everything_else(client: Client, alice: User) -> None:
    laptop, phone = Client(), Client()
    sign_in(phone)
    program, _ = with_token(alice, "read")
    assert laptop.post("/account/reset/", {"email": alice.email})["Location"] == "/account/reset/done/"
    link = mailed_link()
    opened = laptop.get(link)
    assert opened["Location"] == "/account/reset/set/"  # the key is out of the address bar
    weak = laptop.post("/account/reset/set/", {"new_password1": "short", "new_password2": "short"})
    assert "too short" in weak.content.decode()
    assert laptop.post("/account/reset/set/", NEW_PASSWORD)["Location"] == "/sign-in/"
    assert not is_signed_in(phone)
    assert program.get("/api/v1/portfolios/").status_code == 401
    assert client.get(link, follow=True).status_code == 400
    assert sign_in(client, password="a better password").status_code == 302
    assert "set anew through a mailed link" in mail.outbox[-1].body


def test_it_ends_one_session_or_all_others(client: Client, alice: User, bob: User) -> None:
    phone, tablet, stranger = Client(), Client(), Client()
    for device in (client, phone, tablet):
        sign_in(device)
    sign_in(stranger, bob.email)
    theirs = UserSession.objects.get(user=bob)
    of_phone = UserSession.objects.get(session_key=phone.session.session_key)
    client.post("/account/sessions/", {"session": theirs.pk})
    client.post("/account/sessions/", {"session": of_phone.pk})
    assert [is_signed_in(device) for device in (client, phone, tablet, stranger)] == [True, False, True, True]
    client.post("/account/sessions/")
    assert [is_signed_in(device) for device in (client, tablet, stranger)] == [True, False, True]
    assert client.post("/account/sessions/", {"session": "9" * 40}).status_code == 302


def test_it_forgets_sessions_that_have_ended_and_shows_the_others_newest_first(client: Client, alice: User) -> None:
    phone, tablet, laptop = Client(), Client(), Client()
    for device in (phone, tablet, laptop, client):
        sign_in(device)
    Session.objects.filter(session_key=phone.session.session_key).update(expire_date=timezone.now())
    stolen = tablet.session
    stolen["_auth_user_hash"] = "of another password"
    stolen.save()
    shown = client.get("/account/sessions/").context["sessions"]
    assert [one.session_key for one in shown] == [client.session.session_key, laptop.session.session_key]
    assert UserSession.objects.filter(user=alice).count() == 2


def test_it_gives_a_session_a_new_key_at_sign_in(client: Client, alice: User) -> None:
    client.get("/sign-in/")
    session = client.session
    session["planted"] = "by an attacker"
    session.save()
    planted = str(session.session_key)
    client.cookies["sessionid"] = planted
    sign_in(client)
    assert client.session.session_key != planted
    thief = Client()
    thief.cookies["sessionid"] = planted
    assert not is_signed_in(thief)


def test_a_changed_password_keeps_this_session_in_the_list_and_is_told_by_mail(client: Client, alice: User) -> None:
    sign_in(client)
    client.post("/account/password/", {"old_password": PASSWORD, **NEW_PASSWORD})
    assert "this one" in client.get("/account/sessions/").content.decode()
    assert mail.outbox[-1].subject == "[CryptoPredict] Your password was changed"


def test_it_hands_out_everything_that_it_keeps_and_nobody_elses(client: Client, alice: User, bob: User) -> None:
    sign_in(client)
    with_token(bob, "read")
    answer = client.post("/account/export/")
    assert answer["Content-Disposition"] == 'attachment; filename="cryptopredict-my-data.json"'
    data = answer.json()
    assert data["profile"]["email"] == alice.email
    assert data["known addresses"][0]["address"] == "127.0.0.1"
    assert len(data["user sessions"]) == 1
    text = answer.content.decode()
    for secret in (alice.password, str(client.session.session_key), "session_key", bob.email):
        assert secret not in text
    assert client.get("/account/export/").status_code == 405


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0", "Firefox on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/120.0 Safari/537.36 Edg/120.0", "Edge on Windows"),
        ("curl/8.5", "curl/8.5"),
        ("", "An unknown browser"),
    ],
)
def test_it_calls_a_browser_as_people_do(user_agent: str, name: str) -> None:
    assert browser_name(user_agent) == name
