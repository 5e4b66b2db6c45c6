"""The table and the JSON of the benchmarks, and how one is found."""

import json
from pathlib import Path

import pytest

from bench import report
from bench.__main__ import chosen, modules
from bench.measuring import Side, at_least, at_most, interleaved, percentile

SLOW = at_most(2, id="P3", what="latest", ours=3.0, reference=1.0, unit="ms")
FAST = at_least(0.5, id="P1", what="ingest", ours=300_000.0, reference=400_000.0, unit="rows/s")


def test_it_passes_what_reaches_its_goal_and_fails_what_does_not() -> None:
    assert (FAST.ratio, FAST.passed, FAST.goal) == (0.75, True, "≥ 0.5 ×")
    assert (SLOW.ratio, SLOW.passed, SLOW.goal) == (3.0, False, "≤ 2 ×")


def test_it_prints_one_line_for_each_result() -> None:
    lines = report.table([FAST, SLOW]).splitlines()
    assert len(lines) == 3
    assert lines[1].split() == [
        "P1",
        "ingest",
        "≥",
        "0.5",
        "×",
        "3e+05",
        "rows/s",
        "4e+05",
        "rows/s",
        "0.75",
        "pass",
        "5",
    ]
    assert "FAIL" in lines[2]


def test_it_keeps_the_results_in_the_agreed_form(tmp_path: Path) -> None:
    report.write([FAST, SLOW], tmp_path / "results.json")
    kept = json.loads((tmp_path / "results.json").read_text())
    assert set(kept) == {"machine", "results"}
    assert kept["results"][1] == {
        "id": "P3", "ours": 3.0, "reference": 1.0, "ratio": 3.0, "goal": "≤ 2 ×", "passed": False, "runs": 5,
    }  # fmt: skip


def test_it_finds_every_benchmark_by_its_file_and_runs_those_asked_for() -> None:
    assert list(modules())[:5] == ["P1", "P2", "P3", "P4", "P5"]
    assert list(chosen("p3, P1")) == ["P1", "P3"]
    assert chosen("") == modules()
    with pytest.raises(ValueError, match="no benchmark P99"):
        chosen("P99")


def test_it_takes_turns_and_the_median_of_all_but_the_first_round() -> None:
    turns: list[str] = []

    def side(name: str, seconds: list[float]) -> Side:
        left = iter(seconds)

        def run() -> float:
            turns.append(name)
            return next(left)

        return run

    medians = interleaved(side("a", [9.0, 1.0, 3.0, 2.0]), side("b", [8.0, 5.0, 5.0, 6.0]), runs=3)
    assert (medians, "".join(turns)) == ([2.0, 5.0], "abababab")


def test_it_takes_the_99th_percentile_as_a_value_that_was_seen() -> None:
    assert percentile([float(number) for number in range(1, 101)], 0.99) == 99.0
    assert percentile([float(number) for number in range(1, 1001)], 0.99) == 990.0
    assert percentile([5.0], 0.99) == 5.0
