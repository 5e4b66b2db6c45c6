"""P4: the seven-day chart of five-minute points of one coin, in pages of PostgreSQL's buffer."""

import statistics
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

from bench.market import COINS, LARGE, SMALL, Size, build, use
from bench.measuring import Result, at_most, interleaved
from markets.models import Cryptocurrency
from markets.series import read_slots

BUFFERS = 40
WEEK = timedelta(days=7)
POINTS = 2016
RUNS = 15
CHARTS_A_RUN = 5


def run() -> Iterator[Result]:
    build(SMALL)
    build(LARGE)
    small, large = interleaved(lambda: _milliseconds(SMALL), lambda: _milliseconds(LARGE), runs=RUNS)
    for id, size in (("P4", SMALL), ("P4-30M", LARGE)):
        plan = _plan(size, place=size.coins // 2)
        used = float(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
        what = f"chart, {size.coins * size.slots // 10**6} M: {plan['Node Type']}, {plan.get('Heap Fetches')} fetches"
        index_only = plan["Node Type"] == "Index Only Scan" and plan["Heap Fetches"] == 0
        yield Result(id, what, used, BUFFERS, used / BUFFERS, f"≤ {BUFFERS} pages, index only",
                     used <= BUFFERS and index_only, RUNS, "pages")  # fmt: skip
    yield at_most(
        1.3, id="P4-growth", what="chart, 30 M against 3 M", ours=large, reference=small, unit="ms", runs=RUNS
    )
    use(None)


def _milliseconds(size: Size) -> float:
    """The server's own time for some coins' charts, which are in memory: the first look only warms up."""
    places = [(1 + number) * size.coins // (CHARTS_A_RUN + 1) for number in range(CHARTS_A_RUN)]
    for place in places:
        _plan(size, place)
    return statistics.fmean(float(_plan(size, place)["Actual Total Time"]) for place in places)


def _plan(size: Size, place: int) -> dict[str, Any]:
    use(size)
    coin = Cryptocurrency.objects.order_by("pk")[min(place, COINS - 1)]
    with CaptureQueriesContext(connection) as queries:
        found = len(read_slots(coin, "5m", size.end - WEEK, size.end).at)
    if found != POINTS:
        raise RuntimeError(f"The chart has {found} points, not {POINTS}.")
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {queries.captured_queries[-1]['sql']}")
        plan: dict[str, Any] = cursor.fetchone()[0][0]["Plan"]
    return plan
