"""Checks an export of the ledger with nothing but Python's standard library: python verify_ledger.py forecasts.csv

The export is the CSV of /api/v1/predictions/export/ without filters. This script recomputes the hash of every
forecast, follows the chain from the first one on, recomputes the hash of every outcome, and recomputes every score
from the quantiles and the price that was observed. It ends with 1 and names the first row that is not as it was.

The rules that it restates:

- A forecast's hash is the SHA-256 of its frozen content as JSON with sorted keys and no spaces. `hash_version` says
  which columns that is. Numbers are the doubles in their shortest exact form, times ISO 8601 with +00:00.
- `previous_hash` is the hash of the forecast before it; that of the first one is 64 zeros.
- An outcome's hash covers the forecast's hash and every column of the outcome.
- CRPS is twice the mean pinball loss of the log-return over the levels from 5 % to 95 %. The interval score is the
  80 % band's width plus 2/0.2 times the miss. A hit lies inside the band, its ends included.
"""

import csv
import hashlib
import io
import json
import math
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, TextIO

LEVELS = (0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975)
PREFIXES = ("", "model_", "fhs_", "ewma_")
TEXTS = ("coin", "model", "frequency", "headline", "label", "inputs_sha256", "previous_hash", "row_hash")
WHOLE = ("sequence", "horizon_days", "horizon_hours", "hash_version")
NUMBERS = ("base_price", "multiplier_80", "multiplier_95")
FLAGS = ("counts_as_evidence", "is_sample", "is_shadow")
TIMES = ("cutoff_at", "target_at", "issued_at")
SCORES = ("crps", "crps_model", "crps_fhs", "crps_ewma", "interval_score_80")
HITS = ("is_hit_80", "is_hit_95")
QUANTILES = tuple(f"{prefix}q{round(level * 1000):03d}" for prefix in PREFIXES for level in LEVELS)
OUTCOME = ("state", "void_reason", "actual_price", "scored_at", *SCORES, *HITS)
COLUMNS = {*TEXTS, *WHOLE, *NUMBERS, *FLAGS, *TIMES, *QUANTILES, *OUTCOME, "outcome_hash"}

FIRST_VERSION = (
    "sequence", "coin", "model", "horizon_days", "cutoff_at", "target_at", "issued_at", "base_price", "headline",
    "multiplier_80", "multiplier_95", "quantiles", "model_quantiles", "fhs_quantiles", "ewma_quantiles", "label",
    "counts_as_evidence", "is_sample", "inputs_sha256", "previous_hash",
)  # fmt: skip
HASHED = {1: FIRST_VERSION, 2: (*FIRST_VERSION, "hash_version", "frequency", "horizon_hours", "is_shadow")}


class Broken(Exception):
    """A row is not as it was."""


def whole(text: str) -> int:
    if str(int(text)) != text:
        raise Broken(f"{text!r} is not written as a whole number is")
    return int(text)


def number(text: str) -> float:
    if repr(float(text)) != text:
        raise Broken(f"{text!r} is not the shortest form of a double")
    return float(text)


def flag(text: str) -> bool:
    if text not in {"true", "false"}:
        raise Broken(f"{text!r} is neither true nor false")
    return text == "true"


def moment(text: str) -> str:
    """2026-01-02T00:00:00Z as it stands in the hashed content: with +00:00."""
    written = datetime.fromisoformat(text).astimezone(UTC).isoformat()
    if written.replace("+00:00", "Z") != text:
        raise Broken(f"{text!r} is not written as a time in UTC is")
    return written


READERS = {
    **dict.fromkeys(TEXTS, str),
    **dict.fromkeys(WHOLE, whole),
    **dict.fromkeys((*NUMBERS, *QUANTILES), number),
    **dict.fromkeys(FLAGS, flag),
    **dict.fromkeys(TIMES, moment),
}


