"""P1: forty ticks of 5,000 coins, safe against conflicts, against a bare COPY and against Django's own upsert."""

from collections.abc import Iterator

from django.db import connection

from bench.market import COINS, NAMES, Rows, copied, tick
from bench.measuring import Result, at_least, interleaved, seconds_of
from markets.ingest import COLUMNS, write_rows
from markets.models import PriceData

TICKS = 40
FIGURES = [column.name for column in COLUMNS[3:]]


def run() -> Iterator[Result]:
    ticks = [tick(number) for number in range(TICKS)]
    copies = _prepare_copies(ticks)

    def ours() -> float:
        _empty()
        return seconds_of(lambda: [write_rows(rows=rows) for rows in ticks])

    def copy() -> float:
        _empty()
        with connection.cursor() as cursor:
            return seconds_of(lambda: [cursor.execute(one) for one in copies])

    def bulk_create() -> float:
        _empty()
        return seconds_of(lambda: _bulk_create(ticks))

    seconds = interleaved(ours, copy, bulk_create)
    _empty()
    mine, bare, django = (TICKS * COINS / one for one in seconds)
    yield at_least(0.5, id="P1", what="ingest against COPY", ours=mine, reference=bare, unit="rows/s")
    yield at_least(5, id="P1-peer", what="ingest against bulk_create", ours=mine, reference=django, unit="rows/s")


def _prepare_copies(ticks: list[Rows]) -> list[str]:
    copies = []
    for number, rows in enumerate(ticks):
        _empty()
        write_rows(rows=rows)
        copies.append(copied(f"SELECT {NAMES} FROM markets_pricedata ORDER BY coin_id", f"tick_{number}"))
    return copies


def _bulk_create(ticks: list[Rows]) -> None:
    for rows in ticks:
        PriceData.objects.bulk_create(
            (
                PriceData(
                    coin_id=coin_id, interval=interval, at=slot.at, open=slot.open, high=slot.high, low=slot.low,
                    close=slot.close, volume_24h=slot.volume_24h, market_cap=slot.market_cap, samples=slot.samples,
                )
                for coin_id, interval, slot in rows
            ),
            update_conflicts=True,
            unique_fields=["coin_id", "interval", "at"],
            update_fields=FIGURES,
        )  # fmt: skip


def _empty() -> None:
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE markets_pricedata")
