"""The table that is printed and the JSON that is kept."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bench.measuring import Result

KEPT = ("id", "ours", "reference", "ratio", "goal", "passed", "runs")
HEADINGS = ("id", "what", "goal", "ours", "reference", "ratio", "", "runs")


def table(results: Sequence[Result]) -> str:
    """One line for each result, in columns as wide as they need."""
    rows = [HEADINGS, *map(_cells, results)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _cells(result: Result) -> tuple[str, ...]:
    figures = [f"{value:,.4g} {result.unit}" for value in (result.ours, result.reference)]
    verdict = "pass" if result.passed else "FAIL"
    return (result.id, result.what, result.goal, *figures, f"{result.ratio:.3g}", verdict, str(result.runs))


def as_json(results: Sequence[Result]) -> str:
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    kept = [{name: value for name, value in asdict(result).items() if name in KEPT} for result in results]
    return json.dumps({"machine": machine, "results": kept}, indent=1, ensure_ascii=False)


def write(results: Sequence[Result], path: Path) -> None:
    path.write_text(as_json(results) + "\n")
