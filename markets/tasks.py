"""When the market jobs run: each task is one service call with its retries and its queue."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from celery import Task, shared_task
from celery.utils.log import get_task_logger
from django.conf import settings
from django.utils import timezone

from markets import sync
from markets.coingecko.budget import ScheduleDoesNotFit
from markets.coingecko.errors import CoinGeckoError
from markets.lease import AlreadyRunning, LeaseLost, single_flight
from markets.quality.checks import check_quality
from markets.upstream import build_client

logger = get_task_logger(__name__)


@contextmanager
def told(what: str) -> Iterator[None]:
    """What keeps a sync from its end is no fault of the job: the run's row says so to staff and the status page."""
    try:
        yield
    except (CoinGeckoError, ScheduleDoesNotFit, AlreadyRunning, LeaseLost) as problem:
        logger.warning("%s: %s", what, problem)


@shared_task(name="markets.sync_all_prices", bind=True, expires=290)
def sync_all_prices(self: "Task[Any, Any]") -> None:
    """One tick; the client retries within it, and the next tick comes in five minutes."""
    with told("prices were not synced"):
        sync.sync_prices(client=build_client(), task_id=self.request.id or "")


@shared_task(name="markets.sync_historical_data", bind=True, expires=3500)
def sync_historical_data(self: "Task[Any, Any]", follow_up: bool = True) -> None:
    """Fills gaps in history; goes on in a new job while there is work, so that others get their turn between."""
    left = 0
    with told("history was not synced"):
        left = sync.sync_history(client=build_client(), max_seconds=120, task_id=self.request.id or "")
    if left and follow_up:
        sync_historical_data.delay()


@shared_task(name="markets.discover_new_cryptocurrencies", bind=True, expires=80_000)
def discover_new_cryptocurrencies(self: "Task[Any, Any]") -> None:
    """Compares our coins with CoinGecko's list, and tracks new big ones where a place is free."""
    with told("the list of coins was not synced"):
        sync.discover_coins(client=build_client(), task_id=self.request.id or "")


@shared_task(name="markets.cleanup_old_data", bind=True, expires=80_000)
def cleanup_old_data(self: "Task[Any, Any]") -> None:
    """Rolls fine slots past their keep time up into coarser ones and drops them."""
    with told("old slots were not dropped"):
        sync.cleanup(task_id=self.request.id or "")


@shared_task(name="markets.check_data_quality", bind=True, expires=3300)
def check_data_quality(self: "Task[Any, Any]") -> None:
    """Looks for gaps, frozen feeds, repeated rows and outliers; a second check beside one that runs is not needed."""
    holder = self.request.id or "by hand"
    with (
        told("data quality was not checked"),
        single_flight("data quality", holder=holder, seconds=settings.CELERY_TASK_TIME_LIMIT),
    ):
        check_quality(now=timezone.now())


@shared_task(name="markets.sync_specific_cryptocurrency", bind=True)
def sync_specific_cryptocurrency(self: "Task[Any, Any]", coingecko_id: str) -> None:
    """One coin, prices and history."""
    with told(f"{coingecko_id} was not synced"):
        sync.sync_coin(client=build_client(), coingecko_id=coingecko_id, task_id=self.request.id or "")


@shared_task(name="markets.backfill_cryptocurrency", bind=True)
def backfill_cryptocurrency(self: "Task[Any, Any]", coingecko_id: str, start: str, end: str) -> None:
    """One coin's hours and days between two ISO dates or times, asked for again."""
    with told(f"{coingecko_id} was not backfilled"):
        sync.backfill_coin(
            client=build_client(),
            coingecko_id=coingecko_id,
            start=_instant(start),
            end=_instant(end),
            task_id=self.request.id or "",
        )


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
