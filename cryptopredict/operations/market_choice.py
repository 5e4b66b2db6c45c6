"""Which market a start shows, decided before Django reads its settings: live, or the sample when live is no use."""

import sqlite3
from collections.abc import MutableMapping
from contextlib import closing
from pathlib import Path

import requests

REACH_SECONDS = 5.0
LIVE_ADDRESS = "https://api.coingecko.com/api/v3"
FALLBACK_NOTE = (
    "CoinGecko cannot be reached and there is no market data yet, so this shows a simulated market (MARKET=sample)."
)
STALE_NOTE = "CoinGecko cannot be reached just now; the site shows the prices it has and marks them as stale."


class BadChoice(ValueError):
    """What the environment asks for cannot be; the message says what to change."""


def choose_market(environment: MutableMapping[str, str], var_dir: Path) -> str:
    """Settles MARKET in the environment and returns a sentence for the terminal, empty when all is as asked.

    Raises BadChoice for an unknown market, a replay without its folder, or a sample in a shared database.
    """
    market = environment.get("MARKET", "").strip() or "live"
    if market not in {"live", "sample", "replay"}:
        raise BadChoice(f"MARKET must be live, sample or replay, not {market!r}.")
    environment["MARKET"] = market
    if market == "live":
        return _settle_live(environment, var_dir)
    if environment.get("DATABASE_URL"):
        raise BadChoice(f"MARKET={market} keeps its data in a file of its own: unset DATABASE_URL to use it.")
    if market == "replay":
        folder = environment.get("DATA", "").strip()
        if not folder or not Path(folder).is_dir():
            raise BadChoice(f"MARKET=replay needs DATA=<folder of CSV files>; {folder or 'nothing'} was given.")
        environment["DATA"] = str(Path(folder).resolve())
    return ""


def _settle_live(environment: MutableMapping[str, str], var_dir: Path) -> str:
    if can_reach(environment.get("COINGECKO_BASE_URL", "").strip() or LIVE_ADDRESS):
        return ""
    if environment.get("DATABASE_URL") or has_prices(var_dir / "live" / "cryptopredict.sqlite3"):
        return STALE_NOTE
    environment["MARKET"] = "sample"
    return FALLBACK_NOTE


def can_reach(base_url: str) -> bool:
    """Whether a CoinGecko answers there; any answer below 500 counts, a refusal for too many calls included."""
    try:
        answer = requests.get(f"{base_url}/ping", timeout=REACH_SECONDS, headers={"User-Agent": "CryptoPredict"})
    except requests.RequestException:
        return False
    is_json = "json" in answer.headers.get("Content-Type", "")  # a proxy's own page is no CoinGecko
    return answer.status_code == requests.codes.too_many_requests or (answer.ok and is_json)


def has_prices(database: Path) -> bool:
    """Whether this SQLite file of an installation holds a coin with a price."""
    if not database.exists():
        return False
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=5)) as connection:
        try:
            query = "SELECT 1 FROM markets_cryptocurrency WHERE price_usd IS NOT NULL LIMIT 1"
            return connection.execute(query).fetchone() is not None
        except sqlite3.OperationalError:  # the first migration never came to its end
            return False


def default_var_dir(environment: MutableMapping[str, str]) -> Path:
    """The data folder, as the settings name it."""
    given = environment.get("VAR_DIR", "").strip()
    return Path(given).resolve() if given else Path(__file__).resolve().parents[2] / "var"
