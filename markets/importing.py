"""Brings prices in from a CSV file: every row checked, a trial first, all of them or none, and once."""

import csv
import io
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from operator import attrgetter

from django.db import transaction
from django.db.models import Q

from markets.csv_rows import (
    DAILY_COLUMNS,
    SLOT_COLUMNS,
    BadRow,
    DailyPoint,
    RowError,
    SlotRow,
    read_daily_point,
    read_slot_row,
)
from markets.ingest import Slot, closed_slots, write_rows
from markets.models import Cryptocurrency, Interval, PriceData, Restatement
from markets.quality.checks import check_quality

logger = logging.getLogger(__name__)

MAX_BYTES = 5_000_000
MAX_ROWS = 50_000
KEPT_ERRORS = 100
BATCH = 200
DAY = timedelta(days=1)

Lines = Iterator[tuple[int, list[str]]]  # line numbers and cells
Key = tuple[int, str, datetime]


class BadFile(ValueError):
    """The file as a whole cannot be read; `code` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class Import:
    """What a file holds and what importing it does or would do."""

    format: str
    is_dry_run: bool
    rows: int = 0
    errors: list[RowError] = field(default_factory=list)
    error_count: int = 0
    coins: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    kept_richer: int = 0
    left_out: int = 0

    def note(self, error: RowError) -> None:
        self.error_count += 1
        if len(self.errors) < KEPT_ERRORS:
            self.errors.append(error)


def import_prices(*, content: bytes, is_dry_run: bool, by: str, now: datetime) -> Import:
    """Reads a file of slots or of daily prices and stores it unless it is a dry run or has any error.

    Idempotent: rows that are stored already count as unchanged, and rows made of more observed prices are kept.
    What was stored is checked for faults like any other prices. Raises BadFile when the file cannot be read at all.
    """
    lines = _lines(content)
    columns, is_daily = _header(next(lines, None))
    done = Import("daily" if is_daily else "slots", is_dry_run)
    slots = _daily_slots(lines, columns, done, now) if is_daily else _slots(lines, columns, done, now)
    with transaction.atomic():
        to_write = _compare(slots, done)
        if not is_dry_run and not done.error_count:
            write_rows(rows=to_write, source=Restatement.Source.IMPORT)
    if to_write and not is_dry_run and not done.error_count:
        logger.info("%s imported prices: %s new, %s changed", by, done.new, done.changed)
        earliest = min(slot.at for _, _, slot in to_write)
        check_quality(now=now, coin_ids=[coin for coin, _, _ in to_write], since=earliest)
    return done


def _lines(content: bytes) -> Lines:
    """(line number, cells) of every line that is not empty."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BadFile("not_utf8", "The file is in UTF-16; save it as CSV UTF-8.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadFile("not_utf8", f"Byte {error.start} is no UTF-8; save the file as CSV UTF-8.") from error
    if "\x00" in text:
        raise BadFile("not_text", "The file holds NUL characters and is no CSV.")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, [cell.strip() for cell in cells]
    except csv.Error as error:
        raise BadFile("not_csv", f"Line {reader.line_num}: {error}.") from error


def _header(first: tuple[int, list[str]] | None) -> tuple[list[str], bool]:
    columns = [cell.lower() for cell in first[1]] if first else []
    for known in (SLOT_COLUMNS, DAILY_COLUMNS):
        if sorted(columns) == sorted(known):
            return columns, known == DAILY_COLUMNS
    message = f"The first line must name the columns {','.join(SLOT_COLUMNS)} or {','.join(DAILY_COLUMNS)}."
    raise BadFile("bad_header", message)


def _cells(lines: Lines, columns: Sequence[str], done: Import) -> Iterator[tuple[int, dict[str, str]]]:
    """Each row's cells by column; a row of another length is noted as an error."""
    for line, cells in lines:
        done.rows += 1
        if done.rows > MAX_ROWS:
            raise BadFile("too_many_rows", f"A file may have {MAX_ROWS:,} rows; cut it into parts.")
        if len(cells) != len(columns):
            done.note(RowError(line, "", "wrong_columns", f"{len(columns)} cells are expected, not {len(cells)}."))
        else:
            yield line, dict(zip(columns, cells, strict=True))


