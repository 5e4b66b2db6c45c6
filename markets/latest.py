"""Brings the latest figures on the coins' own rows up to date, from newer answers only."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import orjson
from django.db import connection, transaction

from markets.coingecko.schemas import MarketRow
from markets.models import Cryptocurrency
from markets.staging import Column, Kind, lay_out

STAGED = "latest_staging"
KEY = "coingecko_id"
COLUMNS = (
    Column(KEY, Kind.TEXT),
    Column("symbol", Kind.TEXT),
    Column("name", Kind.TEXT),
    Column("image_url", Kind.TEXT),
    Column("is_listed", Kind.FLAG),
    Column("market_cap_rank", Kind.COUNT),
    Column("price_usd", Kind.FIGURE),
    Column("market_cap_usd", Kind.FIGURE),
    Column("volume_24h_usd", Kind.FIGURE),
    Column("high_24h_usd", Kind.FIGURE),
    Column("low_24h_usd", Kind.FIGURE),
    Column("change_1h_percent", Kind.FIGURE),
    Column("change_24h_percent", Kind.FIGURE),
    Column("change_7d_percent", Kind.FIGURE),
    Column("circulating_supply", Kind.FIGURE),
    Column("max_supply", Kind.FIGURE),
    Column("all_time_high_usd", Kind.FIGURE),
    Column("all_time_high_at", Kind.TIME),
    Column("sparkline_7d", Kind.TEXT),
    Column("price_at", Kind.TIME),
    Column("updated_at", Kind.TIME),
)


def write_latest(*, rows: Sequence[MarketRow], now: datetime) -> None:
    """Stores the latest figures of these coins in one transaction, and adds the coins that are not known yet.

    A stored price gives way to a newer one only, and never to a row without a price. A row that brings no
    sparkline leaves the stored one. Of two rows of one coin the more recently updated counts.
    """
    newest: dict[str, MarketRow] = {}
    for row in rows:
        known = newest.get(row.id)
        if known is None or is_newer(row, known):
            newest[row.id] = row
    if not newest:
        return
    with transaction.atomic(), connection.cursor() as cursor:
        lay_out(cursor, STAGED, COLUMNS, _values(newest.values(), now))
        constants = _constants(now)
        cursor.execute(_upsert_sql(list(constants)), list(constants.values()))


def is_priced(row: MarketRow) -> bool:
    """Whether the row tells a price and its time; one without the other says nothing."""
    return row.current_price is not None and row.last_updated_at is not None


def is_newer(row: MarketRow, known: MarketRow) -> bool:
    if not is_priced(row) or row.last_updated_at is None:
        return False
    return not is_priced(known) or known.last_updated_at is None or row.last_updated_at > known.last_updated_at


def _values(rows: Iterable[MarketRow], now: datetime) -> Iterator[tuple[Any, ...]]:
    for row in rows:
        priced = is_priced(row)
        yield (
            row.id, row.symbol[:50], row.name[:200], row.image[:500], True, row.market_cap_rank,
            row.current_price if priced else None, row.market_cap, row.total_volume, row.high_24h, row.low_24h,
            row.price_change_percentage_1h, row.price_change_percentage_24h, row.price_change_percentage_7d,
            row.circulating_supply, row.max_supply, row.ath, row.ath_at, _written(row.sparkline),
            row.last_updated_at if priced else None, now,
        )  # fmt: skip


def _written(sparkline: tuple[float, ...] | None) -> str | None:
    return orjson.dumps(sparkline).decode() if sparkline else None


def _constants(now: datetime) -> dict[str, Any]:
    """What a new coin's row begins with beside its figures: the defaults of the model's other columns."""
    staged = {column.name for column in COLUMNS}
    fields = [field for field in Cryptocurrency._meta.concrete_fields if not field.primary_key and not field.null]
    defaults: dict[str, Any] = {field.attname: field.get_default() for field in fields if field.attname not in staged}
    return defaults | {"created_at": now}


def _upsert_sql(constants: Sequence[str]) -> str:
    """In the order of the coins' ids, so that two writers cannot deadlock.

    An empty sparkline stands for "none was sent": the stored one is kept by naming the column itself, which
    PostgreSQL does without unpacking it.
    """
    table = Cryptocurrency._meta.db_table
    columns = [column.name for column in COLUMNS]
    read = [f"""COALESCE("{name}", '[]')""" if name == "sparkline_7d" else f'"{name}"' for name in columns]
    changed = {name: f'excluded."{name}"' for name in columns if name != KEY}
    changed["sparkline_7d"] = (
        f"""CASE WHEN excluded."sparkline_7d" = '[]' THEN "{table}"."sparkline_7d" ELSE excluded."sparkline_7d" END"""
    )
    return (
        f'INSERT INTO "{table}" ({", ".join(f"{chr(34)}{name}{chr(34)}" for name in [*columns, *constants])}) '
        f'SELECT {", ".join([*read, *["%s"] * len(constants)])} FROM "{STAGED}" WHERE true ORDER BY "{KEY}" '
        f'ON CONFLICT ("{KEY}") DO UPDATE SET '
        + ", ".join(f'"{name}" = {value}' for name, value in changed.items())
        + f' WHERE "{table}"."price_at" IS NULL OR excluded."price_at" > "{table}"."price_at"'
    )
