"""P10: the database queries of every GET of the API, in a site with one row of everything and with a thousand."""

import sys
from collections.abc import Iterator

from django.conf import settings
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from accounts.tokens import issue_tokens
from bench.measuring import Result, at_most
from bench.world import World, emptied
from portfolios.models import Transaction
from predictions.models import Prediction

FEW, MANY, MOST = 1, 1000, 6
PAGE = "page_size=250"

Counts = dict[str, int]


def run() -> Iterator[Result]:
    # Answers that are kept would hide what it takes to make them.
    caches = {**settings.CACHES, "answers": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    with override_settings(CACHES=caches, ALLOWED_HOSTS=["testserver"], REST_FRAMEWORK=unlimited()), emptied():
        world = World()
        few, many = (counts(world, rows) for rows in (FEW, MANY))
    for path in many:
        print(f"   {few[path]:3} {many[path]:3}  {path}", file=sys.stderr)
    most = max(many.values())
    yield at_most(1, id="P10", what=f"queries, at most {MOST}", ours=most, reference=MOST, unit="", runs=1)
    more = growing(few, many)
    what = f"GETs of {len(many)} that need more at {MANY:,} rows"
    yield Result("P10-growth", what, len(more), 0, len(more), "none", not more, 1, "")


def growing(few: Counts, many: Counts) -> list[str]:
    """The endpoints that need more queries when there are more rows."""
    return [path for path in many if many[path] > few[path]]


def unlimited() -> dict[str, object]:
    rates = dict.fromkeys(settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"], "1000000/min")
    return {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": rates}


def counts(world: World, rows: int) -> Counts:
    """The queries of each GET, the second time that it is asked: the record's figures are kept from the first."""
    world.grow(rows)
    found: Counts = {}
    for who, paths in addresses(world).items():
        headers = {"Authorization": f"Bearer {issue_tokens(who).access}"} if who is not None else {}
        for path in paths:
            _ask(path, headers)
            with CaptureQueriesContext(connection) as queries:
                _ask(path, headers)
            found[without_numbers(path)] = len(queries)
    return found


def _ask(path: str, headers: dict[str, str]) -> None:
    answer = Client().get(f"/api/v1/{path}", headers=headers)
    if answer.status_code != 200:
        raise RuntimeError(f"{path}: {answer.status_code} {answer.content[:300]!r}")
    if answer.streaming:  # it asks the database while it is read
        sum(len(part) for part in answer)


def without_numbers(path: str) -> str:
    """The address as it is the same in both sites."""
    return "/".join("{id}" if part.isdigit() else part for part in path.partition("?")[0].split("/"))


def addresses(world: World) -> dict[User | None, list[str]]:
    """Every GET, by who may ask; lists are asked for as long as they may be."""
    coin, own = "cryptocurrencies/coin-0/", f"portfolios/{world.portfolio.pk}/"
    ids = ",".join(f"coin-{number}" for number in range(min(world.rows, 100)))
    entry, forecast = Transaction.objects.latest("pk").pk, Prediction.objects.latest("pk").pk
    return {
        None: [
            f"cryptocurrencies/?{PAGE}", "cryptocurrencies/search/?q=coin&limit=50",
            "cryptocurrencies/movers/?limit=50",
            "cryptocurrencies/global/", coin, f"{coin}statistics/?range=all", f"{coin}prices/?range=7d&interval=5m",
            f"{coin}prices/latest/", f"{coin}prices/at/?timestamp={world.now:%Y-%m-%dT%H:%M:%SZ}",
            f"{coin}prices/candles/?range=30d&interval=1h", f"{coin}prices/export/?interval=5m",
            f"{coin}prices/quality/?limit=250", f"prices/latest/?ids={ids}", f"{coin}forecast/", f"predictions/?{PAGE}",
            f"predictions/{forecast}/", "predictions/track-record/", "predictions/track-record/export/",
            "predictions/export/", "predictions/verify/", f"models/?{PAGE}", "models/bench-0/", "health/live/",
            "health/ready/",
        ],
        world.user: [
            f"portfolios/?{PAGE}", own, f"{own}transactions/?{PAGE}", f"{own}transactions/{entry}/", f"{own}valuation/",
            f"watchlist/?{PAGE}", "auth/me/", "auth/me/export/", f"auth/tokens/?{PAGE}",
        ],
        world.staff: [
            f"users/?{PAGE}", f"users/{world.user.pk}/", "users/stats/", "sync/status/", f"sync/runs/?{PAGE}",
            "sync/budget/", "sync/breaker/", "tasks/", f"tasks/runs/?{PAGE}", "tasks/runs/task-0/", "tasks/workers/",
            "tasks/queues/", "tasks/schedule/", "models/monitoring/", "health/database/", "health/cache/",
            "health/workers/", "health/upstream/", "health/system/",
        ],
    }  # fmt: skip
