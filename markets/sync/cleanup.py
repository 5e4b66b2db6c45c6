"""The weekly clean-up: what is dropped is rolled up first, in batches that no reader waits for."""

from datetime import datetime, timedelta

from django.conf import settings

from markets.coingecko.series import floor_time
from markets.lease import database_now
from markets.models import Cryptocurrency, Interval, PriceData, SyncRun
from markets.rollup import roll_up_range
from markets.sync.runs import Step, Tally, single_run

COINS_AT_ONCE = 20
KEEP_RUNS = timedelta(days=90)


def cleanup(*, now: datetime | None = None, task_id: str = "") -> SyncRun:
    """Drops five-minute and hourly slots past their keep time, once hours and days hold what they said.

    Days are never dropped, and with them no price that a daily forecast is scored on. Each batch of coins is
    rolled up and dropped in one transaction, so a run that is cut short loses nothing and the next one goes on.
    """
    now = now or database_now()
    keep = ((Interval.FIVE_MINUTES, settings.KEEP_5M_DAYS), (Interval.HOUR, settings.KEEP_1H_DAYS))
    coins = list(Cryptocurrency.objects.order_by("pk").values_list("pk", flat=True))
    batches = [coins[start : start + COINS_AT_ONCE] for start in range(0, len(coins), COINS_AT_ONCE)]
    with single_run(SyncRun.Kind.CLEANUP, Tally(), task_id=task_id) as step:
        step.begin(len(batches) * len(keep))
        for place, (interval, days) in enumerate(keep):
            # Whole days only, so that no day is rolled up from its half.
            before = floor_time(now - timedelta(days=days), Interval.DAY.length)
            for number, batch in enumerate(batches, start=1):
                _drop(step, batch, interval, before)
                step.advance(place * len(batches) + number)
        SyncRun.objects.finished().filter(started_at__lt=now - KEEP_RUNS).delete()
    return step.run


def _drop(step: Step, coin_ids: list[int], interval: Interval, before: datetime) -> None:
    expired = PriceData.objects.filter(coin_id__in=coin_ids, interval=interval, at__lt=before)
    oldest = expired.order_by("at").values_list("at", flat=True).first()
    if oldest is None:
        return
    with step.writing():
        roll_up_range(start=oldest, end=before, is_final=True, coin_ids=coin_ids)
        step.tally.rows_written += expired.delete()[0]
