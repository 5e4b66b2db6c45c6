"""CoinGecko's answers as frozen records: sound values exactly as sent, the rest listed as rejected."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from .errors import BadAnswer
from .fields import (
    PLAIN_HIGH,
    PLAIN_LOW,
    Answer,
    Rejected,
    Unsound,
    address,
    amount,
    are_prices,
    capitalisation,
    coin_id,
    count,
    iso_time,
    mapping,
    number,
    price,
    rank,
    required_price,
    text,
    unix_time,
)
from .series import Candle, ChartPoint, Interval, MarketChart, parse_market_chart, parse_ohlc

__all__ = [
    "Answer",
    "Candle",
    "ChartPoint",
    "CoinDetail",
    "GlobalData",
    "Interval",
    "ListedCoin",
    "MarketChart",
    "MarketRow",
    "Rejected",
    "SearchHit",
    "SimplePrice",
    "parse_coin",
    "parse_coins_list",
    "parse_global",
    "parse_market_chart",
    "parse_markets",
    "parse_ohlc",
    "parse_search",
    "parse_simple_price",
]

T = TypeVar("T")


@dataclass(frozen=True)
class ListedCoin:
    """A coin of /coins/list; only ``id`` is a key, symbols repeat."""

    id: str
    symbol: str
    name: str


@dataclass(frozen=True)
class MarketRow:
    """A coin of /coins/markets: money in the quote currency, changes in percent, supplies in coins."""

    id: str
    symbol: str
    name: str
    image: str
    current_price: float | None
    market_cap: float | None
    market_cap_rank: int | None
    fully_diluted_valuation: float | None
    total_volume: float | None
    high_24h: float | None
    low_24h: float | None
    price_change_24h: float | None
    price_change_percentage_1h: float | None
    price_change_percentage_24h: float | None
    price_change_percentage_7d: float | None
    market_cap_change_24h: float | None
    market_cap_change_percentage_24h: float | None
    circulating_supply: float | None
    total_supply: float | None
    max_supply: float | None
    ath: float | None
    ath_change_percentage: float | None
    ath_at: datetime | None
    atl: float | None
    atl_change_percentage: float | None
    atl_at: datetime | None
    last_updated_at: datetime | None
    sparkline: tuple[float, ...] | None
    """Hourly prices of the last seven days, oldest first; None if they were not asked for."""


@dataclass(frozen=True)
class CoinDetail:
    """A coin of /coins/{id}, money in US dollars. ``description`` may hold HTML: never mark it safe."""

    id: str
    symbol: str
    name: str
    image: str
    description: str
    homepage: str
    categories: tuple[str, ...]
    hashing_algorithm: str
    genesis_on: str
    market_cap_rank: int | None
    current_price_usd: float | None
    market_cap_usd: float | None
    total_volume_usd: float | None
    circulating_supply: float | None
    total_supply: float | None
    max_supply: float | None
    last_updated_at: datetime | None
    rejected: tuple[Rejected, ...]


@dataclass(frozen=True)
class SimplePrice:
    """A coin of /simple/price; unknown ids are left out by CoinGecko without a word."""

    id: str
    price_usd: float
    market_cap_usd: float | None
    volume_24h_usd: float | None
    change_24h_percentage: float | None
    last_updated_at: datetime | None


@dataclass(frozen=True)
class SearchHit:
    """A coin that /search found."""

    id: str
    symbol: str
    name: str
    image: str
    market_cap_rank: int | None


@dataclass(frozen=True)
class GlobalData:
    """The whole market, from /global."""

    active_cryptocurrencies: int | None
    markets: int | None
    total_market_cap_usd: float | None
    total_volume_usd: float | None
    market_cap_percentage: dict[str, float]
    """Share of the whole capitalisation in percent, by symbol."""
    market_cap_change_percentage_24h_usd: float | None
    updated_at: datetime | None
    rejected: tuple[Rejected, ...]


class _Row:
    """One JSON object whose optional fields are read one by one; an unsound one is noted and becomes None."""

    def __init__(self, fields: Any, name: str, rejected: list[Rejected]) -> None:
        self._fields = mapping(fields)
        self._name = name
        self._rejected = rejected

    def optional(self, field: str, read: Callable[[Any], T | None]) -> T | None:
        try:
            return read(self._fields.get(field))
        except Unsound as reason:
            self._rejected.append(Rejected(str(reason), f"{self._name}.{field}"))
            return None

    def figure(self, field: str, read: Callable[[Any], float | None]) -> float | None:
        """Like `optional`; a float well inside what every reader takes is taken at a glance: nearly all are."""
        value = self._fields.get(field)
        if value is None or (type(value) is float and PLAIN_LOW <= value <= PLAIN_HIGH):
            return value
        return self.optional(field, read)

    def reject(self, reason: str, what: str) -> None:
        self._rejected.append(Rejected(reason, what))

    def names(self) -> list[str]:
        return list(self._fields)

    def inner(self, field: str) -> _Row:
        """Return the object in ``field``, an empty one if there is none."""
        return _Row(self.optional(field, mapping), f"{self._name}.{field}", self._rejected)


def parse_coins_list(document: Any) -> Answer[ListedCoin]:
    """Read /coins/list. Raises BadAnswer unless it is a list."""
    rejected: list[Rejected] = []
    coins: dict[str, ListedCoin] = {}
    for row, what in _objects(document, "coins", rejected):
        try:
            coin = ListedCoin(coin_id(row.get("id")), text(row.get("symbol")), text(row.get("name")))
        except Unsound as reason:
            rejected.append(Rejected(str(reason), what))
            continue
        if coin.id in coins:
            rejected.append(Rejected("duplicate", coin.id))
        coins.setdefault(coin.id, coin)
    return Answer(tuple(coins.values()), tuple(rejected))


def parse_markets(document: Any, *, now: datetime) -> Answer[MarketRow]:
    """Read /coins/markets, in the order sent. Raises BadAnswer unless it is a list.

    A row with an unsound id, symbol, name, price or time is left out whole; another unsound field becomes
    None. Of two rows of one coin the more recently updated stays.
    """
    rejected: list[Rejected] = []
    rows: dict[str, MarketRow] = {}
    for fields, what in _objects(document, "markets", rejected):
        try:
            row = _market_row(fields, what, now, rejected)
        except Unsound as reason:
            rejected.append(Rejected(str(reason), what))
            continue
        known = rows.get(row.id)
        if known is not None:
            rejected.append(Rejected("duplicate", row.id))
        if known is None or _is_newer(row, known):
            rows[row.id] = row
    return Answer(tuple(rows.values()), tuple(rejected))


def parse_coin(document: Any, *, now: datetime) -> CoinDetail:
    """Read /coins/{id}. Raises BadAnswer if it is no coin."""
    rejected: list[Rejected] = []
    try:
        fields = mapping(document)
        row = _Row(fields, "coin", rejected)
        market = row.inner("market_data")
        image = row.inner("image")
        links = row.optional("links", mapping) or {}
        homepages = links.get("homepage")
        return CoinDetail(
            id=coin_id(fields.get("id")),
            symbol=text(fields.get("symbol")),
            name=text(fields.get("name")),
            image=image.optional("large", address) or "",
            description=row.inner("description").optional("en", _loose_text) or "",
            homepage=next(filter(None, map(address, homepages)), "") if isinstance(homepages, list) else "",
            categories=_texts(fields.get("categories")),
            hashing_algorithm=row.optional("hashing_algorithm", _loose_text) or "",
            genesis_on=row.optional("genesis_date", _loose_text) or "",
            market_cap_rank=row.optional("market_cap_rank", rank),
            current_price_usd=market.inner("current_price").optional("usd", price),
            market_cap_usd=market.inner("market_cap").optional("usd", capitalisation),
            total_volume_usd=market.inner("total_volume").optional("usd", amount),
            circulating_supply=market.optional("circulating_supply", amount),
            total_supply=market.optional("total_supply", amount),
            max_supply=market.optional("max_supply", amount),
            last_updated_at=row.optional("last_updated", lambda value: iso_time(value, now=now)),
            rejected=tuple(rejected),
        )
    except Unsound as reason:
        raise BadAnswer(f"The coin's answer is unsound: {reason}.", status=200) from None


def parse_simple_price(document: Any, *, now: datetime) -> Answer[SimplePrice]:
    """Read /simple/price in US dollars. Raises BadAnswer unless it is an object."""
    if not isinstance(document, dict):
        raise BadAnswer("The prices are not an object.", status=200)
    rejected: list[Rejected] = []
    rows = []
    for name, fields in document.items():
        try:
            row = _Row(fields, name, rejected)
            rows.append(
                SimplePrice(
                    id=coin_id(name),
                    price_usd=required_price(mapping(fields).get("usd")),
                    market_cap_usd=row.optional("usd_market_cap", capitalisation),
                    volume_24h_usd=row.optional("usd_24h_vol", amount),
                    change_24h_percentage=row.optional("usd_24h_change", number),
                    last_updated_at=row.optional("last_updated_at", lambda value: _optional_unix(value, now)),
                )
            )
        except Unsound as reason:
            rejected.append(Rejected(str(reason), name[:100]))
    return Answer(tuple(rows), tuple(rejected))


def parse_search(document: Any) -> Answer[SearchHit]:
    """Read the coins of /search, best first. Raises BadAnswer without a list of coins."""
    rejected: list[Rejected] = []
    hits = []
    found = document.get("coins") if isinstance(document, dict) else None
    for fields, what in _objects(found, "coins", rejected):
        row = _Row(fields, what, rejected)
        try:
            hits.append(
                SearchHit(
                    id=coin_id(fields.get("id")),
                    symbol=text(fields.get("symbol")),
                    name=text(fields.get("name")),
                    image=address(fields.get("large")) or address(fields.get("thumb")),
                    market_cap_rank=row.optional("market_cap_rank", rank),
                )
            )
        except Unsound as reason:
            rejected.append(Rejected(str(reason), what))
    return Answer(tuple(hits), tuple(rejected))


def parse_global(document: Any, *, now: datetime) -> GlobalData:
    """Read /global. Raises BadAnswer without its ``data`` object."""
    data = document.get("data") if isinstance(document, dict) else None
    if not isinstance(data, dict):
        raise BadAnswer("The global figures have no data.", status=200)
    rejected: list[Rejected] = []
    row = _Row(data, "global", rejected)
    shares = row.inner("market_cap_percentage")
    percentages = {symbol: shares.optional(symbol, amount) for symbol in shares.names()}
    return GlobalData(
        active_cryptocurrencies=row.optional("active_cryptocurrencies", count),
        markets=row.optional("markets", count),
        total_market_cap_usd=row.inner("total_market_cap").optional("usd", capitalisation),
        total_volume_usd=row.inner("total_volume").optional("usd", amount),
        market_cap_percentage={symbol: share for symbol, share in percentages.items() if share is not None},
        market_cap_change_percentage_24h_usd=row.optional("market_cap_change_percentage_24h_usd", number),
        updated_at=row.optional("updated_at", lambda value: _optional_unix(value, now)),
        rejected=tuple(rejected),
    )


def _market_row(fields: dict[str, Any], what: str, now: datetime, rejected: list[Rejected]) -> MarketRow:
    identity = coin_id(fields.get("id"))
    symbol, name = text(fields.get("symbol")), text(fields.get("name"))
    current_price = price(fields.get("current_price"))
    last_updated_at = iso_time(fields.get("last_updated"), now=now)
    row = _Row(fields, identity, rejected)

    def time(value: Any) -> datetime | None:
        return iso_time(value, now=now)

    change_24h = row.figure("price_change_percentage_24h", number)
    if change_24h is None:
        change_24h = row.figure("price_change_percentage_24h_in_currency", number)
    return MarketRow(
        id=identity,
        symbol=symbol,
        name=name,
        image=address(fields.get("image")),
        current_price=current_price,
        market_cap=row.figure("market_cap", capitalisation),
        market_cap_rank=row.optional("market_cap_rank", rank),
        fully_diluted_valuation=row.figure("fully_diluted_valuation", capitalisation),
        total_volume=row.figure("total_volume", amount),
        high_24h=row.figure("high_24h", price),
        low_24h=row.figure("low_24h", price),
        price_change_24h=row.figure("price_change_24h", number),
        price_change_percentage_1h=row.figure("price_change_percentage_1h_in_currency", number),
        price_change_percentage_24h=change_24h,
        price_change_percentage_7d=row.figure("price_change_percentage_7d_in_currency", number),
        market_cap_change_24h=row.figure("market_cap_change_24h", number),
        market_cap_change_percentage_24h=row.figure("market_cap_change_percentage_24h", number),
        circulating_supply=row.figure("circulating_supply", amount),
        total_supply=row.figure("total_supply", amount),
        max_supply=row.figure("max_supply", amount),
        ath=row.figure("ath", price),
        ath_change_percentage=row.figure("ath_change_percentage", number),
        ath_at=row.optional("ath_date", time),
        atl=row.figure("atl", price),
        atl_change_percentage=row.figure("atl_change_percentage", number),
        atl_at=row.optional("atl_date", time),
        last_updated_at=last_updated_at,
        sparkline=_sparkline(fields, row, identity),
    )


def _sparkline(fields: dict[str, Any], row: _Row, what: str) -> tuple[float, ...] | None:
    if fields.get("sparkline_in_7d") is None:
        return None
    values = row.inner("sparkline_in_7d").optional("price", _optional_list) or []
    if are_prices(values):
        return tuple(map(float, values))
    return tuple(_sound_prices(values, f"{what}.sparkline_in_7d", row))


def _sound_prices(values: list[Any], what: str, row: _Row) -> Iterator[float]:
    for index, value in enumerate(values):
        try:
            yield required_price(value)
        except Unsound as reason:
            row.reject(str(reason), f"{what}[{index}]")


def _is_newer(row: MarketRow, known: MarketRow) -> bool:
    if row.last_updated_at is None:
        return False
    return known.last_updated_at is None or row.last_updated_at > known.last_updated_at


def _objects(document: Any, name: str, rejected: list[Rejected]) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield each object of a list with what to call it; raise BadAnswer at once if it is no list."""
    if not isinstance(document, list):
        raise BadAnswer(f"The answer holds no list of {name}.", status=200)
    for index, row in enumerate(document):
        if isinstance(row, dict):
            known_as = row.get("id")
            yield row, known_as[:100] if isinstance(known_as, str) and known_as else f"{name}[{index}]"
        else:
            rejected.append(Rejected("not an object", f"{name}[{index}]"))


def _optional_list(value: Any) -> list[Any] | None:
    if value is not None and not isinstance(value, list):
        raise Unsound("not a list")
    return value


def _optional_unix(value: Any, now: datetime) -> datetime | None:
    return None if value is None else unix_time(value, now=now)


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(filter(None, map(_loose_text, values))) if isinstance(values, list) else ()


def _loose_text(value: Any) -> str:
    return value.replace("\x00", "").strip() if isinstance(value, str) else ""