def _slots(lines: Lines, columns: Sequence[str], done: Import, now: datetime) -> list[tuple[int, Interval, Slot]]:
    read: dict[tuple[str, str, datetime], tuple[int, SlotRow]] = {}
    for line, cells in _cells(lines, columns, done):
        try:
            row = read_slot_row(cells, now)
        except BadRow as error:
            for fault in error.faults:
                done.note(fault.at(line))
            continue
        if row.key in read:
            done.note(_repeated(line, read[row.key][0], "at"))
            continue
        read[row.key] = line, row
    ids = _known_ids([(line, row.id) for line, row in read.values()], done)
    return [(ids[row.id], row.interval, row.slot) for _, row in read.values() if row.id in ids]


def _daily_slots(lines: Lines, columns: Sequence[str], done: Import, now: datetime) -> list[tuple[int, Interval, Slot]]:
    """A date's price opens its day and closes the day before; a day whose next date is missing is left out."""
    read: dict[tuple[str, date], tuple[int, DailyPoint]] = {}
    for line, cells in _cells(lines, columns, done):
        try:
            point = read_daily_point(cells, now)
        except BadRow as error:
            for fault in error.faults:
                done.note(fault.at(line))
            continue
        key = point.id, point.at.date()
        if key in read:
            done.note(_repeated(line, read[key][0], "date"))
            continue
        read[key] = line, point
    ids = _known_ids([(line, point.id) for line, point in read.values()], done)
    points = sorted((point for _, point in read.values() if point.id in ids), key=attrgetter("id"))
    found = []
    for coin, group in groupby(points, key=attrgetter("id")):
        own = list(group)
        closed = closed_slots(own, Interval.DAY, now=now)
        done.left_out += len(own) - len(closed)
        found += [(ids[coin], Interval.DAY, slot) for slot in closed]
    return found


def _repeated(line: int, first: int, name: str) -> RowError:
    return RowError(line, name, "repeated_row", f"Line {first} has a price for the same coin and time.")


def _known_ids(named: Sequence[tuple[int, str]], done: Import) -> dict[str, int]:
    names = sorted({name for _, name in named})
    ids: dict[str, int] = {}
    for start in range(0, len(names), BATCH):
        known = Cryptocurrency.objects.filter(coingecko_id__in=names[start : start + BATCH]).order_by()
        ids |= dict(known.values_list("coingecko_id", "pk"))
    for line, name in named:
        if name not in ids:
            done.note(RowError(line, "id", "unknown_coin", f"There is no coin with the id {name[:60]!r}."))
    done.coins = len(ids)
    return ids


def _compare(slots: Sequence[tuple[int, Interval, Slot]], done: Import) -> list[tuple[int, Interval, Slot]]:
    """The slots that are new or differ from what is stored; counts all."""
    stored = _stored(slots)
    to_write = []
    for coin, interval, slot in slots:
        old = stored.get((coin, interval.value, slot.at))
        if old is None:
            done.new += 1
        elif _figures(old) == _figures(slot):
            done.unchanged += 1
            continue
        elif old.samples > slot.samples:
            done.kept_richer += 1
            continue
        else:
            done.changed += 1
        to_write.append((coin, interval, slot))
    return to_write


def _figures(row: PriceData | Slot) -> tuple[float | None, ...]:
    return row.open, row.high, row.low, row.close, row.volume_24h, row.market_cap


def _stored(slots: Sequence[tuple[int, Interval, Slot]]) -> dict[Key, PriceData]:
    """The stored rows in the span of each coin and interval: a query per 200 of these."""
    spans: dict[tuple[int, str], tuple[datetime, datetime]] = {}
    for coin, interval, slot in slots:
        first, last = spans.get((coin, interval.value), (slot.at, slot.at))
        spans[coin, interval.value] = min(first, slot.at), max(last, slot.at)
    wanted = {(coin, interval.value, slot.at) for coin, interval, slot in slots}
    found: dict[Key, PriceData] = {}
    ordered = sorted(spans.items())
    for start in range(0, len(ordered), BATCH):
        inside = Q()
        for (coin, name), (first, last) in ordered[start : start + BATCH]:
            inside |= Q(coin=coin, interval=name, at__gte=first, at__lte=last)
        for row in PriceData.objects.filter(inside).order_by().iterator(chunk_size=5000):
            key = row.coin_id, row.interval, row.at.astimezone(UTC)
            if key in wanted:
                found[key] = row
    return found
