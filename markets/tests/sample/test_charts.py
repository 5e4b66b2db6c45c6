"""The charts of one coin over HTTP: granularity, jitter, the live last point, candles and limits."""

from typing import Any

import numpy as np
import pytest

from markets.sample.market import HistoryMarket

from .conftest import Api, Clock

DAY = 86_400
CHART = "/coins/bitcoin/market_chart"


def stamps(column: list[list[Any]]) -> list[float]:
    return [point[0] / 1_000 for point in column]


def gaps(column: list[list[Any]]) -> list[float]:
    return np.diff(stamps(column)[:-1]).tolist()


def test_it_gives_daily_midnights_and_then_the_present_beyond_90_days(api: Api, clock: Clock) -> None:
    answer = api.json(CHART, vs_currency="usd", days=365)
    prices = answer["prices"]
    assert len(prices) == len(answer["market_caps"]) == len(answer["total_volumes"]) == 366
    assert all(at % DAY == 0 for at in stamps(prices)[:-1])
    assert stamps(prices)[-2] == clock.now // DAY * DAY
    assert clock.now - 20 <= stamps(prices)[-1] <= clock.now


def test_it_gives_the_market_s_own_daily_rows(api: Api, market: HistoryMarket) -> None:
    prices = api.json(CHART, vs_currency="usd", days=180)["prices"]
    first_day = int(stamps(prices)[0] // DAY)
    assert [price for _, price in prices[:-1]] == market.history("bitcoin").daily(first_day, 180).prices.tolist()


def test_it_gives_jittered_hours_up_to_90_days(api: Api) -> None:
    prices = api.json(CHART, vs_currency="usd", days=30)["prices"]
    assert 720 <= len(prices) <= 722
    assert len({at % 3_600 for at in stamps(prices)}) > 600
    assert all(3_600 - 240 < gap < 3_600 + 240 for gap in gaps(prices))


def test_it_gives_jittered_five_minutes_for_one_day(api: Api) -> None:
    prices = api.json(CHART, vs_currency="usd", days=1)["prices"]
    assert 288 <= len(prices) <= 290
    assert all(100 < gap < 500 for gap in gaps(prices))
    assert len({round(gap) for gap in gaps(prices)}) > 50


def test_it_repeats_the_same_points_when_asked_again_later(api: Api, clock: Clock) -> None:
    first = api.json(CHART, vs_currency="usd", days=2)["prices"]
    clock.now += 3_600
    later = api.json(CHART, vs_currency="usd", days=2)["prices"]
    assert set(map(tuple, first[:-1])) - set(map(tuple, later[:-1])) <= set(map(tuple, first[:2]))
    assert first[-1] not in later


def test_it_sometimes_puts_the_live_point_before_the_last_grid_point(api: Api, clock: Clock) -> None:
    is_out_of_order = []
    for _ in range(200):
        prices = api.json(CHART, vs_currency="usd", days=1)["prices"]
        is_out_of_order.append(prices[-1][0] < prices[-2][0])
        clock.now += 37
    assert any(is_out_of_order)
    assert not all(is_out_of_order)


def test_it_withholds_the_day_just_closed_for_ten_minutes(api: Api, clock: Clock) -> None:
    clock.now = (clock.now // DAY + 1) * DAY + 300
    before = api.json(CHART, vs_currency="usd", days=100)["prices"]
    clock.now += 600
    after = api.json(CHART, vs_currency="usd", days=100)["prices"]
    assert len(after) == len(before) + 1
    assert stamps(after)[-2] == clock.now // DAY * DAY


@pytest.mark.parametrize(("interval", "days", "count"), [("daily", 30, 31), ("hourly", 100, 2_401)])
def test_it_obeys_an_asked_interval(api: Api, interval: str, days: int, count: int) -> None:
    prices = api.json(CHART, vs_currency="usd", days=days, interval=interval)["prices"]
    assert abs(len(prices) - count) <= 1


def test_it_gives_a_young_coin_s_few_points_without_an_error(api: Api, market: HistoryMarket) -> None:
    youngest = max(market.coins, key=lambda coin_id: market.history(coin_id).first_day)
    prices = api.json(f"/coins/{youngest}/market_chart", vs_currency="usd", days=365)["prices"]
    assert 1 <= len(prices) < 90


def test_it_gives_caps_of_zero_for_a_coin_of_unknown_supply(api: Api) -> None:
    answer = api.json("/coins/samoyedcoin/market_chart", vs_currency="usd", days=100)
    assert {cap for _, cap in answer["market_caps"]} == {0.0}


def test_it_ends_the_chart_of_a_stale_coin_two_days_ago(api: Api, clock: Clock) -> None:
    prices = api.json("/coins/basic-attention-token/market_chart", vs_currency="usd", days=30)["prices"]
    assert clock.now - 2 * DAY - 20 <= stamps(prices)[-1] <= clock.now - 2 * DAY


def test_it_converts_to_other_currencies_by_a_fixed_rate(api: Api) -> None:
    dollars = api.json(CHART, vs_currency="usd", days=100)["prices"]
    euros = api.json(CHART, vs_currency="EUR", days=100)["prices"]
    assert [price for _, price in euros] == pytest.approx([price * 0.9 for _, price in dollars])


def test_it_rounds_prices_to_the_precision_asked(api: Api) -> None:
    prices = api.json(CHART, vs_currency="usd", days=2, precision="2")["prices"]
    assert all(price == round(price, 2) for _, price in prices)


@pytest.mark.parametrize(
    ("parameters", "status", "body"),
    [
        ({"days": "1"}, 422, {"error": "Missing parameter vs_currency"}),
        ({"vs_currency": "usd"}, 422, {"error": "Missing parameter days"}),
        ({"vs_currency": "usdt", "days": "1"}, 400, {"error": "invalid vs_currency"}),
        ({"vs_currency": "usd", "days": "soon"}, 400, {"error": "invalid days parameter"}),
        ({"vs_currency": "usd", "days": "nan"}, 400, {"error": "invalid days parameter"}),
        ({"vs_currency": "usd", "days": "-1"}, 400, {"error": "invalid days parameter"}),
        ({"vs_currency": "usd", "days": "9", "interval": "weekly"}, 400, {"error": "invalid interval"}),
        ({"vs_currency": "usd", "days": "9", "precision": "19"}, 400, {"error": "invalid precision"}),
    ],
)
def test_it_refuses_wrong_parameters(api: Api, parameters: dict[str, str], status: int, body: dict[str, str]) -> None:
    response = api.get(CHART, **parameters)
    assert (response.status_code, response.json()) == (status, body)


@pytest.mark.parametrize("days", ["366", "max"])
def test_it_refuses_more_than_365_days(api: Api, days: str) -> None:
    response = api.get(CHART, vs_currency="usd", days=days)
    assert response.status_code == 401
    assert response.json()["error"]["status"]["error_code"] == 10012


def test_it_refuses_five_minute_intervals_on_the_free_plan(api: Api) -> None:
    response = api.get(CHART, vs_currency="usd", days=1, interval="5m")
    assert (response.status_code, response.json()["status"]["error_code"]) == (401, 10005)


@pytest.mark.parametrize("coin_id", ["terra-luna", "no-such-coin"])
@pytest.mark.parametrize("rest", ["", "/market_chart", "/market_chart/range", "/ohlc", "/history"])
def test_it_finds_no_delisted_or_unknown_coin(api: Api, coin_id: str, rest: str) -> None:
    response = api.get(f"/coins/{coin_id}{rest}", vs_currency="usd", days=1)
    assert (response.status_code, response.json()) == (404, {"error": "coin not found"})


def range_of(api: Api, start: float, end: float) -> list[list[Any]]:
    answer = api.json(f"{CHART}/range", vs_currency="usd", **{"from": int(start), "to": int(end)})
    prices: list[list[Any]] = answer["prices"]
    return prices


def test_it_chooses_the_granularity_of_a_range_by_its_length_and_age(api: Api, clock: Clock) -> None:
    now = clock.now
    assert 288 <= len(range_of(api, now - DAY, now)) <= 290
    assert 23 <= len(range_of(api, now - 11 * DAY, now - 10 * DAY)) <= 25
    assert 240 <= len(range_of(api, now - 11 * DAY, now - DAY)) <= 242
    daily = range_of(api, now - 200 * DAY, now - 50 * DAY)
    assert len(daily) == 150
    assert all(at % DAY == 0 for at in stamps(daily))


def test_it_reads_iso_dates_as_range_bounds(api: Api) -> None:
    dates = api.json(f"{CHART}/range", vs_currency="usd", **{"from": "2025-10-01", "to": "2026-02-01"})
    assert (stamps(dates["prices"])[0], len(dates["prices"])) == (1_759_276_800, 124)


def test_it_gives_empty_columns_for_swapped_and_future_ranges(api: Api, clock: Clock) -> None:
    assert range_of(api, clock.now - DAY, clock.now - 2 * DAY) == []
    assert range_of(api, clock.now + DAY, clock.now + 2 * DAY) == []


def test_it_refuses_a_range_older_than_365_days(api: Api, clock: Clock) -> None:
    response = api.get(
        f"{CHART}/range", vs_currency="usd", **{"from": int(clock.now - 400 * DAY), "to": int(clock.now)}
    )
    assert response.json()["error"]["status"]["error_code"] == 10012


@pytest.mark.parametrize(
    ("days", "step", "count"),
    [
        (1, 1_800, 48),
        (7, 14_400, 42),
        (14, 14_400, 84),
        (30, 14_400, 180),
        (90, 4 * DAY, 23),
        (365, 4 * DAY, 92),
    ],
)
def test_it_gives_finished_candles_stamped_with_their_close(
    api: Api, clock: Clock, days: int, step: int, count: int
) -> None:
    candles = api.json("/coins/bitcoin/ohlc", vs_currency="usd", days=days)
    closes = stamps(candles)
    assert len(candles) == count
    assert np.diff(closes).tolist() == [step] * (count - 1)
    assert clock.now - step < closes[-1] <= clock.now
    assert all(low <= min(opened, closed) <= max(opened, closed) <= high for _, opened, high, low, closed in candles)


def test_it_closes_candles_on_the_prices_of_the_chart(api: Api, market: HistoryMarket) -> None:
    at, *_, closed = api.json("/coins/bitcoin/ohlc", vs_currency="usd", days=7)[-1]
    assert closed == pytest.approx(market.history("bitcoin").price_at(at / 1_000))


@pytest.mark.parametrize("days", ["2", "60", "x"])
def test_it_refuses_candles_for_other_spans(api: Api, days: str) -> None:
    response = api.get("/coins/bitcoin/ohlc", vs_currency="usd", days=days)
    assert (response.status_code, response.json()) == (400, {"error": "Invalid days parameter"})


@pytest.mark.parametrize("day", ["17-03-2026", "2026-03-17"])
def test_it_gives_the_snapshot_of_a_day(api: Api, market: HistoryMarket, day: str) -> None:
    answer = api.json("/coins/bitcoin/history", date=day)
    price = market.history("bitcoin").price_at(1_773_705_600.0)
    assert answer["market_data"]["current_price"]["usd"] == pytest.approx(price)
    assert "market_data" not in api.json("/coins/sui/history", date="19-03-2026")
