"""A person in a real browser, on the whole running product: web, worker, trainer, beat and the sample market."""

import json
import re
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from cryptopredict.tests.processes import Installation, wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.slow, pytest.mark.browser]

FIRST_FORECASTS_SECONDS = 180


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(url: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, None
    except OSError:
        return 0, None


class Site:
    """The product as `make run MARKET=sample` starts it."""

    def __init__(self, installation: Installation, port: int) -> None:
        self.installation = installation
        self.url = f"http://127.0.0.1:{port}"
        self.process = installation.start(sys.executable, "-m", "cryptopredict.operations.run")

    def children(self, part: str) -> list[psutil.Process]:
        """The processes of this site whose command line holds the part."""
        found = psutil.Process(self.process.pid).children(recursive=True)
        return [child for child in found if part in " ".join(child.cmdline())]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    port = free_port()
    installation = Installation(tmp_path_factory.mktemp("site"), PORT=str(port), TRACKED_COINS="12")
    try:
        made = Site(installation, port)
        forecast = f"{made.url}/api/v1/cryptocurrencies/bitcoin/forecast/"
        wait_for("the first forecast", lambda: ask(forecast)[0] == 200, FIRST_FORECASTS_SECONDS, log=installation.log)
        yield made
    finally:
        installation.stop()


@pytest.fixture
def page(browser: "Browser", site: Site) -> "Iterator[Page]":
    """A page in a fresh profile; an error on its console fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    opened.set_default_timeout(10_000)
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    yield opened
    context.close()
    assert errors == []


def test_it_takes_a_person_from_signing_up_to_the_value_of_a_purchase(page: "Page", site: Site) -> None:
    page.goto(site.url)
    page.get_by_role("link", name="Sign up").click()
    page.get_by_label("E-mail address").fill("ada@example.org")
    for field in page.locator("input[type=password]").all():
        field.fill("correct horse battery")
    page.get_by_role("button", name="Create account").click()
    page.wait_for_url("**/sign-in/")
    page.get_by_label("E-mail address").fill("ada@example.org")
    page.locator("input[type=password]").fill("correct horse battery")
    page.locator("form.form button[type=submit]").click()
    page.wait_for_url("**/dashboard/")

    page.get_by_label("Search for a coin").fill("bitcoin")
    page.get_by_label("Search for a coin").press("Enter")
    page.get_by_role("link", name=re.compile("^B?\\s*Bitcoin")).first.click()
    page.wait_for_url("**/coins/bitcoin/")
    page.locator(".js-plotly-plot .scatterlayer path").first.wait_for()
    assert "80%" in page.locator("body").inner_text()
    assert "Baseline" in page.locator("body").inner_text()

    page.goto(f"{site.url}/portfolios/add/")
    page.get_by_label("Name").fill("Savings")
    page.locator("form.form button[type=submit]").click()
    page.get_by_role("link", name="Add transaction").first.click()
    page.get_by_label("What happened").select_option("buy")
    page.get_by_label("Coin", exact=True).fill("bitcoin")
    page.get_by_label("Quantity").fill("-2")
    page.get_by_role("button", name="Add transaction").click()
    assert page.locator(".error, .notice-error").count() > 0  # a negative quantity is refused, and said so
    page.get_by_label("Quantity").fill("0.5")
    page.get_by_label(re.compile("^Price")).fill("20000")
    page.get_by_role("button", name="Add transaction").click()
    page.wait_for_url(re.compile(r"/portfolios/\d+/$"))

    price = ask(f"{site.url}/api/v1/cryptocurrencies/bitcoin/prices/latest/")[1]["price_usd"]
    shown = page.locator("body").inner_text()
    assert "Bitcoin" in shown
    assert "$10,000.00" in shown  # what it cost
    assert f"${price / 2:,.2f}"[:4] in shown  # what it is worth, but for a tick in between

    page.get_by_role("button", name="Sign out").click()
    page.goto(f"{site.url}/dashboard/")
    assert "/sign-in/" in page.url


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/coins/bitcoin/",
        "/track-record/",
        "/models/",
        "/method/",
        "/status/",
        "/forecasts/1/",
        "/developers/",
        "/sign-in/",
        "/sign-up/",
        "/account/reset/",
        "/account/confirm-email/",
    ],
)
def test_it_fits_every_page_to_the_screen_and_loads_nothing_from_elsewhere(
    browser: "Browser", site: Site, path: str, width: int, scheme: Any
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    opened = context.new_page()
    errors: list[str] = []
    hosts: set[str] = set()
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    opened.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    opened.goto(site.url + path, wait_until="networkidle")
    wider = opened.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    context.close()
    assert errors == []
    assert hosts == {site.url.removeprefix("http://")}
    assert wider <= 0


def test_it_stays_light_after_serving_pages(site: Site) -> None:
    for path in ("/", "/coins/bitcoin/", "/track-record/", "/api/schema/", "/method/"):
        for _ in range(5):
            urllib.request.urlopen(site.url + path, timeout=20).read()
    web = site.children("gunicorn")
    assert web
    assert max(process.memory_info().rss for process in web) < 150 * 2**20


def test_it_shows_what_it_has_when_upstream_is_gone(site: Site, tmp_path: Path) -> None:
    (upstream,) = site.children("markets.sample")
    upstream.kill()
    for path in ("/", "/coins/bitcoin/", "/status/", "/track-record/"):
        with urllib.request.urlopen(site.url + path, timeout=20) as answer:
            assert answer.status == 200
    assert ask(f"{site.url}/api/v1/cryptocurrencies/bitcoin/forecast/")[0] == 200


def test_it_lets_staff_run_a_job_see_it_succeed_and_find_it_in_the_audit_log(page: "Page", site: Site) -> None:
    code = (
        "from accounts.models import User\n"
        "User.objects.create_user('ops@example.org', 'correct horse battery', is_staff=True)"
    )
    site.installation.evaluate(code)
    page.goto(f"{site.url}/ops/")
    page.get_by_label("E-mail address").fill("ops@example.org")
    page.locator("input[type=password]").fill("correct horse battery")
    page.locator("form.form button[type=submit]").click()
    page.wait_for_url("**/ops/")
    page.get_by_role("heading", name="Operations").wait_for()
    page.locator("table", has_text="Workers and beat").get_by_text("beat@").wait_for(timeout=30_000)

    page.get_by_role("link", name="Jobs").click()
    page.get_by_role("button", name="Run Sync all prices now").click()
    page.wait_for_url(re.compile(r"/ops/tasks/[0-9a-f-]{36}/"))
    page.get_by_role("heading", name="markets.sync_all_prices").wait_for()
    # The page renews itself: nobody has to reload it to see the end.
    page.locator(".badge", has_text="succeeded").wait_for(timeout=30_000)

    page.get_by_role("link", name="Audit log").click()
    entry = page.locator("tbody tr").first.inner_text()
    assert "ops@example.org" in entry
    assert "task.run" in entry
    assert "markets.sync_all_prices" in entry

    page.set_viewport_size({"width": 390, "height": 800})
    for path in ("", "tasks/", "quality/", "coins/", "audit/"):
        page.goto(f"{site.url}/ops/{path}")
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider <= 0, path
