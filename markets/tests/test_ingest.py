"""Observed prices become slots, and slots become rows: each once, and never by a poorer one."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, transaction
from pytest_django import DjangoAssertNumQueries

from markets.coingecko.series import floor_time
from markets.ingest import Slot, closed_slots, tick_slot, write_rows, write_slots
from markets.models import Cryptocurrency, Interval, PriceData, Restatement

MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Point:
    at: datetime
    price: float
    market_cap: float | None = None
    volume_24h: float | None = None


def slot(at: datetime, price: float = 10.0, samples: int = 1, **changes: float) -> Slot:
    values = {"open": price, "high": price, "low": price, "close": price} | changes
    return Slot(at=at, volume_24h=None, market_cap=None, samples=samples, **values)


@pytest.fixture
def coin(db: None) -> Cryptocurrency:
    return Cryptocurrency.objects.create(coingecko_id="bitcoin", symbol="btc", name="Bitcoin", is_tracked=True)


def test_it_closes_a_day_with_the_price_of_the_next_midnight() -> None:
    points = [Point(MIDNIGHT + i * DAY, 100.0 + i) for i in range(4)]
    slots = closed_slots(points, Interval.DAY, now=MIDNIGHT + 10 * DAY)
    assert [(s.at, s.open, s.close) for s in slots] == [(MIDNIGHT + i * DAY, 100.0 + i, 101.0 + i) for i in range(3)]


def test_it_leaves_out_a_day_whose_next_midnight_was_not_seen() -> None:
    points = [Point(MIDNIGHT, 1.0), Point(MIDNIGHT + DAY, 2.0), Point(MIDNIGHT + 3 * DAY, 4.0)]
    slots = closed_slots(points, Interval.DAY, now=MIDNIGHT + 10 * DAY)
    assert [s.at for s in slots] == [MIDNIGHT]


def test_it_leaves_out_a_day_that_has_not_ended() -> None:
    points = [Point(MIDNIGHT, 1.0), Point(MIDNIGHT + DAY, 2.0)]
    assert closed_slots(points, Interval.DAY, now=MIDNIGHT + timedelta(hours=23)) == []


def test_it_leaves_out_the_day_in_whose_middle_an_answer_begins() -> None:
    points = [Point(MIDNIGHT + timedelta(hours=i), 10.0 + i) for i in range(7, 73)]
    slots = closed_slots(points, Interval.DAY, now=MIDNIGHT + 10 * DAY)
    assert [(s.at, s.open, s.close) for s in slots] == [
        (MIDNIGHT + DAY, 34.0, 58.0),
        (MIDNIGHT + 2 * DAY, 58.0, 82.0),
    ]


def test_it_sorts_points_and_floors_jittered_stamps() -> None:
    jitter = timedelta(seconds=41)
    points = [Point(MIDNIGHT + timedelta(hours=i) + jitter, 10.0 + i) for i in (2, 0, 1)]
    slots = closed_slots(points, Interval.HOUR, now=MIDNIGHT + DAY)
    assert [(s.at, s.open, s.high, s.low, s.close) for s in slots] == [
        (MIDNIGHT, 10.0, 11.0, 10.0, 11.0),
        (MIDNIGHT + timedelta(hours=1), 11.0, 12.0, 11.0, 12.0),
    ]


def test_it_puts_a_tick_into_its_five_minutes() -> None:
    made = tick_slot(Point(MIDNIGHT + timedelta(minutes=4, seconds=59), 3.0), MIDNIGHT + timedelta(minutes=5))
    assert (made.at, made.open, made.close) == (MIDNIGHT + timedelta(minutes=5), 3.0, 3.0)
    assert floor_time(MIDNIGHT + timedelta(hours=23, minutes=59), timedelta(days=1)) == MIDNIGHT


def test_it_stores_a_slot_once_however_often_it_is_written(coin: Cryptocurrency) -> None:
    for _ in range(3):
        write_slots(coin_id=coin.pk, interval=Interval.DAY, slots=[slot(MIDNIGHT), slot(MIDNIGHT + DAY)])
    assert PriceData.objects.count() == 2


def test_it_keeps_doubles_exactly(coin: Cryptocurrency) -> None:
    tiny = 5.7000000000000005e-11
    write_slots(coin_id=coin.pk, interval=Interval.DAY, slots=[slot(MIDNIGHT, tiny)])
    assert PriceData.objects.get().close == tiny


def test_it_never_replaces_a_row_with_one_made_of_fewer_prices(coin: Cryptocurrency) -> None:
    write_slots(coin_id=coin.pk, interval=Interval.DAY, slots=[slot(MIDNIGHT, 5.0, samples=288)])
    assert write_slots(coin_id=coin.pk, interval=Interval.DAY, slots=[slot(MIDNIGHT, 9.0, samples=1)]) == 0
    assert PriceData.objects.get().close == 5.0
    assert write_slots(coin_id=coin.pk, interval=Interval.DAY, slots=[slot(MIDNIGHT, 6.0, samples=288)]) == 1
    assert PriceData.objects.get().close == 6.0


def test_it_takes_the_later_of_two_slots_of_one_time(coin: Cryptocurrency) -> None:
    write_rows(rows=[(coin.pk, Interval.DAY, slot(MIDNIGHT, 1.0)), (coin.pk, Interval.DAY, slot(MIDNIGHT, 2.0))])
    assert [row.close for row in PriceData.objects.all()] == [2.0]


def test_it_writes_all_slots_or_none(coin: Cryptocurrency) -> None:
    good, bad = slot(MIDNIGHT), slot(MIDNIGHT + DAY, low=11.0)
    with pytest.raises(IntegrityError), transaction.atomic():
        write_slots(coin_id=coin.pk, interval=Interval.DAY, slots=[good, bad])
    assert not PriceData.objects.exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"low": 0.0}, {"high": 9.0}, {"low": 10.5}, {"close": 11.0}, {"market_cap": 0.0}, {"volume_24h": -1.0},
        {"samples": 0}, {"interval": "2h"},
    ],
)  # fmt: skip
def test_it_refuses_an_impossible_price_in_the_database_itself(coin: Cryptocurrency, wrong: dict[str, float]) -> None:
    values = {"open": 10.0, "high": 10.0, "low": 10.0, "close": 10.0, "interval": "1d"} | wrong
    with pytest.raises(IntegrityError), transaction.atomic():
        PriceData.objects.create(coin=coin, at=MIDNIGHT, **values)
    assert not PriceData.objects.exists()


@pytest.mark.parametrize("count", [1, 3000])
def test_it_asks_the_database_as_often_for_one_row_as_for_three_thousand(
    coin: Cryptocurrency, django_assert_num_queries: DjangoAssertNumQueries, count: int
) -> None:
    slots = [slot(MIDNIGHT + i * timedelta(minutes=5)) for i in range(count)]
    with django_assert_num_queries(6):  # savepoint, staging table, its emptying, its filling, upsert, release
        assert write_slots(coin_id=coin.pk, interval=Interval.FIVE_MINUTES, slots=slots) == count


def test_it_writes_twice_in_one_transaction(coin: Cryptocurrency) -> None:
    with transaction.atomic():
        assert write_slots(coin_id=coin.pk, interval=Interval.DAY, slots=[slot(MIDNIGHT)]) == 1
        assert write_slots(coin_id=coin.pk, interval=Interval.HOUR, slots=[slot(MIDNIGHT)]) == 1
    assert PriceData.objects.count() == 2


def test_it_keeps_every_figure_and_every_unknown_one(coin: Cryptocurrency) -> None:
    at = MIDNIGHT + timedelta(hours=7, microseconds=1)
    full = Slot(at, 0.1 + 0.2, 1e11, 5e-324, 1 / 3, volume_24h=0.0, market_cap=2.1e13, samples=7)
    bare = slot(at + DAY, 3.0)
    write_slots(coin_id=coin.pk, interval=Interval.HOUR, slots=[full, bare])
    names = ("at", "open", "high", "low", "close", "volume_24h", "market_cap", "samples", "is_quarantined")
    assert list(PriceData.objects.order_by("at").values_list(*names)) == [
        (at, 0.1 + 0.2, 1e11, 5e-324, 1 / 3, 0.0, 2.1e13, 7, False),
        (at + DAY, 3.0, 3.0, 3.0, 3.0, None, None, 1, False),
    ]


def test_it_does_not_touch_a_row_that_says_the_same(coin: Cryptocurrency) -> None:
    told = [slot(MIDNIGHT), slot(MIDNIGHT + DAY)]
    write_slots(coin_id=coin.pk, interval=Interval.DAY, slots=told)
    assert write_slots(coin_id=coin.pk, interval=Interval.DAY, slots=told) == 0
    known_now = Slot(MIDNIGHT, 10.0, 10.0, 10.0, 10.0, volume_24h=None, market_cap=5.0, samples=1)
    assert write_slots(coin_id=coin.pk, interval=Interval.DAY, slots=[known_now, told[1]]) == 1


def test_it_leaves_a_row_in_quarantine_when_it_is_told_again(coin: Cryptocurrency) -> None:
    write_slots(coin_id=coin.pk, interval=Interval.DAY, slots=[slot(MIDNIGHT)])
    PriceData.objects.update(is_quarantined=True)
    write_slots(coin_id=coin.pk, interval=Interval.DAY, slots=[slot(MIDNIGHT, 11.0)])
    assert PriceData.objects.values_list("close", "is_quarantined").get() == (11.0, True)


def restatements() -> list[tuple[str, str, float, float]]:
    return list(Restatement.objects.order_by("id").values_list("interval", "field", "old_value", "new_value"))


@pytest.mark.parametrize("interval", [Interval.HOUR, Interval.DAY])
def test_it_keeps_what_a_closed_slot_was_before_upstream_told_it_otherwise(
    coin: Cryptocurrency, interval: Interval
) -> None:
    write_slots(coin_id=coin.pk, interval=interval, slots=[slot(MIDNIGHT), slot(MIDNIGHT + DAY)])
    assert restatements() == []
    again = [slot(MIDNIGHT, high=12.0, close=11.0), slot(MIDNIGHT + DAY)]
    write_slots(coin_id=coin.pk, interval=interval, slots=again)
    write_slots(coin_id=coin.pk, interval=interval, slots=again)
    assert sorted(restatements()) == [(interval, "close", 10.0, 11.0), (interval, "high", 10.0, 12.0)]
    assert set(Restatement.objects.values_list("coin_id", "at", "stated_by")) == {(coin.pk, MIDNIGHT, "upstream")}


@pytest.mark.parametrize(
    ("interval", "told_again"),
    [
        (Interval.DAY, slot(MIDNIGHT, 20.0, samples=25)),  # refined
        (Interval.DAY, slot(MIDNIGHT, 20.0, samples=23)),  # refused
        (Interval.DAY, slot(MIDNIGHT, 10.0 * (1 + 1e-12), samples=24)),  # another rounding
        (Interval.FIVE_MINUTES, slot(MIDNIGHT, 20.0, samples=24)),  # a price of the running five minutes
    ],
)
def test_it_calls_no_refinement_a_restatement(coin: Cryptocurrency, interval: Interval, told_again: Slot) -> None:
    write_slots(coin_id=coin.pk, interval=interval, slots=[slot(MIDNIGHT, samples=24)])
    write_slots(coin_id=coin.pk, interval=interval, slots=[told_again])
    assert restatements() == []


def test_it_forgets_the_restatement_with_the_write_that_failed(coin: Cryptocurrency) -> None:
    write_slots(coin_id=coin.pk, interval=Interval.DAY, slots=[slot(MIDNIGHT)])
    again = [slot(MIDNIGHT, 20.0), slot(MIDNIGHT + DAY, low=11.0)]
    with pytest.raises(IntegrityError), transaction.atomic():
        write_slots(coin_id=coin.pk, interval=Interval.DAY, slots=again)
    assert restatements() == []
    assert PriceData.objects.get().close == 10.0


def test_it_dates_a_close_at_the_midnight_it_was_seen(coin: Cryptocurrency) -> None:
    write_slots(coin_id=coin.pk, interval=Interval.DAY, slots=[slot(MIDNIGHT + i * DAY, 1.0 + i) for i in range(3)])
    rows = PriceData.objects.daily_closes(cutoff_on=(MIDNIGHT + 2 * DAY).date(), days=30)
    assert [(day.day, price) for _, day, price in rows] == [(2, 1.0), (3, 2.0)]
