"""The tables over HTTP: paging, orders, filters, blanks, and the smaller answers."""

import math
from typing import Any

import pytest

from .conftest import Api, Clock


def rows(api: Api, **parameters: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.json("/coins/markets", vs_currency="usd", **parameters)
    return found


def ids(api: Api, **parameters: Any) -> list[str]:
    return [row["id"] for row in rows(api, **parameters)]


def test_it_pages_through_all_coins_once(api: Api) -> None:
    pages = [ids(api, per_page=20, page=page) for page in (1, 2, 3, 4)]
    assert [len(page) for page in pages] == [20, 20, 10, 0]
    assert len({coin_id for page in pages for coin_id in page}) == 50


def test_it_says_how_many_rows_there_are(api: Api) -> None:
    response = api.get("/coins/markets", vs_currency="usd", per_page=10)
    assert (response.headers["total"], response.headers["per-page"]) == ("50", "10")
    assert response.headers["Cache-Control"] == "public, max-age=30"


def test_it_ranks_by_market_cap_and_puts_unknown_caps_last(api: Api) -> None:
    found = rows(api, per_page=250)
    caps = [row["market_cap"] for row in found]
    assert caps[:-1] == sorted(caps[:-1], reverse=True)
    assert [row["market_cap_rank"] for row in found] == [*range(1, 50), None]
    assert (found[-1]["id"], caps[-1], found[-1]["circulating_supply"]) == ("samoyedcoin", None, None)


@pytest.mark.parametrize(
    ("order", "field", "is_descending"),
    [
        ("market_cap_asc", "market_cap", False),
        ("volume_desc", "total_volume", True),
        ("volume_asc", "total_volume", False),
        ("id_asc", "id", False),
        ("id_desc", "id", True),
    ],
)
def test_it_orders_rows_as_asked(api: Api, order: str, field: str, is_descending: bool) -> None:
    found = [row[field] for row in rows(api, per_page=250, order=order) if row[field] is not None]
    assert found == sorted(found, reverse=is_descending)


def test_it_filters_by_category_before_ids_before_names_before_symbols(api: Api) -> None:
    assert ids(api, ids="tether,no-such-coin,bitcoin") == ["bitcoin", "tether"]
    assert ids(api, names="solana", symbols="btc") == ["solana"]
    assert ids(api, ids="bitcoin", names="solana") == ["bitcoin"]
    assert "tether" in ids(api, category="stablecoins", ids="bitcoin")


def test_it_gives_the_biggest_or_all_coins_of_one_symbol(api: Api) -> None:
    assert ids(api, symbols="usdf") == ["falcon-finance"]
    assert ids(api, symbols="usdf", include_tokens="all") == ["falcon-finance", "astherus-usdf"]


def test_it_adds_sparklines_and_changes_only_when_asked(api: Api) -> None:
    bare = rows(api, ids="bitcoin")[0]
    assert not {name for name in bare if "sparkline" in name or name.endswith("in_currency")}
    asked = rows(api, ids="bitcoin", sparkline="true", price_change_percentage="1h,7d,1y")[0]
    assert len(asked["sparkline_in_7d"]["price"]) == 168
    assert asked.keys() - bare.keys() == {
        "sparkline_in_7d",
        "price_change_percentage_1h_in_currency",
        "price_change_percentage_7d_in_currency",
        "price_change_percentage_1y_in_currency",
    }


def test_it_measures_changes_against_its_own_chart(api: Api) -> None:
    row = rows(api, ids="bitcoin", price_change_percentage="30d", precision="full")[0]
    chart = api.json("/coins/bitcoin/market_chart", vs_currency="usd", days=1)["prices"]
    assert row["current_price"] == pytest.approx(chart[-1][1], rel=1e-3)
    assert row["low_24h"] <= row["current_price"] <= row["high_24h"]
    assert min(price for _, price in chart) == pytest.approx(row["low_24h"], rel=0.01)
    assert row["price_change_24h"] == pytest.approx(
        row["current_price"] - row["current_price"] / (1 + row["price_change_percentage_24h"] / 100), rel=1e-4
    )


def test_it_leaves_long_changes_of_young_coins_blank(api: Api) -> None:
    found = rows(api, category="new-listings", price_change_percentage="1y")
    assert [row["price_change_percentage_1y_in_currency"] for row in found] == [None, None, None]


def test_it_shows_one_stale_coin_without_statistics_of_the_day(api: Api, clock: Clock) -> None:
    stale = [row for row in rows(api, per_page=250) if row["last_updated"] < "2026-03-17"]
    assert [row["id"] for row in stale] == ["basic-attention-token"]
    assert stale[0]["last_updated"].startswith("2026-03-16T15:4")
    assert stale[0]["price_change_percentage_24h"] is stale[0]["high_24h"] is None
    assert stale[0]["current_price"] > 0


def test_it_writes_numbers_as_the_service_does(api: Api) -> None:
    found = {row["id"]: row for row in rows(api, per_page=250)}
    assert isinstance(found["bitcoin"]["market_cap"], int)
    text = api.get("/coins/markets", vs_currency="usd", ids="mog-coin").text
    assert "e-1" in text  # tiny prices come in e-notation
    assert found["mog-coin"]["current_price"] < 1e-8
    rounded = rows(api, ids="ethereum", precision="1")[0]["current_price"]
    assert rounded == round(rounded, 1)
    assert sum(row["max_supply"] is None for row in found.values()) > 10
    assert sum(row["roi"] is None for row in found.values()) == 49


def test_it_moves_prices_on_with_the_clock_and_never_shows_the_future(api: Api, clock: Clock) -> None:
    before = rows(api, ids="bitcoin", precision="full")[0]
    clock.now += 120
    after = rows(api, ids="bitcoin", precision="full")[0]
    assert before["current_price"] != after["current_price"]
    assert before["last_updated"] < after["last_updated"] <= "2026-03-18T15:44:10.000Z"


def test_it_converts_a_whole_row(api: Api) -> None:
    dollars = rows(api, ids="bitcoin", precision="full")[0]
    yen = api.json("/coins/markets", vs_currency="jpy", ids="bitcoin", precision="full")[0]
    assert yen["current_price"] == pytest.approx(150 * dollars["current_price"])
    assert yen["price_change_24h"] == pytest.approx(150 * dollars["price_change_24h"])
    assert yen["circulating_supply"] == dollars["circulating_supply"]


@pytest.mark.parametrize("wrong", [{"per_page": "0"}, {"page": "x"}, {"sparkline": "maybe"}, {"precision": "-1"}])
def test_it_refuses_wrong_table_parameters(api: Api, wrong: dict[str, str]) -> None:
    response = api.get("/coins/markets", vs_currency="usd", **wrong)
    assert (response.status_code, response.json()) == (400, {"error": f"invalid {next(iter(wrong))}"})


def test_it_gives_simple_prices_and_leaves_unknown_ids_out(api: Api, clock: Clock) -> None:
    answer = api.json(
        "/simple/price",
        ids="bitcoin,no-such-coin",
        vs_currencies="usd,eur,usdt",
        include_market_cap="true",
        include_24hr_vol="true",
        include_24hr_change="true",
        include_last_updated_at="true",
    )
    assert list(answer) == ["bitcoin"]
    assert set(answer["bitcoin"]) == {
        *(f"{code}{end}" for code in ("usd", "eur") for end in ("", "_market_cap", "_24h_vol", "_24h_change")),
        "last_updated_at",
    }
    assert clock.now - 60 < answer["bitcoin"]["last_updated_at"] <= clock.now
    assert api.json("/simple/price", ids="no-such-coin", vs_currencies="usd") == {}


@pytest.mark.parametrize(
    ("given", "missing"), [({"vs_currencies": "usd"}, "ids"), ({"ids": "bitcoin"}, "vs_currencies")]
)
def test_it_names_the_missing_parameter_of_simple_prices(api: Api, given: dict[str, str], missing: str) -> None:
    response = api.get("/simple/price", **given)
    assert (response.status_code, response.json()) == (422, {"error": f"Missing parameter {missing}"})


def test_it_lists_active_coins_and_separately_inactive_ones(api: Api) -> None:
    active = api.json("/coins/list")
    assert len(active) == 50
    assert set(active[0]) == {"id", "symbol", "name"}
    symbols = [coin["symbol"] for coin in active]
    assert len(set(symbols)) < len(symbols)
    inactive = {coin["id"] for coin in api.json("/coins/list", status="inactive")}
    assert "terra-luna" in inactive
    assert not inactive & {coin["id"] for coin in active}
    with_platforms = {coin["id"]: coin["platforms"] for coin in api.json("/coins/list", include_platform="true")}
    assert with_platforms["tether"]["ethereum"].startswith("0x")
    assert with_platforms["bitcoin"] == {}


def test_it_searches_ids_symbols_and_names(api: Api) -> None:
    found = api.json("/search", query="UsD")["coins"]
    assert {"tether", "usd-coin", "falcon-finance", "astherus-usdf"} <= {coin["id"] for coin in found}
    assert found[0]["symbol"] == "USDT"
    assert api.json("/search", query="no such thing")["coins"] == []


def test_it_trends_fifteen_coins_with_display_strings(api: Api) -> None:
    answer = api.json("/search/trending")
    assert {name: len(part) for name, part in answer.items()} == {"coins": 15, "nfts": 7, "categories": 6}
    data = answer["coins"][0]["item"]["data"]
    assert isinstance(data["price"], float)
    assert data["market_cap"].startswith("$")


def test_it_sums_the_market_up(api: Api) -> None:
    state = api.json("/global")["data"]
    caps = [row["market_cap"] or 0 for row in rows(api, per_page=250)]
    assert state["total_market_cap"]["usd"] == pytest.approx(sum(caps), rel=1e-6)
    assert 0 < state["market_cap_percentage"]["btc"] < 100
    assert state["active_cryptocurrencies"] == 50


def test_it_tells_rates_currencies_and_platforms(api: Api) -> None:
    rates = api.json("/exchange_rates")["rates"]
    assert rates["btc"]["value"] == 1
    assert rates["usd"] == {"name": "US Dollar", "unit": "$", "value": 50_000, "type": "fiat"}
    currencies = api.json("/simple/supported_vs_currencies")
    assert len(currencies) >= 62
    assert "usdt" not in currencies
    assert len(api.json("/asset_platforms", filter="nft")) < len(api.json("/asset_platforms"))


def test_it_leaves_out_of_a_coin_s_detail_what_the_flags_switch_off(api: Api) -> None:
    parts = ("localization", "tickers", "market_data", "community_data", "developer_data")
    full = api.json("/coins/bitcoin")
    bare = api.json("/coins/bitcoin", **dict.fromkeys(parts, "false"))
    assert full.keys() - bare.keys() == set(parts)
    row = rows(api, ids="bitcoin", precision="full")[0]
    assert full["market_data"]["current_price"]["usd"] == pytest.approx(row["current_price"])
    assert full["market_data"]["price_change_percentage_24h"] == pytest.approx(
        row["price_change_percentage_24h"], rel=1e-4
    )
    assert not math.isnan(full["market_data"]["ath"]["usd"])


def test_it_shows_a_picture_of_each_coin_from_itself(api: Api) -> None:
    response = api.session.get(rows(api, ids="bitcoin")[0]["image"], timeout=5)
    assert (response.status_code, response.headers["Content-Type"]) == (200, "image/svg+xml")


@pytest.mark.parametrize("path", ["/key", "/coins/list/new", "/coins/top_gainers_losers", "/coins/bitcoin/ohlc/range"])
def test_it_refuses_paid_endpoints(api: Api, path: str) -> None:
    response = api.get(path)
    assert (response.status_code, response.json()["status"]["error_code"]) == (401, 10005)


def test_it_knows_no_other_path(api: Api) -> None:
    assert api.get("/coins/bitcoin/tickets").status_code == 404
    assert api.get("/nothing").status_code == 404
