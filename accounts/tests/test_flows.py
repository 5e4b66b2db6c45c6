"""The four flows that must not fail, by a person in a real browser with their mail beside it."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from allauth.mfa.totp.internal import auth as totp
from django.core import mail

from accounts.models import User
from accounts.tests.conftest import PASSWORD, mailed_link

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.django_db(transaction=True)]

EMAIL = "ada@example.org"


@pytest.fixture
def page(browser: "Browser", live_server: Any) -> "Iterator[Page]":
    """A page in a fresh profile; an error on its console fails the test, a blocked script among them."""
    context = browser.new_context(base_url=live_server.url)
    opened = context.new_page()
    opened.set_default_timeout(20_000)
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    yield opened
    context.close()
    assert errors == []


@pytest.fixture
def ada(transactional_db: None) -> User:
    return User.objects.create_user(EMAIL, PASSWORD)


def sign_in(page: "Page", password: str = PASSWORD) -> None:
    page.goto("/sign-in/")
    page.get_by_label("E-mail address").fill(EMAIL)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def say_again_who(page: "Page") -> None:
    page.wait_for_url("**/account/confirm/**")
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()


@pytest.mark.usefixtures("mail_needed")
def test_a_person_signs_up_confirms_and_signs_in(page: "Page") -> None:
    page.goto("/sign-up/")
    page.get_by_label("E-mail address").fill(EMAIL)
    for field in page.locator("input[type=password]").all():
        field.fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    page.wait_for_url("**/account/confirm-email/")
    assert mail.outbox[-1].to == [EMAIL]
    page.goto(mailed_link())
    page.get_by_role("button", name="Yes, confirm it").click()
    page.wait_for_url("**/sign-in/")
    assert f"{EMAIL} is confirmed" in page.locator("main").inner_text()
    sign_in(page)
    page.wait_for_url("**/dashboard/")


def test_a_person_sets_a_forgotten_password(page: "Page", ada: User) -> None:
    page.goto("/sign-in/")
    page.get_by_role("link", name="Forgotten the password?").click()
    page.get_by_label("E-mail address").fill(EMAIL)
    page.get_by_role("button", name="Mail me a link").click()
    page.wait_for_url("**/account/reset/done/")
    page.goto(mailed_link())
    for field in page.locator("input[type=password]").all():
        field.fill("a better password")
    page.get_by_role("button", name="Set the password").click()
    page.wait_for_url("**/sign-in/")
    sign_in(page, "a better password")
    page.wait_for_url("**/dashboard/")


def test_a_person_sets_a_second_factor_up_and_gets_in_by_a_recovery_code(page: "Page", ada: User) -> None:
    sign_in(page)
    page.wait_for_url("**/dashboard/")
    page.goto("/account/two-factor/totp/activate/")
    say_again_who(page)
    secret = page.locator("#authenticator_secret").inner_text()
    counters = list(totp.yield_hotp_counters_from_time())
    code = totp.format_hotp_value(totp.hotp_value(secret, counters[1]))
    page.get_by_label("Code that the app shows now").fill(code)
    page.get_by_role("button", name="Switch it on").click()
    page.wait_for_url("**/recovery-codes/")
    recovery = page.locator("#recovery_codes code").first.inner_text()
    page.get_by_role("button", name="Sign out").click()
    sign_in(page)
    page.wait_for_url("**/two-factor/authenticate/")
    page.get_by_label("Code of your app, or a recovery code").fill(recovery)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/dashboard/")
    page.goto("/account/two-factor/")
    assert "9 of 10 are left" in page.locator("main").inner_text()


def test_a_person_adds_a_passkey_and_gets_in_by_it_alone(page: "Page", ada: User, live_server: Any) -> None:
    home = live_server.url.replace("127.0.0.1", "localhost")  # browsers take no bare address for a passkey
    keys = page.context.new_cdp_session(page)
    keys.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    keys.send(
        "WebAuthn.addVirtualAuthenticator",
        {"options": {**options, "isUserVerified": True, "automaticPresenceSimulation": True}},
    )
    page.goto(f"{home}/sign-in/")
    page.get_by_label("E-mail address").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/dashboard/")
    page.goto(f"{home}/account/two-factor/webauthn/add/")
    say_again_who(page)
    page.get_by_label("Also sign in with it alone").check()
    page.get_by_role("button", name="Add it").click()
    page.wait_for_url("**/recovery-codes/")
    page.get_by_role("button", name="Sign out").click()
    page.goto(f"{home}/sign-in/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url("**/dashboard/")


def test_a_person_deletes_the_account(page: "Page", ada: User) -> None:
    sign_in(page)
    page.wait_for_url("**/dashboard/")
    page.goto("/account/")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download my data").click()
    assert EMAIL in download.value.path().read_text()
    page.get_by_label("Your password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Delete my account").click()
    page.wait_for_url(re.compile(r"/$"))
    assert not User.objects.exists()
    sign_in(page)
    assert "the password is wrong" in page.locator("main").inner_text()
