"""P3: the latest price of all coins, whatever the number of prices behind it."""

from collections.abc import Iterator

from django.db import connection

from bench.market import COINS, LARGE, SMALL, Size, build, coin_ids, use
from bench.measuring import Result, at_most, interleaved, seconds_of
from markets.models import Cryptocurrency

RUNS = 15


def run() -> Iterator[Result]:
    coin_ids()
    build(SMALL)
    build(LARGE)
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE bare AS SELECT coingecko_id, price_usd, price_at FROM markets_cryptocurrency ORDER BY id"
        )
        cursor.execute("VACUUM (ANALYZE) bare")
        cursor.execute("VACUUM (ANALYZE) markets_cryptocurrency")
    small, large, bare = interleaved(lambda: _latest(SMALL), lambda: _latest(LARGE), _bare, runs=RUNS)
    use(None)
    small, large, bare = small * 1000, large * 1000, bare * 1000
    yield at_most(2, id="P3", what="latest of all, 3 M", ours=small, reference=bare, unit="ms", runs=RUNS)
    yield at_most(2, id="P3-30M", what="latest of all, 30 M", ours=large, reference=bare, unit="ms", runs=RUNS)
    yield at_most(1.2, id="P3-growth", what="30 M against 3 M", ours=large, reference=small, unit="ms", runs=RUNS)


def _latest(size: Size) -> float:
    use(size)
    latest = Cryptocurrency.objects.order_by().values_list("coingecko_id", "price_usd", "price_at")
    return seconds_of(lambda: _counted(list(latest)))


def _bare() -> float:
    def read() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT coingecko_id, price_usd, price_at FROM bare")
            _counted(cursor.fetchall())

    return seconds_of(read)


def _counted(rows: list[tuple[object, ...]]) -> None:
    if len(rows) != COINS:
        raise RuntimeError(f"{len(rows)} coins were read, not {COINS}.")
