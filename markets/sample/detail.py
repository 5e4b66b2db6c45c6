"""The answers about one coin: /coins/{id} and its snapshot of a past day."""

import math
from typing import Any

from markets.sample.currencies import CURRENCIES, in_all_currencies
from markets.sample.history import CoinHistory, day_of
from markets.sample.listings import ImageUrl, known, price_change, roi
from markets.sample.market import Coin, Market
from markets.sample.numbers import change, iso
from markets.sample.parameters import Parameters, flag, snapshot_day
from markets.sample.snapshot import Quote

CHANGE_DAYS = {
    "1h": 1 / 24,
    "24h": 1.0,
    "7d": 7.0,
    "14d": 14.0,
    "30d": 30.0,
    "60d": 60.0,
    "200d": 200.0,
    "1y": 365.0,
}
COMMUNITY = {
    "facebook_likes": None,
    "reddit_average_posts_48h": 0,
    "reddit_average_comments_48h": 0,
    "reddit_subscribers": 0,
    "reddit_accounts_active_48h": 0,
    "telegram_channel_user_count": None,
}
DEVELOPMENT = {
    "forks": 0,
    "stars": 0,
    "subscribers": 0,
    "total_issues": 0,
    "closed_issues": 0,
    "pull_requests_merged": 0,
    "pull_request_contributors": 0,
    "code_additions_deletions_4_weeks": {"additions": 0, "deletions": 0},
    "commit_count_4_weeks": 0,
    "last_4_weeks_commit_activity_series": [],
}


def coin_detail(market: Market, quote: Quote, parameters: Parameters, image_url: ImageUrl) -> dict[str, Any]:
    """Answer /coins/{id}; the parts that the flags switch off are absent."""
    coin = quote.coin
    answer = _identity(coin, quote, image_url)
    if flag(parameters, "localization", True):
        answer["localization"] = {"en": coin.name, "de": coin.name}
    if flag(parameters, "market_data", True):
        answer["market_data"] = _market_data(market, quote)
        if flag(parameters, "sparkline", False):
            answer["market_data"]["sparkline_7d"] = quote.sparkline
    if flag(parameters, "community_data", True):
        answer["community_data"] = COMMUNITY
    if flag(parameters, "developer_data", True):
        answer["developer_data"] = DEVELOPMENT
    if flag(parameters, "tickers", True):
        answer["tickers"] = []
    return answer


def coin_on_day(
    coin: Coin, history: CoinHistory, parameters: Parameters, now: float, image_url: ImageUrl
) -> dict[str, Any]:
    """Answer /coins/{id}/history: the row of 00:00 UTC, without `market_data` on a day that has none."""
    day = snapshot_day(parameters, now)
    image = image_url(coin.id)
    answer: dict[str, Any] = {
        "id": coin.id,
        "symbol": coin.symbol,
        "name": coin.name,
        "image": {"thumb": image, "small": image},
        "community_data": COMMUNITY,
        "developer_data": DEVELOPMENT,
        "public_interest_stats": {"alexa_rank": None, "bing_matches": None},
    }
    if flag(parameters, "localization", True):
        answer["localization"] = {"en": coin.name, "de": coin.name}
    rows = history.daily(day, 1)
    if day <= day_of(now) and not math.isnan(rows.prices[0]):
        columns = {"current_price": rows.prices, "market_cap": rows.market_caps, "total_volume": rows.volumes}
        answer["market_data"] = {name: _in_all(float(column[0])) for name, column in columns.items()}
    return answer


