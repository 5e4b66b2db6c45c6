"""Rows laid into a temporary table, so that one statement can compare them with what is stored."""

import io
import struct
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, NamedTuple

import orjson
from django.db import connection
from django.db.backends.utils import CursorWrapper


class Kind(Enum):
    """What a staged column holds: its type in PostgreSQL and in SQLite, and its form in a binary COPY."""

    KEY = ("bigint", "integer", "!iq")
    COUNT = ("integer", "integer", "!ii")
    FIGURE = ("double precision", "real", "!id")
    FLAG = ("boolean", "bool", "!i?")
    TIME = ("timestamp with time zone", "datetime", "!iq")
    CODE = ("varchar(2)", "text", "!i2s")  # two letters, such as an interval
    TEXT = ("text", "text", "")
    JSON = ("jsonb", "text", "")

    @property
    def sql_type(self) -> str:
        return self.value[0] if is_postgres() else self.value[1]


class Column(NamedTuple):
    name: str
    kind: Kind


Encoder = Callable[[Any], bytes]

NULL = b"\xff\xff\xff\xff"
COPY_HEAD = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
COPY_END = b"\xff\xff"
POSTGRES_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def is_postgres() -> bool:
    return connection.vendor == "postgresql"


def distinct_from() -> str:
    """The operator that tells two values apart where either may be null (SQLite had it by this name only of late)."""
    return "IS DISTINCT FROM" if is_postgres() else "IS NOT"


def lay_out(cursor: CursorWrapper, table: str, columns: Sequence[Column], rows: Iterable[Sequence[Any]]) -> None:
    """Fills the temporary table with these rows alone. Call it in a transaction, at whose end the rows are gone.

    The table is dropped with the transaction and not kept for the connection: making it anew costs half a
    millisecond, and a kept one would outlive a deployment that changes its columns.
    """
    described = ", ".join(f'"{column.name}" {column.kind.sql_type}' for column in columns)
    create = f'CREATE TEMPORARY TABLE IF NOT EXISTS "{table}" ({described})'
    cursor.execute(create + _on_postgres(table, columns) if is_postgres() else create)
    cursor.execute(f'DELETE FROM "{table}"')  # what an earlier call in the same transaction left
    names = ", ".join(f'"{column.name}"' for column in columns)
    if is_postgres():
        cursor.copy_expert(f'COPY "{table}" ({names}) FROM STDIN BINARY', binary_copy(columns, rows))
    else:
        places = ", ".join(["%s"] * len(columns))
        adapted = [[adapt(value) for adapt, value in zip(_adapters(columns), row, strict=True)] for row in rows]
        cursor.executemany(f'INSERT INTO "{table}" ({names}) VALUES ({places})', adapted)


def _on_postgres(table: str, columns: Sequence[Column]) -> str:
    """What follows the columns: dropped at the commit, and long texts stored as they are, in the same call.

    They are read once: pressing the 16 MB of a tick's sparklines together would take longer than writing them.
    """
    long = [column.name for column in columns if column.kind in (Kind.TEXT, Kind.JSON)]
    storage = ", ".join(f'ALTER "{name}" SET STORAGE EXTERNAL' for name in long)
    return " ON COMMIT DROP" + (f'; ALTER TABLE "{table}" {storage}' if long else "")


def binary_copy(columns: Sequence[Column], rows: Iterable[Sequence[Any]]) -> io.BytesIO:
    """The rows in PostgreSQL's binary COPY format, which carries each double bit by bit."""
    encoders = [_encoder(column.kind) for column in columns]
    head = struct.pack("!h", len(columns))
    at_once = _packer_of_full_rows(columns)
    parts = [COPY_HEAD]
    for row in rows:
        if at_once and None not in row:
            parts.append(at_once(row))
        else:
            parts.append(head)
            parts += [encode(value) for encode, value in zip(encoders, row, strict=True)]
    parts.append(COPY_END)
    return io.BytesIO(b"".join(parts))


def _packer_of_full_rows(columns: Sequence[Column]) -> Callable[[Sequence[Any]], bytes] | None:
    """Packs a row without nulls by one call, eight times as fast; None if the columns' sizes are not fixed.

    Those of prices are, and prices come by hundreds of thousands.
    """
    formats = [column.kind.value[2] for column in columns]
    if not all(formats):
        return None
    pack = struct.Struct("!h" + "".join(formats).replace("!", "")).pack
    template: list[Any] = [len(columns)]
    for each in formats:
        template += [struct.calcsize(each) - 4, None]
    codes = [2 * place + 2 for place, column in enumerate(columns) if column.kind is Kind.CODE]
    times = [2 * place + 2 for place, column in enumerate(columns) if column.kind is Kind.TIME]
    known: dict[datetime, int] = {}

    def packed(row: Sequence[Any]) -> bytes:
        template[2::2] = row
        for place in codes:
            template[place] = template[place].encode()
        for place in times:
            at = template[place]
            if at not in known:
                known[at] = (at - POSTGRES_EPOCH) // MICROSECOND
            template[place] = known[at]
        return pack(*template)

    return packed


def _encoder(kind: Kind) -> Encoder:
    if kind in (Kind.TEXT, Kind.CODE):
        return lambda value: NULL if value is None else _sized(value.encode())
    if kind is Kind.JSON:
        return lambda value: NULL if value is None else _sized(b"\x01" + orjson.dumps(value))
    packed = struct.Struct(kind.value[2])
    pack, size = packed.pack, packed.size - 4
    if kind is Kind.TIME:
        return _time_encoder(pack, size)
    return lambda value: NULL if value is None else pack(size, value)


def _time_encoder(pack: Callable[..., bytes], size: int) -> Encoder:
    known: dict[datetime | None, bytes] = {None: NULL}  # the rows of a tick share one time

    def encode(value: datetime | None) -> bytes:
        found = known.get(value)
        if found is None:
            assert value is not None
            found = known[value] = pack(size, (value - POSTGRES_EPOCH) // MICROSECOND)
        return found

    return encode


def _sized(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value


def _adapters(columns: Sequence[Column]) -> list[Callable[[Any], Any]]:
    special: dict[Kind, Callable[[Any], Any]] = {
        Kind.TIME: connection.ops.adapt_datetimefield_value,
        Kind.JSON: lambda value: None if value is None else orjson.dumps(value).decode(),
    }
    return [special.get(column.kind, lambda value: value) for column in columns]
