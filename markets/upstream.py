"""The one CoinGecko client of this installation, built from its settings. For workers: a web process never calls it."""

import contextlib
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Q, Sum
from django.utils import timezone

from markets.coingecko.client import CoinGeckoClient
from markets.coingecko.errors import StateUnavailable
from markets.coingecko.limiter import WINDOW_SECONDS
from markets.coingecko.state import DiskState, RedisState, SharedState
from markets.models import SyncRun

USER_AGENT = "CryptoPredict/1.0 (+https://github.com/cryptopredict/cryptopredict)"


def shared_state() -> SharedState:
    """Limiter, breaker and budget: in Redis when there is one, otherwise in a file all local processes share."""
    if settings.REDIS_URL:
        return RedisState.from_url(settings.REDIS_URL, recollect=Recollection())
    settings.SHARED_STATE_PATH.parent.mkdir(parents=True, exist_ok=True)
    return DiskState(settings.SHARED_STATE_PATH, recollect=Recollection())


class Recollection:
    """What the record of syncs tells of calls made, should the shared state be emptied and no process remember it.

    Runs that begin after this was made are this process' own and left out: a new site must not wait for itself.
    """

    def __init__(self) -> None:
        self.made_at = timezone.now()

    def __call__(self, name: str) -> dict[str, Any] | None:
        now = timezone.now()
        if name == "limiter" and self.was_asked_lately(now):
            return {"calls": {}}  # how many calls is not known: a document born after a loss holds for one window
        if name == "budget":
            month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
            calls = SyncRun.objects.filter(started_at__gte=month).aggregate(calls=Sum("calls"))["calls"]
            return {"month": f"{now:%Y-%m}", "spent": calls} if calls else None
        return None

    def was_asked_lately(self, now: datetime) -> bool:
        ended_lately = Q(finished_at__gte=now - timedelta(seconds=WINDOW_SECONDS))
        return SyncRun.objects.filter(ended_lately | Q(state="running", started_at__lt=self.made_at)).exists()


def build_client() -> CoinGeckoClient:
    """A client that shares its limits with every other process of this installation."""
    client = CoinGeckoClient(
        base_url=settings.COINGECKO_BASE_URL,
        api_key=settings.COINGECKO_API_KEY,
        state=shared_state(),
        calls_per_minute=settings.COINGECKO_CALLS_PER_MINUTE,
        monthly_credits=settings.COINGECKO_MONTHLY_CREDITS or None,
        user_agent=USER_AGENT,
        timeout_seconds=settings.COINGECKO_TIMEOUT_SECONDS,
    )
    # Before this process records a run: on a new site another one would take that run for a sign of lost state.
    with contextlib.suppress(StateUnavailable):
        client.open_state()
    return client
