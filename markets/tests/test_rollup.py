"""Hours and days are true to the five-minute prices that they stand for."""

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.db.models import Max, Min
from django.test.utils import CaptureQueriesContext

from markets.ingest import Slot, write_rows
from markets.models import Cryptocurrency, Interval, PriceData, Restatement
from markets.rollup import roll_up, roll_up_range, widen_days

MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)
FIVE, HOUR, DAY = (interval.length for interval in Interval)
LATER = MIDNIGHT + timedelta(hours=2, minutes=1)

Row = tuple[datetime, float, float, float, float, int]


@pytest.fixture
def coin(db: None) -> Cryptocurrency:
    return Cryptocurrency.objects.create(coingecko_id="bitcoin", symbol="btc", name="Bitcoin")


def store(coin: Cryptocurrency, interval: Interval, prices: Iterable[tuple[datetime, float]], samples: int = 1) -> None:
    slots = [Slot(at, price, price, price, price, at.minute * 1.0, price * 2, samples) for at, price in prices]
    write_rows(rows=[(coin.pk, interval, slot) for slot in slots])


def ticks(start: datetime, prices: Iterable[float]) -> list[tuple[datetime, float]]:
    return [(start + number * FIVE, price) for number, price in enumerate(prices)]


def stored(interval: Interval, coin: Cryptocurrency | None = None) -> list[Row]:
    found = PriceData.objects.filter(interval=interval).order_by("coin_id", "at")
    found = found if coin is None else found.filter(coin=coin)
    return list(found.values_list("at", "open", "high", "low", "close", "samples"))


def quarantine(at: datetime) -> None:
    assert PriceData.objects.filter(at=at, interval="5m").update(is_quarantined=True) == 1


def test_it_closes_an_hour_with_the_price_at_its_end(coin: Cryptocurrency) -> None:
    store(coin, Interval.FIVE_MINUTES, ticks(MIDNIGHT, [100.0 + number for number in range(13)]))
    assert roll_up(coin_ids=[coin.pk], now=MIDNIGHT + HOUR) == 1
    assert stored(Interval.HOUR) == [(MIDNIGHT, 100.0, 112.0, 100.0, 112.0, 12)]
    assert PriceData.objects.filter(interval="1h").values_list("volume_24h", "market_cap").get() == (0.0, 224.0)


def test_it_waits_for_the_price_at_the_end_of_an_hour(coin: Cryptocurrency) -> None:
    store(coin, Interval.FIVE_MINUTES, ticks(MIDNIGHT, [5.0] * 12))
    assert roll_up(coin_ids=[coin.pk], now=LATER) == 0
    store(coin, Interval.FIVE_MINUTES, [(MIDNIGHT + HOUR, 1.0)])
    assert roll_up(coin_ids=[coin.pk], now=LATER) == 1
    assert stored(Interval.HOUR) == [(MIDNIGHT, 5.0, 5.0, 1.0, 1.0, 12)]


def test_it_does_not_roll_up_an_hour_that_goes_on(coin: Cryptocurrency) -> None:
    store(coin, Interval.FIVE_MINUTES, ticks(MIDNIGHT, [5.0] * 13))
    assert roll_up(coin_ids=[coin.pk], now=MIDNIGHT + timedelta(minutes=59)) == 0


def test_it_tells_how_few_prices_an_hour_is_made_of_and_leaves_one_without_its_opening_alone(
    coin: Cryptocurrency,
) -> None:
    few = [(MIDNIGHT, 5.0), (MIDNIGHT + 6 * FIVE, 7.0), (MIDNIGHT + HOUR, 6.0)]
    late = ticks(MIDNIGHT + 2 * HOUR + FIVE, [6.0] * 12)
    store(coin, Interval.FIVE_MINUTES, few + late)
    assert roll_up(coin_ids=[coin.pk], now=MIDNIGHT + 3 * HOUR) == 1
    assert stored(Interval.HOUR) == [(MIDNIGHT, 5.0, 7.0, 5.0, 6.0, 2)]


def test_it_rolls_a_day_up_from_the_few_ticks_of_a_coin_that_is_seldom_synced(coin: Cryptocurrency) -> None:
    prices = [(MIDNIGHT + number * 6 * HOUR, price) for number, price in enumerate((5.0, 9.0, 2.0, 6.0, 7.0))]
    store(coin, Interval.FIVE_MINUTES, prices)
    assert [roll_up(coin_ids=[coin.pk], now=MIDNIGHT + DAY) for _ in range(2)] == [1, 0]
    assert stored(Interval.DAY) == [(MIDNIGHT, 5.0, 9.0, 2.0, 7.0, 4)]


