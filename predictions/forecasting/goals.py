"""The forecasting goals G1 to G14, measured: what was reached and what was not, with intervals and n."""

import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date
from multiprocessing import get_context
from typing import Any

import numpy as np

from predictions.forecasting.backtest import BacktestResult, run_backtest
from predictions.forecasting.features import build_features
from predictions.forecasting.forecasters.protocol import EWMA_N, FHS, LINEAR_HEAD, LSTM, PUBLISHED
from predictions.forecasting.labels import Evidence, Label
from predictions.forecasting.metrics import means_by_date, skill_interval
from predictions.forecasting.recipe import DAILY
from predictions.forecasting.series import Panel
from predictions.forecasting.serving import BandNetwork
from predictions.forecasting.summary import SummaryRow
from predictions.forecasting.training import train
from predictions.forecasting.windows import WindowReader, eligible_rows

TEST_FROM, TEST_TO = date(2023, 10, 1), date(2025, 9, 30)
WARM_UP_FROM = date(2022, 10, 1)  # a year of settled forecasts, from which the first test day is calibrated
HOURLY_STEP_DAYS = 7 / 24
SEEDS = (7, 1, 2, 3, 4)
MIN_OWN_DATES = 300


@dataclass(frozen=True)
class Goal:
    """One goal and what was found; `reached` is None where the goal is to tell and not to reach."""

    name: str
    what: str
    goal: str
    found: str
    n: str
    reached: bool | None


@dataclass(frozen=True)
class Cost:
    """One training run of all coins in a process of its own, and 200 coins through ONNX Runtime."""

    seconds: float
    cpu_seconds: float
    peak_memory_mb: int
    rows: int
    parity: float
    milliseconds: float


def daily_walk(panel: Panel, *, retrain_days: int, progress: Any = None) -> BacktestResult:
    """The daily back-test of the test period, its published bands calibrated from a year before on."""
    result = run_backtest(panel, start=WARM_UP_FROM, end=TEST_TO, refit_every_days=retrain_days, progress=progress)
    return result.since(TEST_FROM)


def hourly_walk(panel: Panel, *, retrain_days: int, progress: Any = None) -> BacktestResult:
    """The hourly back-test of the test period: a cutoff every seven hours, which reaches each hour of the day."""
    return run_backtest(
        panel,
        start=TEST_FROM,
        end=TEST_TO,
        refit_every_days=retrain_days,
        step_days=HOURLY_STEP_DAYS,
        progress=progress,
    )


def seed_spread(panel: Panel, seeds: Sequence[int] = SEEDS) -> dict[int, list[float]]:
    """Skill against FHS by horizon for each seed, over the test period with one fit each."""
    found: dict[int, list[float]] = {}
    for seed in seeds:
        result = run_backtest(panel, start=TEST_FROM, end=TEST_TO, refit_every_days=731, models=(LSTM, FHS), seed=seed)
        for horizon in (1, 7, 30):
            found.setdefault(horizon, []).append(result.row(LSTM, horizon).against[FHS].skill or 0.0)
    return found


