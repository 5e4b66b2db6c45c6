"""Price series keep what a chart must show, and say which interval they used."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from markets.models import Cryptocurrency, Interval, PriceData
from markets.series import MAX_POINTS, RANGES, candles, price_series

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)  # a Wednesday
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def coin(db: None) -> Cryptocurrency:
    return Cryptocurrency.objects.create(coingecko_id="bitcoin", symbol="btc", name="Bitcoin", is_tracked=True)


def add(coin: Cryptocurrency, interval: str, start: datetime, closes: list[float], **columns: float | None) -> None:
    """Slots in a row from `start` on; each opens where the one before closed."""
    opens = [closes[0], *closes[:-1]]
    length = Interval(interval).length
    PriceData.objects.bulk_create(
        PriceData(
            coin=coin, interval=interval, at=start + i * length, open=first, close=last,
            high=max(first, last), low=min(first, last), **columns,
        )
        for i, (first, last) in enumerate(zip(opens, closes, strict=True))
    )  # fmt: skip


def test_it_returns_every_slot_of_a_short_range_with_its_exact_doubles(coin: Cryptocurrency) -> None:
    tiny = 5.7000000000000005e-11
    add(coin, "1d", NOW - 3 * DAY, [1.0, 0.1 + 0.2, tiny])
    series = price_series(coin, start=NOW - 3 * DAY, end=NOW, interval="1d")
    assert series.close == [1.0, 0.30000000000000004, tiny]
    assert series.open == [1.0, 1.0, 0.30000000000000004]
    assert series.at == [NOW - 3 * DAY, NOW - 2 * DAY, NOW - DAY]
    assert (series.volume_24h, series.total_points, series.is_downsampled) == ([None] * 3, 3, False)


def test_it_includes_the_start_and_excludes_the_end(coin: Cryptocurrency) -> None:
    add(coin, "1h", NOW - 4 * HOUR, [1.0, 2.0, 3.0, 4.0, 5.0])
    series = price_series(coin, start=NOW - 3 * HOUR, end=NOW, interval="1h")
    assert series.at == [NOW - 3 * HOUR, NOW - 2 * HOUR, NOW - HOUR]


@pytest.mark.parametrize("max_points", [10, 11, 100, 999, MAX_POINTS])
def test_it_keeps_first_last_lowest_and_highest_when_it_thins(coin: Cryptocurrency, max_points: int) -> None:
    closes = [100.0 + (i * 37 % 101) / 10 for i in range(2500)]
    closes[0], closes[1234], closes[1777], closes[-1] = 104.3, 1.5, 999.0, 103.9
    add(coin, "1h", NOW - 2500 * HOUR, closes)
    series = price_series(coin, start=None, end=NOW, interval="1h", max_points=max_points)
    assert len(series.at) <= max_points
    assert (series.total_points, series.is_downsampled) == (2500, True)
    assert (series.close[0], series.close[-1]) == (104.3, 103.9)
    assert (min(series.close), max(series.close)) == (1.5, 999.0)
    assert series.at == sorted(set(series.at))
    lengths = {len(column) for column in (series.open, series.high, series.low, series.volume_24h, series.market_cap)}
    assert lengths == {len(series.at)}


def test_it_keeps_a_spike_that_only_the_high_and_low_columns_show(coin: Cryptocurrency) -> None:
    add(coin, "1h", NOW - 500 * HOUR, [100.0 + i % 7 for i in range(500)])
    PriceData.objects.filter(at=NOW - 250 * HOUR).update(high=5000.0)
    PriceData.objects.filter(at=NOW - 249 * HOUR).update(low=0.5)
    series = price_series(coin, start=None, end=NOW, interval="1h", max_points=20)
    assert (min(series.low), max(series.high)) == (0.5, 5000.0)
    assert len(series.at) <= 20


def test_it_uses_most_of_the_points_it_may(coin: Cryptocurrency) -> None:
    add(coin, "1h", NOW - 2500 * HOUR, [100.0 + (i * 37 % 101) / 10 for i in range(2500)])
    series = price_series(coin, start=None, end=NOW, interval="1h", max_points=500)
    assert 450 <= len(series.at) <= 500


@pytest.mark.parametrize(
    ("range_name", "expected"),
    [("1d", "5m"), ("7d", "1h"), ("30d", "1h"), ("90d", "1h"), ("1y", "1d"), ("all", "1d")],
)
def test_it_picks_the_interval_that_suits_the_range(coin: Cryptocurrency, range_name: str, expected: str) -> None:
    add(coin, "5m", NOW - 2 * DAY, [1.0] * 12 * 48)
    add(coin, "1h", NOW - 91 * DAY, [1.0] * 24 * 91)
    add(coin, "1d", NOW - 400 * DAY, [1.0] * 400)
    length = RANGES[range_name]
    series = price_series(coin, start=NOW - length if length else None, end=NOW)
    assert series.interval == expected


def test_it_falls_to_the_coarser_interval_that_has_data(coin: Cryptocurrency) -> None:
    add(coin, "1d", NOW - 30 * DAY, [1.0] * 30)
    assert price_series(coin, start=NOW - 2 * DAY, end=NOW).interval == "1d"
    assert price_series(coin, start=NOW - 7 * DAY, end=NOW).interval == "1d"


def test_it_does_not_pick_five_minutes_that_reach_back_only_a_little(coin: Cryptocurrency) -> None:
    add(coin, "5m", NOW - HOUR, [1.0] * 12)
    add(coin, "1h", NOW - 3 * DAY, [1.0] * 72)
    series = price_series(coin, start=NOW - DAY, end=NOW)
    assert (series.interval, len(series.at)) == ("1h", 24)


def test_it_falls_to_finer_slots_when_there_is_nothing_else(coin: Cryptocurrency) -> None:
    add(coin, "5m", NOW - HOUR, [1.0] * 12)
    series = price_series(coin, start=None, end=None)
    assert (series.interval, len(series.at)) == ("5m", 12)


def test_it_is_empty_without_data_and_never_shows_another_coin(coin: Cryptocurrency) -> None:
    other = Cryptocurrency.objects.create(coingecko_id="ethereum", symbol="eth", name="Ethereum")
    add(other, "1d", NOW - 3 * DAY, [1.0] * 3)
    series = price_series(coin, start=NOW - 7 * DAY, end=NOW)
    assert (series.at, series.close, series.total_points, series.is_downsampled) == ([], [], 0, False)


@pytest.mark.parametrize(
    "bad",
    [
        {"interval": "2h"},
        {"max_points": 9},
        {"max_points": MAX_POINTS + 1},
        {"start": NOW},
        {"start": NOW + DAY},
        {"start": datetime(2026, 3, 1)},
    ],
)
def test_it_refuses_bad_arguments(coin: Cryptocurrency, bad: dict[str, object]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        price_series(coin, **{"start": NOW - DAY, "end": NOW, **bad})  # type: ignore[arg-type]


@pytest.mark.parametrize("rows", [1, 1000])
def test_it_takes_two_queries_however_many_rows(coin: Cryptocurrency, rows: int) -> None:
    add(coin, "1h", NOW - rows * HOUR, [1.0] * rows)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        price_series(coin, start=NOW - 60 * DAY, end=NOW)
    assert len(queries) == 2


def test_it_makes_four_hour_candles_of_hours(coin: Cryptocurrency) -> None:
    midnight = NOW.replace(hour=0)
    add(coin, "1h", midnight, [10.0, 14.0, 8.0, 9.0, 11.0, 12.0], volume_24h=7.0)
    made = candles(coin, interval="4h", start=midnight, end=midnight + 8 * HOUR)
    assert made.at == [midnight, midnight + 4 * HOUR]
    assert (made.open, made.high, made.low, made.close) == (
        [10.0, 9.0],
        [14.0, 12.0],
        [8.0, 9.0],
        [9.0, 12.0],
    )
    assert (made.is_complete, made.volume_24h, made.market_cap) == ([True, False], [7.0, 7.0], [None, None])


def test_it_starts_weekly_candles_on_monday(coin: Cryptocurrency) -> None:
    add(coin, "1d", datetime(2026, 2, 18, tzinfo=UTC), [float(i) for i in range(1, 13)])
    made = candles(coin, interval="1w", start=datetime(2026, 2, 19, tzinfo=UTC), end=NOW)
    assert made.at == [datetime(2026, 2, 23, tzinfo=UTC)]  # the week of the 16th began before the range
    assert (made.open, made.close, made.is_complete) == ([5.0], [12.0], [True])


def test_it_gives_hourly_and_daily_slots_as_they_are(coin: Cryptocurrency) -> None:
    add(coin, "1h", NOW - 3 * HOUR, [1.0, 2.0, 3.0])
    add(coin, "1d", NOW.replace(hour=0) - 2 * DAY, [4.0, 5.0])
    assert candles(coin, interval="1h", start=None, end=None).close == [1.0, 2.0, 3.0]
    assert candles(coin, interval="1d", start=None, end=None).close == [4.0, 5.0]


def test_it_reads_times_in_other_zones_as_the_same_instants(coin: Cryptocurrency) -> None:
    add(coin, "1d", datetime(2026, 3, 1, tzinfo=UTC), [1.0, 2.0, 3.0])
    east = timezone(timedelta(hours=9))
    made = candles(coin, interval="1d", start=datetime(2026, 3, 2, 9, tzinfo=east), end=None)
    assert made.at == [datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 3, tzinfo=UTC)]


def test_it_refuses_unknown_candles(coin: Cryptocurrency) -> None:
    with pytest.raises(ValueError, match="no candle"):
        candles(coin, interval="5m", start=None, end=None)


def test_it_leaves_quarantined_slots_out_of_series_and_candles(coin: Cryptocurrency) -> None:
    add(coin, "1h", NOW - 5 * HOUR, [1.0, 2.0, 99.0, 4.0, 5.0])
    PriceData.objects.filter(at=NOW - 3 * HOUR).update(is_quarantined=True)
    assert price_series(coin, start=NOW - 5 * HOUR, end=NOW, interval="1h").close == [1.0, 2.0, 4.0, 5.0]
    made = candles(coin, interval="4h", start=NOW - DAY, end=NOW)
    assert max(made.high) == 99.0  # the row after it opened with the bad price and is another slot
    PriceData.objects.filter(at=NOW - 2 * HOUR).update(is_quarantined=True)
    made = candles(coin, interval="4h", start=NOW - DAY, end=NOW)
    assert (max(made.high), made.is_complete) == (5.0, [False, False])


def test_it_says_where_a_line_must_break(coin: Cryptocurrency) -> None:
    add(coin, "1h", NOW - 100 * HOUR, [1.0] * 40)
    add(coin, "1h", NOW - 50 * HOUR, [1.0] * 40)
    whole = price_series(coin, start=NOW - 100 * HOUR, end=NOW, interval="1h")
    assert [place for place, is_new in enumerate(whole.is_after_gap) if is_new] == [40]
    thinned = price_series(coin, start=NOW - 100 * HOUR, end=NOW, interval="1h", max_points=10)
    assert sum(thinned.is_after_gap) == 1
    first = thinned.at[thinned.is_after_gap.index(True)]
    assert first >= NOW - 50 * HOUR


def test_it_takes_late_ticks_and_slower_coins_for_no_gap(coin: Cryptocurrency) -> None:
    minute = timedelta(minutes=1)
    for offset in (0, 15, 30, 60):
        add(coin, "5m", NOW - HOUR + offset * minute, [1.0])
    assert sum(price_series(coin, start=NOW - DAY, end=None, interval="5m").is_after_gap) == 1
    coin.sync_every_seconds = 900
    assert sum(price_series(coin, start=NOW - DAY, end=None, interval="5m").is_after_gap) == 0
