"""Swagger UI and Redoc in a real browser: drawn from our own files, under the site's Content-Security-Policy."""

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from pytest_django.live_server_helper import LiveServer

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.django_db(transaction=True)]

VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (one) => (window.refused ||= []).push(one.blockedURI));
"""


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
@pytest.mark.parametrize(
    ("path", "drawn"), [("/api/docs/", ".opblock-summary-path"), ("/api/redoc/", "h2:has-text('Create a portfolio')")]
)
def test_it_draws_the_whole_document_and_asks_no_other_host(
    browser: "Browser", live_server: "LiveServer", path: str, drawn: str, width: int, scheme: Any
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    context.add_init_script(VIOLATIONS)
    page = context.new_page()
    said: list[str] = []
    hosts: set[str] = set()
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda message: said.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    page.goto(live_server.url + path, wait_until="networkidle")
    page.locator(drawn).first.wait_for()
    refused = page.evaluate("window.refused ?? []")
    is_dark = page.evaluate("document.documentElement.classList.contains('dark-mode')")
    wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    context.close()
    assert (said, refused) == ([], [])
    assert hosts == {live_server.url.removeprefix("http://")}
    assert is_dark == (scheme == "dark")
    assert wider <= 0