def _identity(coin: Coin, quote: Quote, image_url: ImageUrl) -> dict[str, Any]:
    image = image_url(coin.id)
    platforms = dict(coin.platforms) or {"": ""}
    return {
        "id": coin.id,
        "symbol": coin.symbol,
        "name": coin.name,
        "web_slug": coin.id,
        "asset_platform_id": coin.platforms[0][0] if coin.platforms else None,
        "platforms": platforms,
        "detail_platforms": {
            chain: {"decimal_place": None, "contract_address": address} for chain, address in platforms.items()
        },
        "block_time_in_minutes": 0,
        "hashing_algorithm": None,
        "categories": [name.replace("-", " ").title() for name in coin.categories],
        "preview_listing": False,
        "public_notice": None,
        "additional_notices": [],
        "has_supply_breakdown": False,
        "description": {"en": f"{coin.name} as the sample market knows it. <b>These figures are not real.</b>"},
        "links": _links(),
        "image": {"thumb": image, "small": image, "large": image},
        "country_origin": "",
        "genesis_date": None,
        "sentiment_votes_up_percentage": None,
        "sentiment_votes_down_percentage": None,
        "watchlist_portfolio_users": 0,
        "market_cap_rank": quote.rank,
        "market_cap_rank_with_rehypothecated": quote.rank,
        "status_updates": [],
        "last_updated": iso(quote.at),
    }


def _links() -> dict[str, Any]:
    return {
        "homepage": ["", "", ""],
        "whitepaper": "",
        "blockchain_site": ["", ""],
        "official_forum_url": ["", "", ""],
        "chat_url": ["", "", ""],
        "announcement_url": ["", ""],
        "snapshot_url": None,
        "twitter_screen_name": "",
        "facebook_username": "",
        "bitcointalk_thread_identifier": None,
        "telegram_channel_identifier": "",
        "subreddit_url": "",
        "repos_url": {"github": [], "bitbucket": []},
    }


def _market_data(market: Market, quote: Quote) -> dict[str, Any]:
    coin = quote.coin
    changes = {name: price_change(market, quote, days) for name, days in CHANGE_DAYS.items()}
    cap = quote.market_cap if quote.rank is not None else math.nan
    price_moved, cap_moved = quote.price - quote.price_24h_ago, cap - quote.market_cap_24h_ago
    full_supply = coin.max_supply or coin.total_supply or math.nan
    data: dict[str, Any] = {
        "current_price": _in_all(quote.price),
        "total_value_locked": None,
        "mcap_to_tvl_ratio": None,
        "fdv_to_tvl_ratio": None,
        "roi": roi(quote),
        "market_cap": _in_all(cap),
        "market_cap_rank": quote.rank,
        "market_cap_rank_with_rehypothecated": quote.rank,
        "fully_diluted_valuation": _in_all(quote.price * full_supply),
        "total_volume": _in_all(quote.volume),
        "high_24h": _in_all(quote.high_24h),
        "low_24h": _in_all(quote.low_24h),
        "price_change_24h": known(price_moved),
        "price_change_24h_in_currency": _in_all(price_moved),
        "market_cap_change_24h": known(cap_moved),
        "market_cap_change_24h_in_currency": _in_all(cap_moved),
        "market_cap_change_percentage_24h": known(change(cap, quote.market_cap_24h_ago)),
        "market_cap_change_percentage_24h_in_currency": _same(change(cap, quote.market_cap_24h_ago)),
        "total_supply": coin.total_supply,
        "max_supply": coin.max_supply,
        "max_supply_infinite": coin.max_supply is None,
        "circulating_supply": known(quote.circulating_supply),
        "last_updated": iso(quote.at),
    }
    if not math.isnan(cap) and not math.isnan(full_supply):
        data["market_cap_fdv_ratio"] = round(cap / (quote.price * full_supply), 2)
    for name, extreme in (("ath", quote.ath), ("atl", quote.atl)):
        data[name] = _in_all(extreme.price)
        data[f"{name}_change_percentage"] = _same(change(quote.price, extreme.price))
        data[f"{name}_date"] = dict.fromkeys(CURRENCIES, iso(extreme.at))
    for name, moved in changes.items():
        data[f"price_change_percentage_{name}_in_currency"] = _same(moved)
        if name != "1h":
            data[f"price_change_percentage_{name}"] = known(moved)
    return data


def _in_all(usd: float) -> dict[str, float]:
    """Return an amount in every currency, an empty map when it is unknown."""
    return {} if math.isnan(usd) else in_all_currencies(usd)


def _same(percentage: float) -> dict[str, float]:
    """Return a percentage under every currency: with fixed rates it is the same in all of them."""
    return {} if math.isnan(percentage) else dict.fromkeys(CURRENCIES, percentage)
