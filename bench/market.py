"""The market that the benchmarks work on: 5,000 coins, their ticks, and millions of prices made by the server."""

import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from django.db import connection

from markets.ingest import COLUMNS, Slot
from markets.models import Cryptocurrency, Interval
from markets.sample.endpoints import Endpoints
from markets.sample.simulated import simulated_market

COINS = 5000
PAGE = 250
FIVE = Interval.FIVE_MINUTES.length
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ", ".join(f'"{column.name}"' for column in COLUMNS)

Rows = list[tuple[int, Interval, Slot]]


@cache
def coin_ids() -> list[int]:
    """The keys of the 5,000 coins, which are made at the first call."""
    known = Cryptocurrency.objects.filter(coingecko_id__startswith="bench-")
    if not known.exists():
        Cryptocurrency.objects.bulk_create(
            Cryptocurrency(
                coingecko_id=f"bench-{number}", symbol=f"b{number}", name=f"Bench {number}", market_cap_rank=number + 1,
                price_usd=1.0, price_at=BEGIN, sparkline_7d=[1.0 + place / 7 for place in range(168)],
            )
            for number in range(COINS)
        )  # fmt: skip
    return list(known.order_by("pk").values_list("pk", flat=True))


def tick(number: int) -> Rows:
    """The slots of all coins in one five-minute tick."""
    chance = random.Random(number)
    at = BEGIN + number * FIVE
    return [(coin, Interval.FIVE_MINUTES, _slot(at, chance)) for coin in coin_ids()]


def _slot(at: datetime, chance: random.Random) -> Slot:
    price = chance.lognormvariate(0, 3)
    return Slot(at, price, price, price, price, 1e9, 1e12 * chance.random() + 1, samples=1)


@cache
def _sample_rows(sparkline: bool) -> list[dict[str, Any]]:
    """What the sample server answers of its fifty coins."""
    now = datetime.now(UTC)
    endpoints = Endpoints(simulated_market(seed=7, coin_count=50, today=now.date()), lambda coin: f"https://x/{coin}")
    asked = {
        "vs_currency": "usd", "per_page": "250", "precision": "full",
        "sparkline": str(sparkline).lower(), "price_change_percentage": "1h,24h,7d",
    }  # fmt: skip
    rows: list[dict[str, Any]] = endpoints.answer("/coins/markets", asked, now.timestamp()).payload
    return rows


def pages(at: datetime, *, sparkline: bool) -> list[bytes]:
    """Twenty pages of /coins/markets as the sample server sends them, all prices seen at one instant."""
    rows = _sample_rows(sparkline)
    stamp = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    listed = [
        rows[number % len(rows)] | {"id": f"bench-{number}", "market_cap_rank": number + 1, "last_updated": stamp}
        for number in range(COINS)
    ]
    return [json.dumps(listed[start : start + PAGE]).encode() for start in range(0, COINS, PAGE)]


def copied(rows_sql: str, name: str = "rows") -> str:
    """Writes a query's rows to a file on the server's own disk; returns the COPY of it into the table of prices."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('data_directory') || %s", [f"/bench_{name}.copy"])
        path = cursor.fetchone()[0]
        cursor.execute(f"COPY ({rows_sql}) TO '{path}' (FORMAT binary)")
    return f"COPY markets_pricedata ({NAMES}) FROM '{path}' (FORMAT binary)"


# Many millions of rows -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Size:
    """A table of prices in a schema of its own, made tick by tick, its index packed as after a night's upkeep."""

    schema: str
    coins: int
    slots: int

    @property
    def end(self) -> datetime:
        return BEGIN + self.slots * FIVE


SMALL = Size("rows_3m", coins=1000, slots=3000)
LARGE = Size("rows_30m", coins=5000, slots=6000)


def use(size: Size | None) -> None:
    """Lets this thread's connection see the table of that size (None: the migrated, empty one)."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET search_path = {f'{size.schema}, ' if size else ''}public")


@cache
def build(size: Size) -> None:
    """Makes the table: rows first, then the very indexes that the migrations make, then a vacuum."""
    keys = coin_ids()[: size.coins]
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("SET maintenance_work_mem = '512MB'")
        cursor.execute(f"CREATE SCHEMA {size.schema}")
        table = f"{size.schema}.markets_pricedata"
        cursor.execute(
            f"CREATE TABLE {table} (LIKE public.markets_pricedata INCLUDING DEFAULTS INCLUDING IDENTITY"
            " INCLUDING CONSTRAINTS) WITH (autovacuum_enabled = off)"
        )
        cursor.execute(
            f"INSERT INTO {table} ({NAMES}) SELECT coin, '5m', %s + slot * interval '5 minutes', price, price, price,"
            " price, 1e9, 1e12, 1 FROM generate_series(0, %s) slot CROSS JOIN generate_series(%s, %s) coin"
            " CROSS JOIN LATERAL (SELECT 1.0 + ((slot * 7919 + coin * 104729) %% 1000) / 999.0 AS price) made",
            [BEGIN, size.slots - 1, keys[0], keys[-1]],
        )
        cursor.execute(
            "SELECT conname, pg_get_constraintdef(made.oid), array_to_string(reloptions, ', ')"
            " FROM pg_constraint made JOIN pg_class ON pg_class.oid = conindid"
            " WHERE conrelid = 'public.markets_pricedata'::regclass AND contype IN ('p', 'u')"
        )
        for name, definition, options in cursor.fetchall():
            storage = f" WITH ({options})" if options else ""
            cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}{storage}")
        cursor.execute(f"VACUUM (ANALYZE) {table}")
        cursor.execute(f"ALTER TABLE {table} RESET (autovacuum_enabled)")
        cursor.execute("RESET statement_timeout")
