"""Which market a start shows."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from cryptopredict.operations import market_choice
from cryptopredict.operations.market_choice import FALLBACK_NOTE, STALE_NOTE, BadChoice, choose_market
from cryptopredict.tests.servers import free_port


@contextmanager
def upstream(status: int, kind: str = "application/json") -> Iterator[str]:
    """A server that answers every request with this status."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/api/v3"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def nowhere() -> str:
    return f"http://127.0.0.1:{free_port()}/api/v3"


def make_live_database(var_dir: Path, price: float | None) -> None:
    (var_dir / "live").mkdir()
    with closing(sqlite3.connect(var_dir / "live" / "cryptopredict.sqlite3")) as connection, connection:
        connection.execute("CREATE TABLE markets_cryptocurrency (price_usd REAL)")
        connection.execute("INSERT INTO markets_cryptocurrency VALUES (?)", [price])


@pytest.mark.parametrize(("status", "kind"), [(200, "application/json"), (429, "text/html")])
def test_it_stays_live_when_coingecko_answers_or_asks_for_patience(tmp_path: Path, status: int, kind: str) -> None:
    with upstream(status, kind) as url:
        environment = {"COINGECKO_BASE_URL": url}
        assert choose_market(environment, tmp_path) == ""
    assert environment["MARKET"] == "live"


@pytest.mark.parametrize(("status", "kind"), [(200, "text/html"), (503, "application/json"), (403, "text/html")])
def test_it_takes_no_other_servers_page_for_coingecko(tmp_path: Path, status: int, kind: str) -> None:
    with upstream(status, kind) as url:
        environment = {"COINGECKO_BASE_URL": url}
        assert choose_market(environment, tmp_path) == FALLBACK_NOTE
    assert environment["MARKET"] == "sample"


def test_it_falls_back_to_the_sample_when_coingecko_is_out_of_reach_and_there_is_no_data(
    tmp_path: Path, nowhere: str
) -> None:
    environment = {"MARKET": "live", "COINGECKO_BASE_URL": nowhere}
    assert choose_market(environment, tmp_path) == FALLBACK_NOTE
    assert environment["MARKET"] == "sample"


def test_it_falls_back_when_the_live_database_has_coins_but_no_price(tmp_path: Path, nowhere: str) -> None:
    make_live_database(tmp_path, price=None)
    environment = {"COINGECKO_BASE_URL": nowhere}
    assert choose_market(environment, tmp_path) == FALLBACK_NOTE


def test_it_stays_live_with_the_data_it_has_when_coingecko_is_out_of_reach(tmp_path: Path, nowhere: str) -> None:
    make_live_database(tmp_path, price=1.5)
    environment = {"COINGECKO_BASE_URL": nowhere}
    assert choose_market(environment, tmp_path) == STALE_NOTE
    assert environment["MARKET"] == "live"


def test_it_never_puts_sample_data_into_a_shared_database(tmp_path: Path, nowhere: str) -> None:
    environment = {"COINGECKO_BASE_URL": nowhere, "DATABASE_URL": "postgres://somewhere/live"}
    assert choose_market(environment, tmp_path) == STALE_NOTE
    assert environment["MARKET"] == "live"
    with pytest.raises(BadChoice, match="unset DATABASE_URL"):
        choose_market({**environment, "MARKET": "sample"}, tmp_path)


def test_it_asks_nobody_when_the_sample_is_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(market_choice, "can_reach", lambda url: pytest.fail("it asked"))
    environment = {"MARKET": "sample"}
    assert choose_market(environment, tmp_path) == ""
    assert environment["MARKET"] == "sample"


@pytest.mark.parametrize("data", ["", "no-such-folder"])
def test_it_refuses_a_replay_without_its_folder(tmp_path: Path, data: str) -> None:
    with pytest.raises(BadChoice, match="DATA=<folder of CSV files>"):
        choose_market({"MARKET": "replay", "DATA": data}, tmp_path)


def test_it_refuses_an_unknown_market(tmp_path: Path) -> None:
    with pytest.raises(BadChoice, match="not 'paper'"):
        choose_market({"MARKET": "paper"}, tmp_path)