def training_cost(panel: Panel) -> Cost:
    """Training on all of a panel, in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_train_and_serve, panel).result()


def _train_and_serve(panel: Panel) -> Cost:
    from predictions.forecasting import network

    import_done = time.process_time()
    trained = train(panel, cutoff=panel.last_date)
    cpu_seconds = time.process_time() - import_done
    served = BandNetwork(trained.onnx, trained.recipe)
    features = build_features(panel)
    rows = eligible_rows(features, window=DAILY.window)
    rows = rows.take(np.arange(len(rows) - 200, len(rows)))
    steps = WindowReader(features, DAILY.window).read(rows)
    last = features.last[rows.days, rows.coins]
    model = network.build_network(DAILY, trained.z, step_features=steps.shape[2], features=last.shape[1])
    model.set_weights([trained.weights[variable.path] for variable in model.weights])
    parity = float(np.abs(model([steps, last], training=False).numpy() - served.run(steps, last)).max())
    times = []
    for _ in range(100):
        began = time.perf_counter()
        served.run(steps, last)
        times.append(1000 * (time.perf_counter() - began))
    metrics = trained.metrics
    return Cost(
        metrics["seconds"], cpu_seconds, metrics["peak_memory_mb"], metrics["rows"], parity, statistics.median(times)
    )


def judge_daily(result: BacktestResult) -> list[Goal]:
    """G1 to G5 of the LSTM, G8 to G11 of what would have been published."""
    rows = {h: result.row(LSTM, h) for h in result.horizons}
    one, seven, thirty = (rows[h].against[EWMA_N] for h in (1, 7, 30))
    naive = rows[1].against[FHS]
    later = [rows[h].against[FHS] for h in result.horizons if h > 1]
    worse = [h for h in result.horizons[1:] if rows[h].against[FHS].label is Label.WORSE_THAN_BASELINE]
    spread = f"{min(e.skill or 0 for e in later):+.2%} to {max(e.skill or 0 for e in later):+.2%}"
    named = f"{skill_text(thirty)} ({words(thirty)})"
    return [
        _skill_goal("G1", "1 day against EWMA-N", one, 0.012),
        _skill_goal("G2", "7 days against EWMA-N", seven, 0.012),
        Goal("G3", "30 days against EWMA-N", "≥ 0, label as it is", named, n_text(thirty), (thirty.skill or 0) >= 0),
        _skill_goal("G4", "1 day against FHS", naive, 0.004),
        _skill_goal("G4+", "1 day against FHS, the step beyond", naive, 0.010),
        Goal(
            "G5",
            "2 to 30 days against FHS",
            "never significantly worse",
            f"{spread}; worse at {', '.join(map(str, worse)) or 'none'}",
            n_text(later[-1]),
            not worse,
        ),
        *_judge_bands(result),
    ]


def _judge_bands(result: BacktestResult) -> list[Goal]:
    rows = {h: result.row(PUBLISHED, h) for h in result.horizons}
    eighty = {h: (0.785, 0.815) if h == 1 else (0.77, 0.83) if h <= 7 else (0.75, 0.85) for h in rows}
    wide = {h: (0.94, 0.965) if h <= 7 else (0.93, 0.97) for h in rows}
    ratios = {h: _ratio(result, h) for h in (1, 7, 30)}
    own = {h: _own_coverages(result, h) for h in (1, 7)}
    shares = {h: float(np.mean((own[h] >= 0.75) & (own[h] <= 0.85))) for h in own}
    dates = f"{rows[1].n_dates} dates"
    return [
        Goal(
            "G8",
            "80 % band, published",
            "1 d 78.5–81.5, 2–7 d 77–83, 14–30 d 75–85 %",
            _coverages(rows, "80"),
            dates,
            all(eighty[h][0] <= rows[h].coverage_80 <= eighty[h][1] for h in rows),
        ),
        Goal(
            "G9",
            "95 % band, published",
            "≤ 7 d 94–96.5, beyond 93–97 %",
            _coverages(rows, "95"),
            dates,
            all(wide[h][0] <= rows[h].coverage_95 <= wide[h][1] for h in rows),
        ),
        Goal(
            "G10",
            "interval score of the 80 % band against EWMA-N, published",
            "≤ 0.97",
            "; ".join(f"{h} d {value:.3f} [{low:.3f}, {high:.3f}]" for h, (value, low, high) in ratios.items()),
            dates,
            all(value <= 0.97 for value, _, _ in ratios.values()),
        ),
        Goal(
            "G11",
            f"coins with their own 80 % coverage in 75–85 %, of those with ≥ {MIN_OWN_DATES} dates, published",
            "≥ 95 % at 1 d, ≥ 80 % at 7 d",
            "; ".join(f"{h} d {shares[h]:.0%} of {len(own[h])} coins" for h in own),
            dates,
            shares[1] >= 0.95 and shares[7] >= 0.80,
        ),
    ]


def judge_hourly(result: BacktestResult) -> list[Goal]:
    """G6 and G7 of the LSTM."""
    against = {h: result.row(LSTM, h).against for h in result.horizons}
    short = [h for h in result.horizons if h <= 12]
    middle = [h for h in short if h >= 3]
    return [
        Goal(
            "G6",
            "1 to 12 hours against FHS with hour of day",
            "≥ +1.0 % each, interval > 0",
            "; ".join(f"{h} h {skill_text(against[h][FHS])}" for h in short),
            n_text(against[short[0]][FHS]),
            all(_beats(against[h][FHS], 0.010) for h in short),
        ),
        Goal(
            "G7",
            "hourly LSTM against the linear head, 4 to 12 hours",
            "≥ +0.1 %, interval > 0",
            "; ".join(f"{h} h {skill_text(against[h][LINEAR_HEAD])}" for h in middle),
            n_text(against[middle[0]][LINEAR_HEAD]),
            all(_beats(against[h][LINEAR_HEAD], 0.001) for h in middle),
        ),
    ]


def judge_cost(cost: Cost, spread: dict[int, list[float]]) -> list[Goal]:
    """G12 to G14."""
    points = {h: 100 * (max(found) - min(found)) for h, found in spread.items()}
    return [
        Goal(
            "G12",
            "training on all coins, two cores, in a process of its own",
            "≤ 30 s, ≤ 2 GB",
            f"{cost.seconds:.0f} s ({cost.cpu_seconds:.0f} s of processor time), {cost.peak_memory_mb / 1024:.2f} GB",
            f"{cost.rows:,} rows",
            cost.seconds <= 30 and cost.peak_memory_mb <= 2048,
        ),
        Goal(
            "G13",
            "spread of the skill against FHS over seeds",
            "≤ 0.1 points",
            "; ".join(f"{h} d {value:.3f} points" for h, value in points.items()),
            f"{len(next(iter(spread.values())))} seeds",
            all(value <= 0.1 for value in points.values()),
        ),
        Goal(
            "G14",
            "200 coins by ONNX",
            "parity ≤ 1e-5, ≤ 10 ms",
            f"{cost.parity:.1e}, {cost.milliseconds:.1f} ms",
            "200 windows, median of 100 calls",
            cost.parity <= 1e-5 and cost.milliseconds <= 10,
        ),
    ]


def skill_text(found: Evidence) -> str:
    """A skill with its interval."""
    if found.skill is None:
        return "—"
    interval = f" [{found.interval[0]:+.2%}, {found.interval[1]:+.2%}]" if found.interval else ""
    return f"{found.skill:+.2%}{interval}"


def words(found: Evidence) -> str:
    """A label as words."""
    return found.label.value.replace("_", " ")


def n_text(found: Evidence) -> str:
    """How many dates and forecasts a figure rests on."""
    return f"{found.n_dates} dates, {found.n_forecasts:,} forecasts"


def _skill_goal(name: str, what: str, found: Evidence, least: float) -> Goal:
    return Goal(name, what, f"≥ {least:+.1%}, interval > 0", skill_text(found), n_text(found), _beats(found, least))


def _beats(found: Evidence, least: float) -> bool:
    return found.skill is not None and found.skill >= least and found.label is Label.BEATS_BASELINE


def _coverages(rows: dict[int, SummaryRow], band: str) -> str:
    parts = []
    for h, row in rows.items():
        low, high = getattr(row, f"coverage_{band}_interval") or (float("nan"), float("nan"))
        parts.append(f"{h} d {getattr(row, f'coverage_{band}'):.1%} [{low:.1%}, {high:.1%}]")
    return "; ".join(parts)


def _ratio(result: BacktestResult, horizon: int) -> tuple[float, float, float]:
    scores = result.scores(horizon)[0]
    ours, theirs = (means_by_date(scores.cutoffs, scores.score_80[name])[1] for name in (PUBLISHED, EWMA_N))
    low, high = skill_interval(ours, theirs, scores.days)
    return float(ours.mean() / theirs.mean()), 1 - high, 1 - low


def _own_coverages(result: BacktestResult, horizon: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    scores, rows = result.scores(horizon)
    count = np.bincount(rows.coins, minlength=len(result.features.coins))
    inside = np.bincount(rows.coins, weights=scores.inside_80[PUBLISHED], minlength=len(count))
    enough = count >= MIN_OWN_DATES
    coverages: np.ndarray[Any, np.dtype[np.float64]] = inside[enough] / count[enough]
    return coverages
