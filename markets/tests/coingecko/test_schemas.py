"""What is taken from CoinGecko's answers, and what is rejected of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from markets.coingecko import schemas
from markets.coingecko.errors import BadAnswer
from markets.coingecko.schemas import Rejected

NOW = datetime(2026, 4, 8, 12, 0, tzinfo=UTC)
Recorded = Callable[[str], Any]


def row(**changes: Any) -> dict[str, Any]:
    return {
        "id": "alpha",
        "symbol": "alp",
        "name": "Alpha",
        "image": "https://example.test/alpha.png",
        "current_price": 2.75e-09,
        "market_cap": 1000,
        "total_volume": 0,
        "last_updated": "2026-04-08T11:59:00.123Z",
        **changes,
    }


def markets(*rows: Any) -> schemas.Answer[schemas.MarketRow]:
    return schemas.parse_markets(list(rows), now=NOW)


def test_it_takes_a_price_exactly_as_sent() -> None:
    answer = schemas.parse_markets(json.loads(json.dumps([row(current_price=0.1 + 0.2)])), now=NOW)
    assert answer.rows[0].current_price == 0.30000000000000004
    assert markets(row()).rows[0].current_price == 2.75e-09


def test_it_takes_a_row_with_nothing_but_a_name() -> None:
    bare = {"id": "alpha", "symbol": "alp", "name": "Alpha", "image": None}
    answer = markets(bare, row(id="beta", **dict.fromkeys(["current_price", "market_cap", "last_updated"])))
    assert [found.id for found in answer.rows] == ["alpha", "beta"]
    assert answer.rejected == ()
    assert answer.rows[0].current_price is None
    assert answer.rows[0].image == ""


@pytest.mark.parametrize(
    ("literal", "reason"),
    [
        ("NaN", "not a finite number"),
        ("1e400", "not a finite number"),
        ("-Infinity", "not a finite number"),
        ("1" + "0" * 400, "not a finite number"),
        ("-0.5", "negative"),
        ("0", "zero price"),
        ("1000000000001", "absurd price"),
        ('"12"', "not a number"),
        ("true", "not a number"),
        ("[1]", "not a number"),
    ],
)
def test_it_rejects_the_whole_row_of_an_impossible_price(literal: str, reason: str) -> None:
    bad = json.dumps(row(id="bad", current_price="PRICE")).replace('"PRICE"', literal)
    answer = schemas.parse_markets([row(), json.loads(bad)], now=NOW)
    assert [found.id for found in answer.rows] == ["alpha"]
    assert answer.rejected == (Rejected(reason, "bad"),)


def test_it_rejects_an_unsound_side_figure_alone() -> None:
    answer = markets(row(total_volume=-1, circulating_supply=float("nan"), ath_date="yesterday", roi=7))
    assert answer.rows[0].current_price == 2.75e-09
    assert answer.rows[0].total_volume is None
    assert set(answer.rejected) == {
        Rejected("negative", "alpha.total_volume"),
        Rejected("not a finite number", "alpha.circulating_supply"),
        Rejected("not a time", "alpha.ath_date"),
    }


def test_it_takes_a_capitalisation_of_zero_as_unknown() -> None:
    answer = markets(row(market_cap=0.0, fully_diluted_valuation=0))
    assert answer.rows[0].market_cap is None
    assert answer.rows[0].fully_diluted_valuation is None
    assert answer.rejected == ()


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("id", None, "not a coin id"),
        ("id", "../ping", "not a coin id"),
        ("id", "..", "not a coin id"),
        ("id", "a b", "not a coin id"),
        ("symbol", "", "empty or not a text"),
        ("id", "\ud83d", "not a coin id"),
        ("name", "half \ud83d", "half a character"),
        ("name", "\x00", "too long or with a null character"),
        ("name", "x" * 301, "too long or with a null character"),
        ("last_updated", "2026-04-08T12:05:01Z", "from the future"),
        ("last_updated", "1999-01-01T00:00:00Z", "before 2009"),
        ("last_updated", 5, "not a time"),
    ],
)
def test_it_rejects_a_row_without_a_sound_identity_or_time(field: str, value: Any, reason: str) -> None:
    answer = markets(row(**{field: value}))
    assert answer.rows == ()
    assert [rejected.reason for rejected in answer.rejected] == [reason]


def test_it_keeps_the_newer_of_two_rows_of_one_coin() -> None:
    older = row(current_price=1.0, last_updated="2026-04-08T10:00:00Z")
    newer = row(current_price=2.0, last_updated="2026-04-08T11:00:00Z")
    for rows in ([older, newer], [newer, older]):
        answer = markets(*rows)
        assert [found.current_price for found in answer.rows] == [2.0]
        assert answer.rejected == (Rejected("duplicate", "alpha"),)


def test_it_ignores_fields_it_does_not_know_and_rows_that_are_none() -> None:
    answer = markets(row(new_field={"x": 1}), None, [1], "x")
    assert len(answer.rows) == 1
    assert answer.rejected == tuple(Rejected("not an object", f"markets[{index}]") for index in (1, 2, 3))


@pytest.mark.parametrize("unsound", [float("nan"), float("inf"), True, "3", 0, 1e12 * 1.01, 10**400])
def test_it_finds_the_one_unsound_price_of_a_sparkline(unsound: Any) -> None:
    answer = markets(row(sparkline_in_7d={"price": [1.5, unsound, 2]}))
    assert answer.rows[0].sparkline == (1.5, 2.0)
    assert [rejected.what for rejected in answer.rejected] == ["alpha.sparkline_in_7d[1]"]


def test_it_tells_a_sparkline_that_was_not_asked_for_from_an_empty_one() -> None:
    found = markets(row(), row(id="beta", sparkline_in_7d={"price": []}), row(id="gamma", sparkline_in_7d={"price": 5}))
    assert [coin.sparkline for coin in found.rows] == [None, (), ()]
    assert [rejected.what for rejected in found.rejected] == ["gamma.sparkline_in_7d.price"]


@pytest.mark.parametrize("figure", ["market_cap", "ath", "price_change_24h", "circulating_supply"])
@pytest.mark.parametrize("unsound", [float("nan"), float("inf"), -float("inf"), True, "3", 10**400])
def test_it_takes_no_unsound_figure_at_a_glance(figure: str, unsound: Any) -> None:
    answer = markets(row(**{figure: unsound}))
    assert getattr(answer.rows[0], figure) is None
    assert [rejected.what for rejected in answer.rejected] == [f"alpha.{figure}"]


def test_it_reads_the_sparkline_without_its_unsound_values() -> None:
    answer = markets(row(sparkline_in_7d={"price": [1, 2.5, None, -3, 4]}))
    assert answer.rows[0].sparkline == (1.0, 2.5, 4.0)
    assert [rejected.what for rejected in answer.rejected] == [
        "alpha.sparkline_in_7d[2]",
        "alpha.sparkline_in_7d[3]",
    ]


@pytest.mark.parametrize(
    "parse",
    [
        schemas.parse_coins_list,
        schemas.parse_search,
        lambda body: schemas.parse_markets(body, now=NOW),
        lambda body: schemas.parse_coin(body, now=NOW),
        lambda body: schemas.parse_simple_price(body, now=NOW),
        lambda body: schemas.parse_global(body, now=NOW),
        lambda body: schemas.parse_market_chart(body, now=NOW),
        lambda body: schemas.parse_ohlc(body, now=NOW),
    ],
)
@pytest.mark.parametrize("body", [None, 1, "x", [[]], {"error": 1}, {"coins": {}, "data": [], "prices": {}}])
def test_it_refuses_an_answer_of_another_shape(parse: Callable[[Any], Any], body: Any) -> None:
    try:
        answer = parse(body)
    except BadAnswer:
        return
    assert not answer.rows
    assert answer.rejected


def test_it_leaves_out_prices_without_a_number() -> None:
    body = {
        "alpha": {"usd": 1.5, "usd_market_cap": 0, "last_updated_at": 1775649000},
        "beta": {},
        "c": {"usd": 0},
    }
    answer = schemas.parse_simple_price(body, now=NOW)
    assert [(found.id, found.price_usd, found.market_cap_usd) for found in answer.rows] == [("alpha", 1.5, None)]
    assert answer.rows[0].last_updated_at == datetime(2026, 4, 8, 11, 50, tzinfo=UTC)
    assert answer.rejected == (Rejected("no price", "beta"), Rejected("zero price", "c"))


def test_it_lists_each_coin_once() -> None:
    coin = {"id": "alpha", "symbol": "alp", "name": "Alpha"}
    answer = schemas.parse_coins_list([coin, {**coin, "id": "beta"}, coin, {"id": "x", "symbol": "", "name": "X"}])
    assert [found.id for found in answer.rows] == ["alpha", "beta"]
    assert [rejected.what for rejected in answer.rejected] == ["alpha", "x"]


@pytest.mark.shared
@pytest.mark.parametrize("name", ["tokens-page-1.json", "tokens-page-1.2026-04-07.json"])
def test_it_reads_a_real_page_of_250_coins(name: str, recorded: Recorded) -> None:
    page = recorded(f"recorded/tokenradar_2026/{name}")
    answer = schemas.parse_markets(page, now=NOW)
    assert len(answer.rows) == 250
    assert answer.rejected == ()
    for sent, taken in zip(page, answer.rows, strict=True):
        assert taken.id == sent["id"]
        assert taken.current_price == sent["current_price"]
        assert taken.max_supply == sent["max_supply"]
        assert taken.price_change_percentage_7d == sent.get("price_change_percentage_7d_in_currency")
        assert taken.last_updated_at == datetime.fromisoformat(sent["last_updated"])


@pytest.mark.shared
def test_it_reads_every_recorded_kind_of_answer(recorded: Recorded) -> None:
    coin = schemas.parse_coin(recorded("recorded/tokenradar_2026/coin-detail-mantra-dao.json"), now=NOW)
    assert (coin.id, coin.symbol, coin.market_cap_rank, coin.rejected) == ("mantra-dao", "om", 123, ())
    assert coin.current_price_usd == 0.067723
    assert coin.homepage == "https://www.mantrachain.io/"
    assert len(coin.categories) == 9

    world = schemas.parse_global(recorded("recorded/jkorf_2024-26/GetGlobalData.txt"), now=NOW)
    assert world.total_market_cap_usd == 2515268352188.766
    assert world.market_cap_percentage["btc"] == pytest.approx(60.7, abs=0.1)
    assert world.rejected == ()

    hits = schemas.parse_search(recorded("recorded/jkorf_2024-26/Search.txt"))
    assert [(hit.id, hit.symbol, hit.market_cap_rank) for hit in hits.rows][:1] == [("ethereum", "ETH", 2)]
    assert schemas.parse_coins_list(recorded("recorded/jkorf_2024-26/GetAssets.txt")).rows[1].id == "01coin"
    candles = schemas.parse_ohlc(recorded("recorded/jkorf_2024-26/GetOhlc.txt"), now=NOW)
    assert candles.rows[0].high == 62211.0
    assert candles.rows[1].closed_at - candles.rows[0].closed_at == timedelta(hours=4)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("path", "parse"),
    [
        ("/coins/list", lambda body, now: schemas.parse_coins_list(body)),
        ("/coins/markets", lambda body, now: schemas.parse_markets(body, now=now)),
        ("/simple/price", lambda body, now: schemas.parse_simple_price(body, now=now)),
        ("/search", lambda body, now: schemas.parse_search(body)),
        ("/coins/{id}/ohlc", lambda body, now: schemas.parse_ohlc(body, now=now)),
    ],
)
def test_it_reads_the_examples_of_the_specification(
    path: str, parse: Callable[[Any, datetime], schemas.Answer[Any]], recorded: Recorded
) -> None:
    content = recorded("demo-api.json")["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
    example = content["example"] if "example" in content else next(iter(content["examples"].values()))["value"]
    answer = parse(example, datetime(2027, 1, 1, tzinfo=UTC))
    assert answer.rows
    assert answer.rejected == ()
