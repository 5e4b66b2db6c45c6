"""P2: one whole tick of 5,000 coins, from the bytes of twenty pages to the dropped cache."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count

from django.core.cache import cache
from django.db import connection, transaction

from bench.market import BEGIN, COINS, FIVE, NAMES, coin_ids, copied, pages, tick
from bench.measuring import Result, at_most, interleaved, seconds_of
from markets.coingecko.schemas import MarketRow, parse_markets
from markets.coingecko.transport import decode
from markets.ingest import write_rows
from markets.models import Cryptocurrency
from markets.sync.prices import Fetched, store_tick
from markets.sync.runs import Tally

RUNS = 9


def run() -> Iterator[Result]:
    coin_ids()
    Cryptocurrency.objects.update(is_tracked=True)
    numbers = count(1)  # each tick is newer than all before, so that every latest figure changes

    def whole(sparkline: bool) -> float:
        at = BEGIN + next(numbers) * FIVE
        bodies = pages(at, sparkline=sparkline)
        return seconds_of(lambda: _tick(bodies, at))

    def copy() -> float:
        statement = _copy_of_tick(next(numbers))
        with connection.cursor() as cursor:
            return seconds_of(lambda: cursor.execute(statement))

    plain, with_sparklines, bare = interleaved(lambda: whole(False), lambda: whole(True), copy, runs=RUNS)
    for id, what, mine in (
        ("P2", "a whole tick", plain),
        ("P2-sparklines", "the same, with sparklines", with_sparklines),
    ):
        yield at_most(20, id=id, what=what, ours=mine * 1000, reference=bare * 1000, unit="ms", runs=RUNS)
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE markets_pricedata")


def _tick(bodies: list[bytes], slot_at: datetime) -> None:
    """What `sync_prices` does with the answers of its calls."""
    rows: dict[str, MarketRow] = {}
    for body in bodies:
        answer = parse_markets(decode(body, "application/json"), now=slot_at + timedelta(minutes=1))
        rows.update({row.id: row for row in answer.rows})
    tally = Tally()
    with transaction.atomic():
        store_tick(Fetched(rows, dict.fromkeys(rows, 300)), slot_at, tally)
    cache.clear()
    if (len(rows), tally.rows_written) != (COINS, COINS):
        raise RuntimeError(f"The tick read {len(rows)} and wrote {tally.rows_written} of {COINS} rows.")


def _copy_of_tick(number: int) -> str:
    """The COPY of a tick that is not stored yet: it is stored, written to a file, and taken back."""
    with transaction.atomic():
        write_rows(rows=tick(number))
        condition = f"at = '{(BEGIN + number * FIVE).isoformat()}'"
        statement = copied(f"SELECT {NAMES} FROM markets_pricedata WHERE {condition} ORDER BY coin_id")
        transaction.set_rollback(True)
    return statement