def test_it_leaves_out_prices_in_quarantine(coin: Cryptocurrency) -> None:
    store(coin, Interval.FIVE_MINUTES, ticks(MIDNIGHT, [5.0] * 6 + [900.0] + [5.0] * 18))
    quarantine(MIDNIGHT + 6 * FIVE)
    assert roll_up(coin_ids=[coin.pk], now=LATER) == 2
    assert stored(Interval.HOUR)[0] == (MIDNIGHT, 5.0, 5.0, 5.0, 5.0, 11)


def test_it_neither_opens_nor_closes_an_hour_with_a_price_in_quarantine(coin: Cryptocurrency) -> None:
    store(coin, Interval.FIVE_MINUTES, ticks(MIDNIGHT, [5.0] * 25))
    quarantine(MIDNIGHT + HOUR)
    assert roll_up(coin_ids=[coin.pk], now=LATER) == 0


def test_it_makes_an_hour_again_only_of_more_prices(coin: Cryptocurrency) -> None:
    prices = ticks(MIDNIGHT, [5.0] * 13)
    store(coin, Interval.HOUR, [(MIDNIGHT, 7.0)])
    store(coin, Interval.FIVE_MINUTES, prices[:5] + prices[6:])
    assert [roll_up(coin_ids=[coin.pk], now=LATER) for _ in range(2)] == [1, 0]
    store(coin, Interval.FIVE_MINUTES, [(MIDNIGHT + 5 * FIVE, 4.0)])
    assert [roll_up(coin_ids=[coin.pk], now=LATER) for _ in range(2)] == [1, 0]
    assert stored(Interval.HOUR) == [(MIDNIGHT, 5.0, 5.0, 4.0, 5.0, 12)]
    assert not Restatement.objects.exists()


def test_it_closes_a_day_with_the_end_of_its_last_hour(coin: Cryptocurrency) -> None:
    store(coin, Interval.FIVE_MINUTES, ticks(MIDNIGHT + 23 * HOUR, [50.0] * 12 + [60.0]))
    store(coin, Interval.HOUR, [(MIDNIGHT + number * HOUR, 10.0 + number) for number in range(23)])
    assert roll_up(coin_ids=[coin.pk], now=MIDNIGHT + DAY) == 2
    assert stored(Interval.DAY) == [(MIDNIGHT, 10.0, 60.0, 10.0, 60.0, 23 + 12)]


def test_it_asks_as_often_for_many_coins_as_for_one_and_rolls_up_those_alone(coin: Cryptocurrency) -> None:
    others = [Cryptocurrency.objects.create(coingecko_id=f"coin-{number}", symbol="c", name="C") for number in range(9)]
    for each in [coin, *others]:
        store(each, Interval.FIVE_MINUTES, ticks(MIDNIGHT, [5.0] * 13))
    with CaptureQueriesContext(connection) as few:
        assert roll_up(coin_ids=[coin.pk], now=LATER) == 1
    assert [row[0] for row in stored(Interval.HOUR, coin)] == [MIDNIGHT]
    with CaptureQueriesContext(connection) as many:
        assert roll_up(coin_ids=[each.pk for each in others], now=LATER) == 9
    assert len(many) == len(few) == 9  # three statements, each with its savepoint


def test_it_makes_hours_and_days_of_what_is_there_before_that_goes(coin: Cryptocurrency) -> None:
    store(coin, Interval.FIVE_MINUTES, [(MIDNIGHT + 2 * FIVE, 5.0), (MIDNIGHT + 7 * FIVE, 4.0)])
    store(coin, Interval.FIVE_MINUTES, [(MIDNIGHT + 2 * HOUR - FIVE, 8.0), (MIDNIGHT + 2 * HOUR, 9.0)])
    assert roll_up_range(start=MIDNIGHT, end=MIDNIGHT + DAY, is_final=False) == 0
    roll_up_range(start=MIDNIGHT + 5 * HOUR, end=MIDNIGHT + 6 * HOUR, is_final=True)
    assert stored(Interval.HOUR) == [
        (MIDNIGHT, 5.0, 5.0, 4.0, 4.0, 2),
        (MIDNIGHT + HOUR, 8.0, 9.0, 8.0, 9.0, 1),
        (MIDNIGHT + 2 * HOUR, 9.0, 9.0, 9.0, 9.0, 1),
    ]
    assert stored(Interval.DAY) == [(MIDNIGHT, 5.0, 9.0, 4.0, 9.0, 4)]
    assert roll_up_range(start=MIDNIGHT, end=MIDNIGHT + DAY, is_final=True) == 0


