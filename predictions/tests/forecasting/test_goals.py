"""The goals: judged by their own rules, told with n and interval, reached and missed alike."""

from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command

from predictions.forecasting import goals, goals_report
from predictions.forecasting.artifact import read_artifact
from predictions.forecasting.backtest import BacktestResult, run_backtest
from predictions.forecasting.goals import Cost, judge_cost, judge_daily
from predictions.forecasting.goals_report import Measured, write_report
from predictions.forecasting.labels import Label
from predictions.forecasting.series import Panel
from predictions.forecasting.training import Trained

from .simulate import day, market

pytestmark = pytest.mark.second  # each fits and forecasts whole back-tests

COST = Cost(seconds=13.0, cpu_seconds=25.0, peak_memory_mb=1500, rows=163_132, parity=4.8e-7, milliseconds=1.4)
SPREAD = {1: [0.0110, 0.0113], 7: [0.005, 0.0055], 30: [0.01, 0.0105]}


@pytest.fixture(scope="module")
def result(starter_folder: Path) -> BacktestResult:
    def fit(panel: Panel, **options: Any) -> Trained:
        shipped = read_artifact(starter_folder)
        return Trained(shipped.recipe, options["cutoff"], 7, shipped.z, {}, shipped.onnx, "", {})

    panel = market(days=660, coins=3)
    return run_backtest(panel, start=day(panel, 300), end=day(panel, 620), refit_every_days=600, fit=fit)


def test_it_judges_a_goal_by_its_figure_and_by_its_interval(result: BacktestResult) -> None:
    found = {goal.name: goal for goal in judge_daily(result)}
    evidence = result.row("lstm", 1).against["ewma_n"]
    assert evidence.skill is not None
    beats = evidence.label is Label.BEATS_BASELINE
    assert found["G1"].reached is (beats and evidence.skill >= 0.012)
    assert found["G1"].found.startswith(f"{evidence.skill:+.2%} [")
    assert found["G1"].n == f"{evidence.n_dates} dates, {evidence.n_forecasts:,} forecasts"


def test_it_counts_a_skill_without_evidence_as_missed(result: BacktestResult) -> None:
    row = result.row("lstm", 1)
    lucky = replace(row.against["ewma_n"], skill=0.5, label=Label.EQUALS_BASELINE)
    changed = replace(row, against=row.against | {"ewma_n": lucky})
    summary = [changed if found is row else found for found in result.summary]
    assert {goal.name: goal for goal in judge_daily(replace(result, summary=summary))}["G1"].reached is False


def test_it_takes_coverage_of_what_was_published(result: BacktestResult) -> None:
    found = {goal.name: goal for goal in judge_daily(result)}
    row = result.row("published", 1)
    assert found["G8"].found.startswith(f"1 d {row.coverage_80:.1%} [")
    own = goals._own_coverages(result, 1)
    inside = result.log_quantiles["published"][:, 0]
    first = result.rows.coins == 0
    y = result.actual[first, 0]
    expected = np.mean((inside[first, 2] <= y) & (y <= inside[first, 10]))
    assert own[0] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("cost", "reached"),
    [
        (COST, [True, True, True]),
        (replace(COST, seconds=31), [False, True, True]),
        (replace(COST, milliseconds=11), [True, True, False]),
        (replace(COST, parity=2e-5), [True, True, False]),
    ],
)
def test_it_judges_costs(cost: Cost, reached: list[bool]) -> None:
    assert [goal.reached for goal in judge_cost(cost, SPREAD)] == reached
    assert judge_cost(cost, {1: [0.010, 0.0111]})[1].reached is False


def test_it_reports_reached_and_missed_goals_with_n_and_interval(result: BacktestResult) -> None:
    report = write_report(Measured(result, as_hourly(result), COST, SPREAD))
    lines = [line for line in report.splitlines() if line.startswith("| G")]
    assert [line.split("|")[1].strip() for line in lines] == [
        "G1", "G2", "G3", "G4", "G4+", "G5", "G6", "G7", "G8", "G9", "G10", "G11", "G12", "G13", "G14",
    ]  # fmt: skip
    assert all(line.endswith(("| yes |", "| **no** |")) for line in lines)
    assert "not evidence" in report
    assert "weighted by date" in report
    assert "report_goals --data ../shared/data" in report


def as_hourly(result: BacktestResult) -> BacktestResult:
    """Stands in for an hourly back-test: the same figures under horizons of up to twelve hours."""
    names = dict(zip(result.horizons, (1, 2, 4, 6, 8, 12, 18, 24, 30), strict=True))
    return replace(
        result,
        horizons=tuple(names.values()),
        summary=[replace(row, horizon=names[row.horizon]) for row in result.summary],
    )


def test_it_measures_everything_in_one_command(
    result: BacktestResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(goals_report, "read_csv_folder", lambda *_, **__: None)
    monkeypatch.setattr(goals, "training_cost", lambda _: COST)
    monkeypatch.setattr(goals, "seed_spread", lambda _: SPREAD)
    monkeypatch.setattr(goals, "daily_walk", lambda _, *, retrain_days, progress: result)
    monkeypatch.setattr(goals, "hourly_walk", lambda _, *, retrain_days, progress: as_hourly(result))
    told = StringIO()
    call_command("report_goals", data=tmp_path, out=tmp_path / "report.md", stdout=told, stderr=StringIO())
    assert (tmp_path / "report.md").read_text().startswith("# Forecasting: what was measured")
    assert [line.split()[0] for line in told.getvalue().splitlines()][:4] == ["G1", "G2", "G3", "G4"]
