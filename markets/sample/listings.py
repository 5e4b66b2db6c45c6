"""The answers about many coins: markets, simple prices, the list, search, totals and exchange rates."""

import math
from collections.abc import Callable, Iterable
from typing import Any

from markets.sample import errors
from markets.sample.bridge import SECONDS_PER_DAY
from markets.sample.currencies import CURRENCIES, in_all_currencies, units_per_usd
from markets.sample.market import Coin, Market
from markets.sample.numbers import change, check_precision, iso, priced, shown, whole
from markets.sample.parameters import Parameters, flag, listed, positive, required
from markets.sample.snapshot import Quote

LARGEST_PAGE = 250
DEFAULT_PAGE = 100
LARGEST_ID_COUNT = 250
CHANGE_DAYS = {"1h": 1 / 24, "24h": 1.0, "7d": 7.0, "14d": 14.0, "30d": 30.0, "200d": 200.0, "1y": 365.0}

Quotes = dict[str, Quote]
ImageUrl = Callable[[str], str]


def coins_list(market: Market, parameters: Parameters) -> list[dict[str, Any]]:
    """Answer /coins/list: every coin, unpaged."""
    status = parameters.get("status", "active")
    if status not in {"active", "inactive"}:
        raise errors.plain(400, "invalid status")
    with_platforms = flag(parameters, "include_platform", False)
    coins = market.coins if status == "active" else market.inactive_coins
    rows: list[dict[str, Any]] = []
    for coin in sorted(coins.values(), key=lambda coin: coin.id):
        row: dict[str, Any] = {"id": coin.id, "symbol": coin.symbol, "name": coin.name}
        if with_platforms:
            row["platforms"] = dict(coin.platforms)
        rows.append(row)
    return rows


def select(quotes: Quotes, parameters: Parameters) -> list[Quote]:
    """Return the quotes that category, ids, names or symbols (in that precedence) ask for, else all."""
    found = list(quotes.values())
    if category := parameters.get("category"):
        return [quote for quote in found if category in quote.coin.categories]
    if "ids" in parameters:
        wanted = {coin_id.lower() for coin_id in listed(parameters, "ids")[:LARGEST_ID_COUNT]}
        return [quote for quote in found if quote.coin.id in wanted]
    if "names" in parameters:
        wanted = {name.lower() for name in listed(parameters, "names")}
        return [quote for quote in found if quote.coin.name.lower() in wanted]
    if "symbols" in parameters:
        return _by_symbol(found, listed(parameters, "symbols"), parameters.get("include_tokens", "top"))
    return found


