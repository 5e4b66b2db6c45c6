"""What the rest of the site asks of the market: how fresh it is, where it comes from, what is tracked."""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from markets.models import Cryptocurrency, SyncRun

DATA_SOURCES = {"live": "live", "sample": "sample data", "replay": "replayed data (sample data)"}


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old the newest price is, and what the sync is doing."""

    as_of: datetime | None
    is_stale: bool
    is_syncing: bool
    done: int
    total: int
    problem: str


def data_source() -> str:
    """``live``, or words that say that the figures are not the market's own present ones."""
    return DATA_SOURCES[settings.MARKET]


def market_freshness(*, now: datetime | None = None) -> Freshness:
    """The age of the newest price, the progress of a first history sync, and the last sync's problem if it had one."""
    now = now or timezone.now()
    as_of = Cryptocurrency.objects.listed().newest_price_at()
    running = SyncRun.objects.running().filter(kind=SyncRun.Kind.HISTORY)
    ended = SyncRun.objects.finished().filter(kind=SyncRun.Kind.PRICES)
    found = {run.kind: run for run in SyncRun.objects.newest_of_each(running, ended)}
    history, last = found.get(SyncRun.Kind.HISTORY), found.get(SyncRun.Kind.PRICES)
    return Freshness(
        as_of=as_of,
        is_stale=as_of is None or now - as_of > 2 * Cryptocurrency.SHORTEST_PERIOD,
        is_syncing=history is not None,
        done=history.done if history else 0,
        total=history.total if history else 0,
        problem=last.problem if last and last.state == SyncRun.State.FAILED else "",
    )


def track_coins(*, coins: QuerySet[Cryptocurrency]) -> int:
    """Starts the syncing of coins' prices and history; returns how many were not tracked before."""
    return coins.filter(is_tracked=False).update(is_tracked=True, is_excluded=False)


def untrack_coins(*, coins: QuerySet[Cryptocurrency]) -> int:
    """Stops the syncing of coins for good and keeps their history; returns how many were tracked."""
    return coins.filter(is_tracked=True).update(is_tracked=False, is_excluded=True)
