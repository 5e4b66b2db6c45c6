"""How the sync with CoinGecko stands: freshness, last and next runs, limiter, breaker and budget."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.db.models import Count, Max, Min, OuterRef, Subquery
from django.utils import timezone

from cryptopredict.operations.plans import find_plan
from cryptopredict.operations.scheduling import next_run_at, schedule_entries
from markets.coingecko.errors import StateUnavailable
from markets.models import Cryptocurrency, Interval, PriceData, SyncRun
from markets.services import data_source, market_freshness
from markets.upstream import build_client


def read_freshness() -> list[dict[str, Any]]:
    """For each interval: the newest slot of the coin that is furthest ahead and of the one furthest behind.

    One query; an index finds each coin's newest slot, so it does not read the prices through.
    """
    newest = {
        f"at_{interval.value}": Subquery(
            PriceData.objects.filter(coin=OuterRef("pk"), interval=interval).order_by("-at").values("at")[:1]
        )
        for interval in Interval
    }
    coins = Cryptocurrency.objects.tracked().listed().order_by().annotate(**newest)
    figures: dict[str, Any] = {"coins": Count("pk")}
    for name in newest:
        figures |= {f"max_{name}": Max(name), f"min_{name}": Min(name), f"count_{name}": Count(name)}
    found = coins.aggregate(**figures)
    return [
        {
            "interval": interval.value,
            "newest_at": found[f"max_at_{interval.value}"],
            "oldest_at": found[f"min_at_{interval.value}"],
            "coins_without": found["coins"] - found[f"count_at_{interval.value}"],
        }
        for interval in Interval
    ]


def last_runs() -> list[SyncRun]:
    """The newest run of each kind."""
    newest = SyncRun.objects.order_by().values("kind").annotate(newest=Max("pk")).values("newest")
    return list(SyncRun.objects.filter(pk__in=newest).order_by("kind"))


def next_runs(now: datetime) -> list[dict[str, Any]]:
    """When the schedule queues each of the market's jobs next."""
    entries = schedule_entries().filter(task__startswith="markets.", enabled=True)
    return [{"name": entry.name, "task": entry.task, "next_run_at": next_run_at(entry, now)} for entry in entries]


def read_upstream() -> dict[str, Any]:
    """Limiter, budget and breaker as all processes share them; calls nobody. Raises StateUnavailable."""
    return build_client().status()


def read_status() -> dict[str, Any]:
    """Everything about the sync in one look; `upstream` is null while the shared state cannot be read."""
    now = timezone.now()
    freshness = market_freshness(now=now)
    problems = [freshness.problem] if freshness.problem else []
    upstream: dict[str, Any] | None = None
    try:
        upstream = read_upstream()
    except StateUnavailable as error:
        problems.append(error.message)
    return {
        "as_of": freshness.as_of,
        "is_stale": freshness.is_stale,
        "data_source": data_source(),
        "problems": problems,
        "freshness": read_freshness(),
        "last_runs": last_runs(),
        "next_runs": next_runs(now),
        "upstream": upstream,
    }


def read_budget() -> dict[str, Any]:
    """Calls of this minute and month, and what the schedule will use of them. Raises StateUnavailable."""
    status = read_upstream()
    plan = find_plan()
    return {"limiter": status["limiter"], "budget": status["budget"], "plan": None if plan is None else asdict(plan)}