def test_it_widens_a_stored_hour_to_the_extremes_before_they_go(coin: Cryptocurrency) -> None:
    store(coin, Interval.HOUR, [(MIDNIGHT, 5.0)])
    store(coin, Interval.FIVE_MINUTES, ticks(MIDNIGHT + FIVE, [3.0, 9.0]))
    roll_up_range(start=MIDNIGHT, end=MIDNIGHT + HOUR, is_final=True)
    assert stored(Interval.HOUR) == [(MIDNIGHT, 5.0, 9.0, 3.0, 5.0, 2)]
    store(coin, Interval.HOUR, [(MIDNIGHT, 5.0)])  # told once more, without the extremes
    assert stored(Interval.HOUR) == [(MIDNIGHT, 5.0, 9.0, 3.0, 5.0, 2)]


def test_it_makes_nothing_final_of_an_hour_or_day_that_goes_on(coin: Cryptocurrency) -> None:
    now = datetime.now(UTC)
    store(coin, Interval.FIVE_MINUTES, [(now.replace(minute=now.minute // 5 * 5, second=0, microsecond=0), 5.0)])
    assert roll_up_range(start=now - DAY, end=now + DAY, is_final=True) == 0


@pytest.mark.parametrize("seed", range(5))
def test_it_keeps_the_extremes_of_what_it_replaces(coin: Cryptocurrency, seed: int) -> None:
    chance = random.Random(seed)
    days, share = 3, chance.choice([0.05, 0.5, 0.95, 1.0])
    prices = ticks(MIDNIGHT, [chance.lognormvariate(0, 0.5) for _ in range(days * 288)])
    store(coin, Interval.FIVE_MINUTES, [tick for tick in prices if chance.random() < share])
    known = [(MIDNIGHT + number * HOUR, chance.lognormvariate(0, 0.1)) for number in range(days * 24)]
    store(coin, Interval.HOUR, [hour for hour in known if chance.random() < 0.3])
    roll_up(coin_ids=[coin.pk], now=MIDNIGHT + days * DAY)

    def extremes(of: Iterable[Interval], length: timedelta) -> list[dict[str, float | None]]:
        spans = [
            (MIDNIGHT + number * length, MIDNIGHT + (number + 1) * length) for number in range(days * DAY // length)
        ]
        rows = PriceData.objects.filter(interval__in=list(of))
        return [rows.between(*span).aggregate(highest=Max("high"), lowest=Min("low")) for span in spans]

    before = [extremes([Interval.FIVE_MINUTES, Interval.HOUR], length) for length in (HOUR, DAY)]
    roll_up_range(start=MIDNIGHT, end=MIDNIGHT + days * DAY, is_final=True)
    PriceData.objects.filter(interval="5m").delete()
    for length, spans in zip((HOUR, DAY), before, strict=True):
        check_wider(extremes([Interval.HOUR], length), spans)
    PriceData.objects.filter(interval="1h").delete()
    check_wider(extremes([Interval.DAY], DAY), before[1])
    (whole,) = [PriceData.objects.aggregate(highest=Max("high"), lowest=Min("low"))]
    assert whole["highest"] == max(span["highest"] for span in before[1] if span["highest"] is not None)
    assert whole["lowest"] == min(span["lowest"] for span in before[1] if span["lowest"] is not None)


def check_wider(after: list[dict[str, float | None]], before: list[dict[str, float | None]]) -> None:
    """Each span reaches as far as it did; beyond that only to the price at its end, which begins the next span."""
    for span, kept in zip(before, after, strict=True):
        if span["highest"] is None or span["lowest"] is None:
            continue
        assert kept["highest"] is not None
        assert kept["lowest"] is not None
        assert kept["highest"] >= span["highest"]
        assert kept["lowest"] <= span["lowest"]


def test_it_widens_a_stored_day_and_makes_none(coin: Cryptocurrency) -> None:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    store(coin, Interval.DAY, [(today - 2 * DAY, 5.0)])
    hours = [(today - 2 * DAY + number * HOUR, 4.0 + number) for number in range(48)]
    store(coin, Interval.HOUR, hours)
    assert widen_days(coin_id=coin.pk, since=today - 3 * DAY) == 1
    assert stored(Interval.DAY) == [(today - 2 * DAY, 5.0, 28.0, 4.0, 5.0, 24)]
    assert not Restatement.objects.exists()
