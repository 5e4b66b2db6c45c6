"""The answer of /search/trending: the coins that moved most, with invented collections and categories."""

import math
from typing import Any

from markets.sample.currencies import CURRENCIES
from markets.sample.listings import ImageUrl, Quotes
from markets.sample.noise import stream_key
from markets.sample.numbers import change
from markets.sample.snapshot import Quote

COIN_COUNT, NFT_COUNT, CATEGORY_COUNT = 15, 7, 6
FALLBACK_BITCOIN_USD = 1.0 / CURRENCIES["btc"].per_usd


def trending(quotes: Quotes, image_url: ImageUrl) -> dict[str, Any]:
    """Answer /search/trending; only coins with a rank and a price of yesterday can trend."""
    bitcoin_usd = quotes["bitcoin"].price if "bitcoin" in quotes else FALLBACK_BITCOIN_USD
    ranked = [quote for quote in quotes.values() if quote.rank is not None and not math.isnan(_move(quote))]
    ranked.sort(key=lambda quote: -abs(_move(quote)))
    return {
        "coins": [
            {"item": _coin(quote, score, bitcoin_usd, image_url)} for score, quote in enumerate(ranked[:COIN_COUNT])
        ],
        "nfts": [_nft(number, image_url) for number in range(1, NFT_COUNT + 1)],
        "categories": [_category(name, quotes, bitcoin_usd, image_url) for name in _category_names(quotes)],
    }


def number_of(coin_id: str) -> int:
    """Return the small number that stands beside an id, as the service's own `coin_id` does."""
    return stream_key("number", coin_id) % 100_000


def _move(quote: Quote) -> float:
    return change(quote.price, quote.price_24h_ago)


def _coin(quote: Quote, score: int, bitcoin_usd: float, image_url: ImageUrl) -> dict[str, Any]:
    coin, image = quote.coin, image_url(quote.coin.id)
    volume = 0.0 if math.isnan(quote.volume) else quote.volume
    return {
        "id": coin.id,
        "coin_id": number_of(coin.id),
        "name": coin.name,
        "symbol": coin.symbol.upper(),
        "market_cap_rank": quote.rank,
        "thumb": image,
        "small": image,
        "large": image,
        "slug": coin.id,
        "price_btc": quote.price / bitcoin_usd,
        "score": score,
        "data": {
            "price": quote.price,
            "price_btc": f"{quote.price / bitcoin_usd:.24f}",
            "price_change_percentage_24h": dict.fromkeys(CURRENCIES, _move(quote)),
            "market_cap": f"${quote.market_cap:,.0f}",
            "market_cap_btc": str(quote.market_cap / bitcoin_usd),
            "total_volume": f"${volume:,.0f}",
            "total_volume_btc": str(volume / bitcoin_usd),
            "sparkline": image,
            "content": None,
        },
    }


def _nft(number: int, image_url: ImageUrl) -> dict[str, Any]:
    name = f"sample-collection-{number}"
    floor = 0.25 * number
    return {
        "id": name,
        "name": f"Sample Collection {number}",
        "symbol": f"SC{number}",
        "thumb": image_url(name),
        "nft_contract_id": number,
        "native_currency_symbol": "eth",
        "floor_price_in_native_currency": floor,
        "floor_price_24h_percentage_change": number - 4.0,
        "data": {
            "floor_price": f"{floor:.2f} ETH",
            "floor_price_in_usd_24h_percentage_change": str(number - 4.0),
            "h24_volume": f"{floor * 12:.2f} ETH",
            "h24_average_sale_price": f"{floor * 1.1:.2f} ETH",
            "sparkline": image_url(name),
            "content": None,
        },
    }


def _category_names(quotes: Quotes) -> list[str]:
    names = sorted({name for quote in quotes.values() for name in quote.coin.categories})
    return [*names, *(f"sample-category-{number}" for number in range(CATEGORY_COUNT))][:CATEGORY_COUNT]


def _category(name: str, quotes: Quotes, bitcoin_usd: float, image_url: ImageUrl) -> dict[str, Any]:
    members = [quote for quote in quotes.values() if name in quote.coin.categories]
    cap = sum(quote.market_cap for quote in members if quote.market_cap > 0.0)
    before = sum(quote.market_cap_24h_ago for quote in members if quote.market_cap_24h_ago > 0.0)
    volume = sum(quote.volume for quote in members if quote.volume > 0.0)
    moved = change(cap, before) if before > 0.0 else 0.0
    return {
        "id": number_of(name) % 1_000,
        "name": name.replace("-", " ").title(),
        "top_3_coins_images": [image_url(quote.coin.id) for quote in members[:3]],
        "market_cap_1h_change": moved / 24.0,
        "slug": name,
        "coins_count": str(len(members)),
        "data": {
            "market_cap": cap,
            "market_cap_btc": cap / bitcoin_usd,
            "total_volume": volume,
            "total_volume_btc": volume / bitcoin_usd,
            "market_cap_change_percentage_24h": dict.fromkeys(CURRENCIES, moved),
            "sparkline": image_url(name),
        },
    }
