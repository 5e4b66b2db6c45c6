"""Drops prices that are past their keep time."""

from collections.abc import Callable
from datetime import datetime

from markets.models import Cryptocurrency, Interval, PriceData

COINS_AT_ONCE = 20


def drop_slots(*, interval: Interval, before: datetime, between_batches: Callable[[], None] = lambda: None) -> int:
    """Deletes the slots of one interval that began before an instant, some coins at a time; returns how many.

    By coin and not by time, because the index begins with the coin: to find the oldest slots of all coins would
    read the whole table for each batch. Each batch commits by itself and so holds no lock for long; a run that
    was cut short is finished by the next. Roll up first what is to be dropped (`roll_up_range`).
    """
    coins = list(Cryptocurrency.objects.order_by("pk").values_list("pk", flat=True))
    deleted = 0
    for start in range(0, len(coins), COINS_AT_ONCE):
        batch = PriceData.objects.filter(coin_id__in=coins[start : start + COINS_AT_ONCE])
        deleted += batch.filter(interval=interval, at__lt=before).delete()[0]
        between_batches()
    return deleted
