"""The page for developers: its code runs word for word, and its figures are the settings' own."""

import os
import re
import subprocess
import sys
from html import unescape
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from packaging.requirements import Requirement
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from accounts.models import ApiToken, User
from cryptopredict import developers
from cryptopredict.tests.processes import ROOT
from markets.models import Cryptocurrency
from portfolios.models import Portfolio, Transaction
from predictions.tests.ledger import make_coin, make_fan, make_ledger, make_model

CODE = re.compile(r'<code data-language="(\w+)">(.*?)</code>', re.DOTALL)


def shown_code(html: str, language: str) -> str:
    """All the page's blocks of one language, as a reader who copies one after the other has them."""
    return "\n\n".join(unescape(code) for name, code in CODE.findall(html) if name == language)


@pytest.fixture
def site(live_server: LiveServer, settings: Settings) -> str:
    """A running site with a market, a forecast and a short ledger."""
    settings.ALLOWED_HOSTS = ["localhost", "127.0.0.1"]
    bitcoin = make_coin()
    Cryptocurrency.objects.filter(pk=bitcoin.pk).update(
        price_usd=60_000.0, price_at=timezone.now(), market_cap_rank=1, volume_24h_usd=1e9
    )
    model = make_model()
    make_ledger(bitcoin, model, dates=8, scored=5)
    make_fan(bitcoin, model)
    return str(live_server.url)


def page_of(site: str) -> str:
    """The page as a reader at that address gets it."""
    done = subprocess.run(["curl", "-sSf", f"{site}/developers/"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


def only(package: str, folder: Path) -> None:
    """Fills a folder with links to one package and what it needs, and nothing else that is installed here."""
    found = distribution(package)
    for name in {file.parts[0] for file in found.files or [] if not file.parts[0].startswith((".", "__pycache__"))}:
        if not (folder / name).exists():
            (folder / name).symlink_to(Path(str(found.locate_file(name))))
    for text in found.requires or []:
        needed = Requirement(text)
        if needed.marker is None or needed.marker.evaluate({"extra": ""}):
            only(needed.name, folder)


def assert_it_did_what_it_says(output: str) -> None:
    for figure in ("as of", "band:", "baseline:", "evidence:", "304", "invalid_choice", ApiToken.PREFIX):
        assert figure in output
    user = User.objects.get(email="you@example.com")
    portfolio = Portfolio.objects.get(owner=user)
    bought = Transaction.objects.get(portfolio=portfolio)  # once, though it was sent twice
    assert (bought.coin.coingecko_id, str(bought.quantity.normalize())) == ("bitcoin", "0.25")
    assert ApiToken.objects.get(user=user).scopes == ["read"]
    assert len(set(re.findall(r"\b[0-9a-f]{64}\b", output))) >= 3, "three pages of the ledger"


@pytest.mark.django_db(transaction=True)
def test_the_curl_column_runs_as_it_is_shown(site: str) -> None:
    script = shown_code(page_of(site), "curl")
    assert site in script
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", script], capture_output=True, text=True, timeout=120
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert_it_did_what_it_says(done.stdout)


@pytest.mark.django_db(transaction=True)
def test_the_python_column_runs_as_it_is_shown_with_only_the_package_it_names(site: str, tmp_path: Path) -> None:
    html = page_of(site)
    assert "<code>pip install httpx</code>" in html
    only("httpx", tmp_path)
    program = [sys.executable, "-S", "-c", shown_code(html, "Python")]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        program, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert_it_did_what_it_says(done.stdout)


def test_both_columns_have_the_same_steps_in_order() -> None:
    steps = [list(developers.read_steps(language)) for language in developers.LANGUAGES]
    assert steps[0] == steps[1]
    assert [int(number) for number, _ in steps[0]] == list(range(1, len(steps[0]) + 1))


@pytest.mark.django_db
def test_its_code_is_written_for_the_address_it_is_read_at(client: Client, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["prices.example"]
    html = client.get("/developers/", headers={"host": "prices.example"}, secure=True).content.decode()
    assert "SITE=https://prices.example\n" in html
    assert developers.WRITTEN_FOR not in html


@pytest.mark.django_db
def test_its_limits_and_lifetimes_are_read_from_the_settings(client: Client, settings: Settings) -> None:
    rates: dict[str, Any] = {
        **settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"],
        "anonymous": "7/min",
        "user": "77/hour",
    }
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": rates}
    html = client.get("/developers/").content.decode()
    assert "7 calls a minute" in html
    assert "77 calls an hour" in html
    assert "lives 10 minutes" in html
    for scope in ApiToken.Scope.values:
        assert f"<code>{scope}</code>" in html


@pytest.mark.django_db
def test_it_names_every_code_that_an_error_can_have(client: Client) -> None:
    table = (ROOT / "docs" / "api-errors.md").read_text().split("## Codes of fields")[0]
    rows = re.findall(r"^\| [\d, ]+ \| ([^|]+) \|", table, re.MULTILINE)
    documented = {code for row in rows for code in re.findall(r"`(\w+)`", row)}
    html = client.get("/developers/").content.decode().split('id="errors"')[1]
    assert len(documented) > 20
    assert documented <= set(re.findall(r"<code>(\w+)</code>", html))


@pytest.mark.django_db
def test_every_page_links_to_it(client: Client) -> None:
    assert 'href="/developers/"' in client.get("/status/").content.decode()