def coins_markets(
    market: Market, quotes: Quotes, parameters: Parameters, image_url: ImageUrl
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Answer /coins/markets with its paging headers."""
    rate = units_per_usd(required(parameters, "vs_currency"))
    per_page = min(positive(parameters, "per_page", DEFAULT_PAGE), LARGEST_PAGE)
    page = positive(parameters, "page", 1)
    periods = listed(parameters, "price_change_percentage")
    with_sparkline = flag(parameters, "sparkline", False)
    precision = parameters.get("precision")
    check_precision(precision)
    found = _ordered(select(quotes, parameters), parameters.get("order", "market_cap_desc"))
    rows = []
    for quote in found[(page - 1) * per_page : page * per_page]:
        row = market_row(quote, rate, precision, image_url)
        if with_sparkline:
            row["sparkline_in_7d"] = {"price": [price * rate for price in quote.sparkline]}
        for period in periods:
            if period in CHANGE_DAYS:
                key = f"price_change_percentage_{period}_in_currency"
                row[key] = known(price_change(market, quote, CHANGE_DAYS[period]))
        rows.append(row)
    return rows, {"total": str(len(found)), "per-page": str(per_page)}


def market_row(quote: Quote, rate: float, precision: str | None, image_url: ImageUrl) -> dict[str, Any]:
    """Return one row of /coins/markets; a stale coin has no statistics of the last 24 hours."""
    coin = quote.coin
    day_old = math.nan if coin.stale_seconds else quote.price_24h_ago
    cap_day_old = math.nan if coin.stale_seconds else quote.market_cap_24h_ago
    has_cap = quote.rank is not None
    cap = quote.market_cap if has_cap else math.nan
    full_supply = coin.max_supply or coin.total_supply or math.nan
    return {
        "id": coin.id,
        "symbol": coin.symbol,
        "name": coin.name,
        "image": image_url(coin.id),
        "current_price": priced(quote.price * rate, precision),
        "market_cap": whole(cap * rate),
        "market_cap_rank": quote.rank,
        "fully_diluted_valuation": whole(quote.price * full_supply * rate),
        "total_volume": whole(quote.volume * rate),
        "high_24h": priced((math.nan if coin.stale_seconds else quote.high_24h) * rate, precision),
        "low_24h": priced((math.nan if coin.stale_seconds else quote.low_24h) * rate, precision),
        "price_change_24h": known((quote.price - day_old) * rate),
        "price_change_percentage_24h": shown(change(quote.price, day_old)),
        "market_cap_change_24h": known((cap - cap_day_old) * rate),
        "market_cap_change_percentage_24h": shown(change(cap, cap_day_old)),
        "circulating_supply": known(quote.circulating_supply),
        "total_supply": coin.total_supply,
        "max_supply": coin.max_supply,
        "ath": priced(quote.ath.price * rate, precision),
        "ath_change_percentage": shown(change(quote.price, quote.ath.price)),
        "ath_date": iso(quote.ath.at),
        "atl": priced(quote.atl.price * rate, precision),
        "atl_change_percentage": shown(change(quote.price, quote.atl.price)),
        "atl_date": iso(quote.atl.at),
        "roi": roi(quote),
        "last_updated": iso(quote.at),
    }


def price_change(market: Market, quote: Quote, days: float) -> float:
    """Return the percentage change of a price over `days`, NaN for a coin that is younger."""
    before = market.history(quote.coin.id).price_at(quote.at - days * SECONDS_PER_DAY)
    return change(quote.price, before)


def roi(quote: Quote) -> dict[str, Any] | None:
    """Return the gain since the lowest price, for Ethereum only: the real service shows it for few coins."""
    if quote.coin.id != "ethereum" or math.isnan(quote.price):
        return None
    times = quote.price / quote.atl.price - 1.0
    return {"times": times, "currency": "usd", "percentage": times * 100.0}


def known(value: float) -> float | None:
    """Return `value`, None when it is NaN."""
    return None if math.isnan(value) else value


def simple_price(quotes: Quotes, parameters: Parameters) -> dict[str, dict[str, Any]]:
    """Answer /simple/price; unknown ids and unknown currencies are left out."""
    if not any(parameters.get(name) for name in ("ids", "names", "symbols")):
        raise errors.missing_parameter("ids")
    required(parameters, "vs_currencies")
    currencies = [code.lower() for code in listed(parameters, "vs_currencies") if code.lower() in CURRENCIES]
    wanted = {name: parameters[name] for name in ("ids", "names", "symbols", "include_tokens") if name in parameters}
    return {quote.coin.id: _simple(quote, currencies, parameters) for quote in select(quotes, wanted)}


def _simple(quote: Quote, currencies: Iterable[str], parameters: Parameters) -> dict[str, Any]:
    answer: dict[str, Any] = {}
    for code in currencies:
        rate = CURRENCIES[code].per_usd
        answer[code] = priced(quote.price * rate, parameters.get("precision"))
        if flag(parameters, "include_market_cap", False):
            answer[f"{code}_market_cap"] = known(quote.market_cap * rate)
        if flag(parameters, "include_24hr_vol", False):
            answer[f"{code}_24h_vol"] = known(quote.volume * rate)
        if flag(parameters, "include_24hr_change", False):
            answer[f"{code}_24h_change"] = known(change(quote.price, quote.price_24h_ago))
    if flag(parameters, "include_last_updated_at", False):
        answer["last_updated_at"] = int(quote.at)
    return answer


def _by_symbol(quotes: list[Quote], symbols: list[str], include_tokens: str) -> list[Quote]:
    wanted = {symbol.lower() for symbol in symbols}
    found = [quote for quote in quotes if quote.coin.symbol.lower() in wanted]
    if include_tokens == "all":
        return found
    biggest: dict[str, Quote] = {}
    for quote in found:  # the biggest come first
        biggest.setdefault(quote.coin.symbol.lower(), quote)
    return list(biggest.values())


def _ordered(quotes: list[Quote], order: str) -> list[Quote]:
    """Return the quotes in the order asked, by market cap when it is unknown; blanks always come last."""
    name, _, direction = order.rpartition("_")
    sign = 1.0 if direction == "asc" else -1.0
    if name == "id":
        return sorted(quotes, key=lambda quote: quote.coin.id, reverse=direction == "desc")
    if name == "volume":
        return sorted(quotes, key=lambda quote: _last_if_unknown(quote.volume, sign))
    return sorted(quotes, key=lambda quote: _last_if_unknown(quote.market_cap, sign if name == "market_cap" else -1.0))


def _last_if_unknown(value: float, sign: float) -> float:
    return sign * value if value > 0.0 else math.inf


def search(quotes: Quotes, parameters: Parameters, image_url: ImageUrl) -> dict[str, list[Any]]:
    """Answer /search: coins whose id, symbol or name contains the query, biggest first."""
    query = required(parameters, "query").lower()
    coins = [
        {
            "id": quote.coin.id,
            "name": quote.coin.name,
            "api_symbol": quote.coin.id,
            "symbol": quote.coin.symbol.upper(),
            "market_cap_rank": quote.rank,
            "thumb": image_url(quote.coin.id),
            "large": image_url(quote.coin.id),
        }
        for quote in quotes.values()
        if _matches(quote.coin, query)
    ]
    return {"coins": coins, "exchanges": [], "icos": [], "categories": [], "nfts": []}


def _matches(coin: Coin, query: str) -> bool:
    return any(query in text.lower() for text in (coin.id, coin.symbol, coin.name))


def global_state(quotes: Quotes, market: Market, now: float) -> dict[str, Any]:
    """Answer /global from the sums over all coins."""
    caps = {quote.coin.id: quote.market_cap for quote in quotes.values() if quote.market_cap > 0.0}
    total = sum(caps.values())
    before = sum(
        quote.market_cap_24h_ago
        for quote in quotes.values()
        if quote.coin.id in caps and quote.market_cap_24h_ago > 0.0
    )
    traded = [quote for quote in quotes.values() if quote.volume > 0.0 and quote.volume_24h_ago > 0.0]
    volume = sum(quote.volume for quote in traded)
    volume_before = sum(quote.volume_24h_ago for quote in traded)
    biggest = list(quotes.values())[:10]
    shares = {quote.coin.symbol: quote.market_cap / total * 100.0 for quote in biggest if quote.coin.id in caps}
    return {
        "data": {
            "active_cryptocurrencies": len(market.coins),
            "upcoming_icos": 0,
            "ongoing_icos": 0,
            "ended_icos": 0,
            "markets": 1,
            "total_market_cap": in_all_currencies(total),
            "total_volume": in_all_currencies(volume),
            "market_cap_percentage": shares,
            "market_cap_change_percentage_24h_usd": known(change(total, before)) or 0.0,
            "volume_change_percentage_24h_usd": known(change(volume, volume_before)) or 0.0,
            "updated_at": int(now),
        }
    }


def exchange_rates() -> dict[str, Any]:
    """Answer /exchange_rates: units of each currency for one bitcoin of the fixed table."""
    per_bitcoin = 1.0 / CURRENCIES["btc"].per_usd
    return {
        "rates": {
            code: {
                "name": currency.name,
                "unit": currency.unit,
                "value": shown(currency.per_usd * per_bitcoin, 9),
                "type": currency.kind,
            }
            for code, currency in CURRENCIES.items()
        }
    }


def asset_platforms(parameters: Parameters, image_url: ImageUrl) -> list[dict[str, Any]]:
    """Answer /asset_platforms with a few well-known chains; `filter=nft` leaves those with NFTs."""
    chains = [
        ("ethereum", 1, "Ethereum", "Ethereum", "ethereum", True),
        ("binance-smart-chain", 56, "BNB Smart Chain", "BSC", "binancecoin", True),
        ("solana", None, "Solana", "", "solana", True),
        ("tron", None, "TRON", "", "tron", False),
    ]
    return [
        {
            "id": chain_id,
            "chain_identifier": identifier,
            "name": name,
            "shortname": shortname,
            "native_coin_id": coin_id,
            "image": {size: image_url(coin_id) for size in ("thumb", "small", "large")},
        }
        for chain_id, identifier, name, shortname, coin_id, has_nfts in chains
        if has_nfts or parameters.get("filter") != "nft"
    ]
