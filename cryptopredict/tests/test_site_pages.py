"""The status page, the theme switch, the error pages, and what every page's frame promises."""

import re
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.urls import include, path
from django.utils import timezone

from cryptopredict.operations.models import TaskRun
from markets.models import Cryptocurrency, SyncRun

PUBLIC = ("/", "/track-record/", "/method/", "/status/", "/developers/", "/sign-in/", "/sign-up/")


def broken(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("broken on purpose")


urlpatterns = [path("broken/", broken), path("", include("cryptopredict.urls"))]
handler500 = "cryptopredict.views.server_error"


@pytest.fixture
def alice(db: None) -> Any:
    return get_user_model().objects.create_user("alice@example.org", "correct horse battery")


class Outline(HTMLParser):
    """What a screen reader's user steers by."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, *names: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag in names]


@pytest.mark.django_db
@pytest.mark.parametrize("address", PUBLIC)
def test_it_gives_every_page_a_frame_that_can_be_steered_by_keyboard_and_ear(client: Client, address: str) -> None:
    outline = Outline(client.get(address).content.decode())
    assert outline.all("html")[0]["lang"] == "en"
    assert len(outline.all("h1")) == 1
    assert len(outline.all("main")) == 1
    assert outline.all("a")[0]["href"] == "#content", "the skip link comes first"
    ids = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(ids) == len(set(ids)), "an id stands once"
    labelled = {attributes.get("for") for attributes in outline.all("label")}
    for field in outline.all("input", "select", "textarea"):
        assert field.get("type") == "hidden" or field.get("id") in labelled or "aria-label" in field, field
    assert all("scope" in attributes for attributes in outline.all("th"))
    assert len(outline.all("table")) == len(outline.all("caption"))


@pytest.mark.django_db
def test_it_offers_what_fits_the_visitor_in_the_header(client: Client, alice: Any) -> None:
    html = client.get("/").content.decode()
    assert "Sign up" in html
    assert "Sign out" not in html
    client.force_login(alice)
    html = client.get("/").content.decode()
    assert "Sign up" not in html
    for words in ("Dashboard", "Account", "Sign out"):
        assert words in html


@pytest.mark.django_db
def test_it_marks_the_page_that_is_open(client: Client) -> None:
    found = re.findall(r'<a href="([^"]+)" aria-current="page">', client.get("/method/").content.decode())
    assert found == ["/method/"]


# Status -------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_it_shows_a_status_before_anything_has_run(client: Client) -> None:
    html = client.get("/status/").content.decode()
    assert "No prices have arrived yet" in html
    assert "Beat has queued nothing yet" in html
    assert "No sync has run yet" in html
    assert "none yet" in html


@pytest.mark.django_db
def test_it_shows_the_age_of_the_data_and_how_jobs_ended(client: Client) -> None:
    now = timezone.now()
    Cryptocurrency.objects.create(
        coingecko_id="bitcoin", symbol="btc", name="Bitcoin", price_usd=1.0, price_at=now - timedelta(hours=3)
    )
    SyncRun.objects.create(
        kind=SyncRun.Kind.PRICES, state=SyncRun.State.FAILED, finished_at=now, problem="secret upstream text"
    )
    for i, state in enumerate(("succeeded", "failed")):
        TaskRun.objects.create(task_id=str(i), name="markets.cleanup_old_data", state=state, traceback="secret")
    html = client.get("/status/").content.decode()
    assert "Prices are older than they should be" in html
    assert "3 hours ago" in html
    row = next(row for row in html.split("<tr>") if "Clean up old data" in row)
    assert "badge-bad" in row, "the newest run counts"
    assert "secret" not in html, "a public page shows no tracebacks"


# Theme --------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_it_keeps_a_visitors_theme_in_a_cookie(client: Client) -> None:
    assert 'data-theme="system"' in client.get("/").content.decode()
    answer = client.post("/theme/", {"theme": "dark", "next": "/method/"})
    assert answer.status_code == 302
    assert answer["Location"] == "/method/"
    assert 'data-theme="dark"' in client.get("/").content.decode()


def test_it_keeps_the_theme_of_who_is_signed_in_with_the_account(client: Client, alice: Any) -> None:
    client.force_login(alice)
    client.post("/theme/", {"theme": "light"})
    alice.refresh_from_db()
    assert alice.theme == "light"
    client.cookies.pop("theme")
    assert 'data-theme="light"' in client.get("/").content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "javascript:alert(1)", ""])
def test_it_leads_nowhere_else_after_a_switch_of_theme(client: Client, target: str) -> None:
    assert client.post("/theme/", {"theme": "dark", "next": target})["Location"] == "/"


@pytest.mark.django_db
def test_it_refuses_a_theme_that_does_not_exist(client: Client, alice: Any) -> None:
    client.force_login(alice)
    answer = client.post("/theme/", {"theme": "pink"})
    assert answer.status_code == 400
    assert "theme" not in answer.cookies
    alice.refresh_from_db()
    assert alice.theme == "system"
    assert client.get("/theme/").status_code == 405


# Errors -------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_it_answers_for_an_unknown_address_with_a_page(client: Client) -> None:
    answer = client.get("/no/such/page/")
    assert answer.status_code == 404
    assert "There is nothing at this address" in answer.content.decode()


@override_settings(ROOT_URLCONF="cryptopredict.tests.test_site_pages")
def test_it_says_that_a_failure_is_ours_without_asking_the_database(client: Client) -> None:
    client.raise_request_exception = False
    client.cookies["theme"] = "dark"
    answer = client.get("/broken/")  # this test may not use a database, so a query would fail it
    html = answer.content.decode()
    assert answer.status_code == 500
    assert "Something went wrong on our side" in html
    assert "broken on purpose" not in html
    assert 'data-theme="dark"' in html
    assert "<strong>Sample data.</strong>" in html
    assert "default-src 'self'" in answer["Content-Security-Policy"]


@pytest.mark.django_db
def test_it_explains_a_form_that_was_open_too_long() -> None:
    answer = Client(enforce_csrf_checks=True).post("/theme/", {"theme": "dark"})
    assert answer.status_code == 403
    assert "This form could not be accepted" in answer.content.decode()
