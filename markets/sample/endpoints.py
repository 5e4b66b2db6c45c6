"""Maps a path under /api/v3 to its answer."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from markets.sample import errors
from markets.sample.charts import market_chart, market_chart_range, ohlc
from markets.sample.currencies import CURRENCIES
from markets.sample.detail import coin_detail, coin_on_day
from markets.sample.listings import (
    ImageUrl,
    asset_platforms,
    coins_list,
    coins_markets,
    exchange_rates,
    global_state,
    search,
    simple_price,
)
from markets.sample.market import Market
from markets.sample.snapshot import Snapshots
from markets.sample.trending import trending

PAID_PATHS = re.compile(
    r"/key|/coins/list/new|/coins/top_gainers_losers|/coins/[^/]+/ohlc/range|/global/market_cap_chart"
)
COIN_PATH = re.compile(r"/coins/([^/]+)((?:/[a-z_]+)*)")


@dataclass(frozen=True)
class Answer:
    """A 200: a JSON value and headers beside the usual ones."""

    payload: Any
    headers: Mapping[str, str] = field(default_factory=dict)


class Endpoints:
    """Answers requests about one market."""

    def __init__(self, market: Market, image_url: ImageUrl) -> None:
        self._market = market
        self._image_url = image_url
        self._snapshots = Snapshots(market)
        self._whole_market: dict[str, Callable[[Mapping[str, str], float], Any]] = {
            "/ping": lambda parameters, now: {"gecko_says": "(V3) To the Moon!"},
            "/coins/list": lambda parameters, now: coins_list(market, parameters),
            "/simple/supported_vs_currencies": lambda parameters, now: list(CURRENCIES),
            "/simple/price": lambda parameters, now: simple_price(self._snapshots.at(now), parameters),
            "/search": lambda parameters, now: search(self._snapshots.at(now), parameters, image_url),
            "/search/trending": lambda parameters, now: trending(self._snapshots.at(now), image_url),
            "/global": lambda parameters, now: global_state(self._snapshots.at(now), market, now),
            "/exchange_rates": lambda parameters, now: exchange_rates(),
            "/asset_platforms": lambda parameters, now: asset_platforms(parameters, image_url),
        }

    def answer(self, path: str, parameters: Mapping[str, str], now: float) -> Answer:
        """Return the answer of `path` (without /api/v3) at `now`; ApiError for everything but a 200."""
        if PAID_PATHS.fullmatch(path):
            raise errors.paid_plan_only(now)
        if path == "/coins/markets":
            return Answer(*coins_markets(self._market, self._snapshots.at(now), parameters, self._image_url))
        if path in self._whole_market:
            return Answer(self._whole_market[path](parameters, now))
        if match := COIN_PATH.fullmatch(path):
            return Answer(self._about_coin(match[1], match[2], parameters, now))
        raise _incorrect_path()

    def _about_coin(self, coin_id: str, rest: str, parameters: Mapping[str, str], now: float) -> Any:
        coin = self._market.coins.get(coin_id)
        if coin is None:
            raise errors.coin_not_found()
        history = self._market.history(coin_id)
        match rest:
            case "":
                quote = self._snapshots.at(now)[coin_id]
                return coin_detail(self._market, quote, parameters, self._image_url)
            case "/market_chart":
                return market_chart(coin, history, parameters, now)
            case "/market_chart/range":
                return market_chart_range(coin, history, parameters, now)
            case "/ohlc":
                return ohlc(history, parameters, now)
            case "/history":
                return coin_on_day(coin, history, parameters, now, self._image_url)
            case _:
                raise _incorrect_path()


def _incorrect_path() -> errors.ApiError:
    return errors.plain(404, "Incorrect path. Please check https://www.coingecko.com/api/")