def hash_of(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def frozen(row: dict[str, str]) -> dict[str, Any]:
    """What was frozen, with the quantiles as four lists."""
    values = {name: reader(row[name]) for name, reader in READERS.items()}
    for place, prefix in enumerate(PREFIXES):
        first = place * len(LEVELS)
        values[f"{prefix}quantiles"] = [values[name] for name in QUANTILES[first : first + len(LEVELS)]]
    return values


def outcome(row: dict[str, str]) -> dict[str, Any]:
    """What came of it; None is unknown."""
    readers = {
        "scored_at": moment,
        "actual_price": number,
        **dict.fromkeys(SCORES, number),
        **dict.fromkeys(HITS, flag),
    }
    values: dict[str, Any] = {name: reader(row[name]) if row[name] else None for name, reader in readers.items()}
    return values | {"state": row["state"], "void_reason": row["void_reason"], "row_hash": row["row_hash"]}


def crps(actual: float, quantiles: list[float]) -> float:
    """Twice the mean pinball loss over the levels from 5 % to 95 %, all on log-returns."""
    losses = [
        max(level * (actual - quantile), (level - 1) * (actual - quantile))
        for level, quantile in zip(LEVELS, quantiles, strict=True)
        if 0.05 <= level <= 0.95
    ]
    return 2 * math.fsum(losses) / len(losses)


def scores(values: dict[str, Any], actual_price: float) -> dict[str, Any]:
    """Every score of a forecast, from its quantiles and the price that was observed."""
    base = values["base_price"]
    actual = math.log(actual_price / base)
    logs = {name: [math.log(price / base) for price in values[f"{name}quantiles"]] for name in PREFIXES}
    low, high = logs[""][2], logs[""][10]
    found: dict[str, Any] = {f"crps_{name}".rstrip("_"): crps(actual, quantiles) for name, quantiles in logs.items()}
    found["interval_score_80"] = high - low + 10 * (max(low - actual, 0.0) + max(actual - high, 0.0))
    found["is_hit_80"] = low <= actual <= high
    found["is_hit_95"] = logs[""][0] <= actual <= logs[""][12]
    return found


def check_outcome(row: dict[str, str], values: dict[str, Any]) -> None:
    came = outcome(row)
    is_open = came["state"] == "open"
    if row["outcome_hash"] != ("" if is_open else hash_of(came)):
        raise Broken("its outcome does not match its hash")
    if is_open and any(row[name] for name in OUTCOME if name != "state"):
        raise Broken("it is open and has an outcome")
    if came["state"] not in {"open", "scored", "void"}:
        raise Broken(f"there is no state {came['state']!r}")
    if came["state"] == "scored":
        for name, expected in scores(values, came["actual_price"]).items():
            if not math.isclose(came[name], expected, rel_tol=1e-9, abs_tol=1e-12):
                raise Broken(f"{name} is {came[name]}, not {expected}")


class Lines:
    """The file's lines; remembers those that were read since it was last asked, byte for byte."""

    def __init__(self, file: TextIO) -> None:
        self.file = file
        self.read = ""

    def __iter__(self) -> Iterator[str]:
        for line in self.file:
            self.read += line
            yield line

    def take(self) -> str:
        read, self.read = self.read, ""
        return read


def rows_of(file: TextIO) -> Iterator[dict[str, str]]:
    """Every row by its columns' names, after the row was found to be written as an export writes it."""
    lines = Lines(file)
    header: list[str] = []
    for cells in csv.reader(lines, strict=True):
        written = io.StringIO(newline="")
        csv.writer(written).writerow(cells)
        if lines.take() != written.getvalue():
            raise Broken("it is not written as an export writes it")
        if not header:
            header = cells
            if set(header) != COLUMNS or len(header) != len(COLUMNS):
                raise Broken("the columns are not those of an export")
            continue
        if len(cells) != len(header):
            raise Broken("a row has too many or too few columns")
        yield dict(zip(header, cells, strict=True))
    if lines.take():
        raise Broken("something follows the last row")


def verify(file: TextIO) -> tuple[int, int, str]:
    """How many forecasts there are, how many of them are scored, and the last hash; raises Broken."""
    expected, scored, previous = 1, 0, "0" * 64
    try:
        for row in rows_of(file):
            values = frozen(row)
            if values["sequence"] != expected:
                raise Broken("a forecast is missing or out of its place")
            if values["previous_hash"] != previous:
                raise Broken("it does not follow the forecast before it")
            names = HASHED.get(values["hash_version"])
            if names is None or hash_of({name: values[name] for name in names}) != values["row_hash"]:
                raise Broken("its content does not match its hash")
            check_outcome(row, values)
            scored += row["state"] == "scored"
            expected, previous = expected + 1, values["row_hash"]
    except (Broken, ValueError, TypeError, csv.Error) as error:
        raise Broken(f"forecast {expected}: {error}") from error
    return expected - 1, scored, previous


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: python verify_ledger.py forecasts.csv", file=sys.stderr)
        return 2
    try:
        with open(arguments[0], encoding="utf-8", newline="") as file:
            length, scored, head = verify(file)
    except Broken as error:
        print(f"The ledger is not as it was: {error}.", file=sys.stderr)
        return 1
    print(f"{length} forecasts, {scored} of them scored, all as they were frozen; the last hash is {head}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
