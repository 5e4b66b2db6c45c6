"""Charts: the live point, rejected points, and time slots."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from markets.coingecko.fields import Rejected
from markets.coingecko.series import parse_market_chart, parse_ohlc

DAY = timedelta(days=1)
NOW = datetime(2026, 4, 8, 14, 6, tzinfo=UTC)


def ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def chart(stamps: list[datetime], prices: list[Any] | None = None, **others: Any) -> dict[str, Any]:
    values = prices or [float(index + 1) for index in range(len(stamps))]
    return {"prices": [[ms(at), value] for at, value in zip(stamps, values, strict=True)], **others}


def midnights(count: int) -> list[datetime]:
    today = datetime(2026, 4, 8, tzinfo=UTC)
    return [today - DAY * back for back in range(count - 1, -1, -1)]


def test_it_sets_the_live_point_of_a_daily_chart_apart() -> None:
    read = parse_market_chart(chart([*midnights(5), NOW]), now=NOW)
    assert [point.at for point in read.points] == midnights(5)
    assert read.live is not None
    assert (read.live.at, read.live.price) == (NOW, 6.0)


def test_it_keeps_midnight_when_no_live_point_was_sent() -> None:
    read = parse_market_chart(chart(midnights(5)), now=NOW)
    assert read.live is None
    assert len(read.points) == 5


def test_it_finds_a_live_point_stamped_before_the_one_ahead_of_it() -> None:
    stamps = [NOW - timedelta(minutes=5 * back) for back in range(5, 0, -1)]
    sent_last = stamps[-1] - timedelta(milliseconds=955)
    read = parse_market_chart(chart([*stamps, sent_last]), now=NOW - timedelta(minutes=3))
    assert read.live is not None
    assert read.live.at == sent_last
    assert [point.at for point in read.points] == stamps


def test_it_calls_no_point_of_the_past_live() -> None:
    stamps = [NOW - DAY + timedelta(hours=hour) for hour in range(10)]
    read = parse_market_chart(chart(stamps), now=NOW)
    assert read.live is None
    assert len(read.points) == 10


def test_it_takes_the_only_point_of_a_new_coin_as_live() -> None:
    read = parse_market_chart(chart([NOW]), now=NOW)
    assert read.points == ()
    assert read.live is not None
    assert parse_market_chart({"prices": []}, now=NOW).live is None


def test_it_sorts_and_keeps_the_later_sent_of_two_prices_at_one_time() -> None:
    first, second, third = midnights(3)
    read = parse_market_chart(chart([third, first, second, first], [3.0, 1.0, 2.0, 1.5]), now=NOW)
    assert [(point.at, point.price) for point in read.points] == [(first, 1.5), (second, 2.0), (third, 3.0)]
    assert [rejected.reason for rejected in read.rejected] == ["another price at the same time"]


def test_it_rejects_unsound_points_and_keeps_the_rest() -> None:
    stamps = midnights(8)
    prices = [1.0, float("nan"), float("inf"), -1.0, 0, 1.1e12, None, 8.0]
    body = chart(stamps, prices)
    body["prices"] += [[ms(NOW + DAY), 5.0], [1775606400, 5.0], [ms(NOW)], 7]
    read = parse_market_chart(body, now=NOW)
    assert [point.price for point in read.points] == [1.0, 8.0]
    assert read.rejected == (
        Rejected("not a finite number", "prices[1]"),
        Rejected("not a finite number", "prices[2]"),
        Rejected("negative", "prices[3]"),
        Rejected("zero price", "prices[4]"),
        Rejected("absurd price", "prices[5]"),
        Rejected("no price", "prices[6]"),
        Rejected("from the future", "prices[8]"),
        Rejected("before 2009", "prices[9]"),
        Rejected("not a pair", "prices[10]"),
        Rejected("not a pair", "prices[11]"),
    )


def test_it_joins_capitalisation_and_volume_by_time() -> None:
    first, second, third = midnights(3)
    body = chart(
        [first, second, third],
        market_caps=[[ms(first), None], [ms(second), 0.0], [ms(third), 900]],
        total_volumes=[[ms(third), 0], [ms(first), 5]],
    )
    read = parse_market_chart(body, now=NOW)
    assert [point.market_cap for point in read.points] == [None, None, 900.0]
    assert [point.volume_24h for point in read.points] == [5.0, None, 0.0]
    assert read.rejected == ()


def test_it_rejects_impossible_candles() -> None:
    stamp = ms(NOW)
    unsound = [[stamp + 1, 2, 1, 3, 2], [stamp + 2, 2, 3, 1, 4], [stamp + 3, 1, 1, 1], [None] * 5]
    body = [[stamp, 2, 3, 1, 2.5], *unsound]
    answer = parse_ohlc(body, now=NOW)
    assert [candle.close for candle in answer.rows] == [2.5]
    assert [rejected.what for rejected in answer.rejected] == ["ohlc[1]", "ohlc[2]", "ohlc[3]", "ohlc[4]"]


@pytest.mark.shared
@pytest.mark.parametrize(("name", "days"), [("chart-1y", 365), ("chart-30d", 30)])
def test_it_reads_a_real_daily_chart(name: str, days: int, recorded: Callable[[str], Any]) -> None:
    body = recorded(f"recorded/tokenradar_2026/{name}-mantra-dao.json")
    read = parse_market_chart(body, now=NOW)
    assert len(read.points) == days == len(body["prices"]) - 1
    assert read.live is not None
    assert read.live.at == datetime(2026, 4, 7, 14, 6, 10, tzinfo=UTC)
    assert {after.at - before.at for before, after in pairwise(read.points)} == {DAY}
    assert read.rejected == ()


@pytest.mark.shared
@pytest.mark.parametrize(
    "name",
    [
        "gets_minutely_historical_prices_for_one_coin",
        "gets_minutely_historical_prices_for_one_coin.1",
        "gets_hourly_historical_prices_for_one_coin",
        "gets_daily_historical_prices_for_one_coin",
    ],
)
def test_it_reads_a_real_jittered_chart(name: str, recorded: Callable[[str], Any]) -> None:
    capture = recorded(f"recorded/ruby_vcr_2021/{name}.json")
    now = datetime.strptime(capture["recorded_at"], "%a, %d %b %Y %H:%M:%S %Z").replace(tzinfo=UTC)
    read = parse_market_chart(capture["body"], now=now)
    sent = capture["body"]["prices"]
    assert read.live is not None
    assert (ms(read.live.at), read.live.price) == (sent[-1][0], sent[-1][1])
    assert len(read.points) == len(sent) - 1
    assert [point.at for point in read.points] == sorted(point.at for point in read.points)
    assert read.rejected == ()
