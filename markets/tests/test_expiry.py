"""Expired prices go, and nothing else does."""

from datetime import UTC, datetime, timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from markets.expiry import COINS_AT_ONCE, drop_slots
from markets.ingest import Slot, write_rows
from markets.models import Cryptocurrency, Interval, PriceData

MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.django_db
def test_it_drops_the_expired_slots_of_one_interval_with_one_statement_for_many_coins(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    coins = [
        Cryptocurrency.objects.create(coingecko_id=f"coin-{number}", symbol="c", name="C")
        for number in range(COINS_AT_ONCE + 1)
    ]
    times = [MIDNIGHT + number * timedelta(minutes=5) for number in range(-2, 2)]
    write_rows(
        rows=[
            (coin.pk, interval, Slot(at, 1.0, 1.0, 1.0, 1.0, None, None, 1))
            for coin in coins
            for interval in Interval
            for at in times
        ]
    )
    batches: list[int] = []
    with django_assert_num_queries(3):  # the coins, and two batches of them
        deleted = drop_slots(interval=Interval.FIVE_MINUTES, before=MIDNIGHT, between_batches=lambda: batches.append(1))
    assert (deleted, len(batches)) == (2 * len(coins), 2)
    kept = PriceData.objects.filter(interval="5m")
    assert set(kept.values_list("at", flat=True)) == set(times[2:])
    assert PriceData.objects.exclude(interval="5m").count() == 2 * 4 * len(coins)
