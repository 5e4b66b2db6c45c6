"""Walk-forward back-tests: refit on the past, forecast every later day, settle and score."""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting import baselines
from predictions.forecasting.calibration import SettledBands, multipliers, stretch
from predictions.forecasting.features import Features, build_features
from predictions.forecasting.labels import WEIGHTING, Evidence, Label, evidence
from predictions.forecasting.metrics import (
    crps_from_quantiles,
    date_weighted_mean,
    interval_score,
    is_inside,
)
from predictions.forecasting.quantiles import BAND_80, BAND_95, HORIZONS, LEVELS, level_name
from predictions.forecasting.recipe import DAILY, LINEAR, Recipe
from predictions.forecasting.series import Floats, Panel
from predictions.forecasting.serving import BandNetwork
from predictions.forecasting.training import Trained, train
from predictions.forecasting.windows import Rows, eligible_rows, targets

LSTM, LINEAR_HEAD, EWMA_N, FHS, PUBLISHED = "lstm", "linear", "ewma_n", "fhs", "published"
MODELS = (LSTM, EWMA_N, FHS, LINEAR_HEAD, PUBLISHED)
COMPARED_WITH = (EWMA_N, FHS)
HEADLINE_REVIEW_DAYS = 30

Progress = Callable[[int, int], None]
Fit = Callable[..., Trained]


@dataclass(frozen=True)
class SummaryRow:
    """One model at one horizon, every figure weighted by date; `against` holds the evidence per baseline."""

    model: str
    horizon: int
    n_dates: int
    n_forecasts: int
    crps: float
    interval_score_80: float
    coverage_80: float
    coverage_95: float
    against: dict[str, Evidence]


@dataclass(frozen=True)
class BacktestResult:
    """Every forecast of a back-test and its summary.

    `rows` are origins in `features`; `log_quantiles[model]` is (R, H, Q) and `actual` (R, H) in log-returns,
    NaN where not settled by the panel's end.
    """

    features: Features
    rows: Rows
    horizons: tuple[int, ...]
    log_quantiles: dict[str, Floats]
    actual: Floats
    summary: list[SummaryRow]

    def row(self, model: str, horizon: int) -> SummaryRow:
        """The summary of a model at a horizon; KeyError if it was not run."""
        for row in self.summary:
            if (row.model, row.horizon) == (model, horizon):
                return row
        raise KeyError((model, horizon))


def run_backtest(
    panel: Panel,
    *,
    start: date,
    end: date,
    refit_every_days: int,
    horizons: Sequence[int] = HORIZONS,
    models: Sequence[str] = MODELS,
    seed: int = 7,
    progress: Progress | None = None,
    fit: Fit = train,
) -> BacktestResult:
    """Forecast all eligible coins on every day from `start` to `end`, refitting every `refit_every_days`.

    A fit at a day sees only prices up to that day, with unsettled targets purged. `published` is the LSTM
    where it had beaten FHS by then, its bands calibrated on what had settled, and FHS as it is otherwise.
    `progress(done, total)` counts refits. `fit` trains one forecaster (the signature of `train`).
    ValueError for an unknown model or horizon or a period outside the panel; NotEnoughData if the first fit
    lacks history.
    """
    _check(panel, start, end, refit_every_days, horizons, models)
    features = build_features(panel)
    first, last = panel.index_of(start), panel.index_of(end)
    rows = eligible_rows(features, first_day=first, last_day=last, window=DAILY.window)
    needed = set(models) | {FHS, EWMA_N} | ({LSTM} if PUBLISHED in models else set())
    walk = _Walk(panel, features, seed, fit, with_linear=LINEAR_HEAD in needed, with_lstm=LSTM in needed)
    refits = list(range(first, last + 1, refit_every_days))
    parts: list[dict[str, Floats]] = []
    for done, refit_day in enumerate(refits, start=1):
        in_part = (rows.days >= refit_day) & (rows.days < refit_day + refit_every_days)
        parts.append(walk.forecast(refit_day, rows.take(in_part)))
        if progress is not None:
            progress(done, len(refits))
    forecasts = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    actual = targets(features.prices, rows, HORIZONS, cutoff_day=len(panel.dates) - 1)
    if PUBLISHED in models:
        forecasts[PUBLISHED] = _published(features, rows, forecasts, actual)
    chosen = [HORIZONS.index(h) for h in horizons]
    forecasts = {name: quantiles[:, chosen] for name, quantiles in forecasts.items()}
    summary = _summarise(features, rows, tuple(horizons), forecasts, actual[:, chosen], models)
    kept = {name: forecasts[name] for name in models}
    return BacktestResult(features, rows, tuple(horizons), kept, actual[:, chosen], summary)


def _check(
    panel: Panel,
    start: date,
    end: date,
    refit_every_days: int,
    horizons: Sequence[int],
    models: Sequence[str],
) -> None:
    if unknown := set(models) - set(MODELS):
        raise ValueError(f"unknown models: {sorted(unknown)}")
    if unknown_horizons := set(horizons) - set(HORIZONS):
        raise ValueError(f"unknown horizons: {sorted(unknown_horizons)}")
    if refit_every_days < 1 or not models or not horizons:
        raise ValueError("a back-test needs models, horizons and a refit period of at least a day")
    first, last = panel.dates[0].astype(object), panel.last_date
    if not first < start <= end <= last:
        raise ValueError(f"{start} to {end} is not a period within {first} to {last}")


@dataclass(frozen=True)
class _Walk:
    """What every refit of one back-test shares."""

    panel: Panel
    features: Features
    seed: int
    fit: Fit
    with_linear: bool
    with_lstm: bool

    def forecast(self, refit_day: int, rows: Rows) -> dict[str, Floats]:
        """Log-return quantiles (R, H, Q) of every model for rows after a fit on what `refit_day` knew."""
        recipes: dict[str, Recipe] = {LSTM: DAILY} if self.with_lstm else {}
        if self.with_linear or not recipes:
            recipes[LINEAR_HEAD] = LINEAR
        cutoff = self.panel.dates[refit_day].astype(object)
        past = self.panel.until(cutoff)
        fits = {name: self.fit(past, cutoff=cutoff, recipe=recipe, seed=self.seed) for name, recipe in recipes.items()}
        z = next(iter(fits.values())).z
        result = {
            name: BandNetwork(trained.onnx, trained.recipe).log_quantiles(self.features, rows)
            for name, trained in fits.items()
        }
        result[FHS] = baselines.fhs(self.features.sigma[rows.days, rows.coins], z)
        result[EWMA_N] = baselines.ewma_n(self.features.sigma_ewma[rows.days, rows.coins])
        return result


def _published(features: Features, rows: Rows, forecasts: dict[str, Floats], actual: Floats) -> Floats:
    published = np.empty_like(forecasts[FHS])
    for h in range(len(HORIZONS)):
        published[:, h] = _published_horizon(features, rows, forecasts, actual[:, h], h)
    return published


def _published_horizon(features: Features, rows: Rows, forecasts: dict[str, Floats], actual: Floats, h: int) -> Floats:
    """The headline (R, Q) of one horizon, each day from what had settled by that day."""
    horizon = HORIZONS[h]
    headline, result = FHS, np.empty((len(rows), len(LEVELS)))
    origins = np.unique(rows.days)
    for count, day in enumerate(origins):
        known = (rows.days + horizon <= day) & np.isfinite(actual)
        if count % HEADLINE_REVIEW_DAYS == 0 and known.any():
            against_fhs = _evidence(features, rows, forecasts, actual, h, LSTM, FHS, known)
            headline = LSTM if against_fhs.label is Label.BEATS_BASELINE else FHS
        today = rows.days == day
        result[today] = forecasts[headline][today, h]
        if headline == LSTM:
            settled = SettledBands(features.dates[rows.days[known]], forecasts[LSTM][known, h], actual[known])
            factors = multipliers(settled, horizon=horizon, today=features.dates[day].astype(object))
            result[today] = stretch(result[today], *factors)
    return result


def _evidence(
    features: Features,
    rows: Rows,
    forecasts: dict[str, Floats],
    actual: Floats,
    h: int,
    model: str,
    baseline: str,
    settled: NDArray[np.bool_],
) -> Evidence:
    y, quantiles = actual[settled], forecasts[model][settled, h]
    return evidence(
        cutoffs=features.dates[rows.days[settled]],
        model_scores=crps_from_quantiles(y, quantiles),
        baseline_scores=crps_from_quantiles(y, forecasts[baseline][settled, h]),
        inside_80=is_inside(y, quantiles[:, BAND_80[0]], quantiles[:, BAND_80[1]]),
        inside_95=is_inside(y, quantiles[:, BAND_95[0]], quantiles[:, BAND_95[1]]),
        baseline=baseline,
        horizon=HORIZONS[h],
    )


def _summarise(
    features: Features,
    rows: Rows,
    horizons: tuple[int, ...],
    forecasts: dict[str, Floats],
    actual: Floats,
    models: Sequence[str],
) -> list[SummaryRow]:
    summary = []
    for h, horizon in enumerate(horizons):
        settled = np.isfinite(actual[:, h])
        y, cutoffs = actual[settled, h], features.dates[rows.days[settled]]
        if not len(y):
            continue
        scores = {name: crps_from_quantiles(y, q[settled, h]) for name, q in forecasts.items()}
        for model in models:
            quantiles = forecasts[model][settled, h]
            eighty = quantiles[:, BAND_80[0]], quantiles[:, BAND_80[1]]
            inside_80 = is_inside(y, *eighty)
            inside_95 = is_inside(y, quantiles[:, BAND_95[0]], quantiles[:, BAND_95[1]])
            against = {
                baseline: evidence(
                    cutoffs=cutoffs,
                    model_scores=scores[model],
                    baseline_scores=scores[baseline],
                    inside_80=inside_80,
                    inside_95=inside_95,
                    baseline=baseline,
                    horizon=horizon,
                )
                for baseline in COMPARED_WITH
                if baseline != model
            }
            summary.append(
                SummaryRow(
                    model=model,
                    horizon=horizon,
                    n_dates=len(np.unique(cutoffs)),
                    n_forecasts=len(y),
                    crps=date_weighted_mean(cutoffs, scores[model]),
                    interval_score_80=date_weighted_mean(cutoffs, interval_score(y, *eighty, 0.2)),
                    coverage_80=date_weighted_mean(cutoffs, inside_80),
                    coverage_95=date_weighted_mean(cutoffs, inside_95),
                    against=against,
                )
            )
    return summary


def summary_json(result: BacktestResult) -> dict[str, Any]:
    """The summary as JSON-ready values: by model and horizon, each with baseline, n, interval and period."""
    rows = []
    for row in result.summary:
        values = asdict(row)
        for found in values["against"].values():
            for name in ("period_start", "period_end"):
                found[name] = found[name] and found[name].isoformat()
        rows.append(values)
    return {"kind": "back-test, not evidence", "weighting": WEIGHTING, "rows": rows}


def csv_rows(result: BacktestResult) -> Iterator[list[str]]:
    """A header, then a row per coin, cutoff, horizon and model: USD quantiles, and the actual if settled."""
    yield ["coin", "cutoff", "target", "horizon", "model", *map(level_name, LEVELS), "actual"]
    features, rows = result.features, result.rows
    for i, (day, column) in enumerate(zip(rows.days, rows.coins, strict=True)):
        price, cutoff = features.prices[day, column], features.dates[day]
        for h, horizon in enumerate(result.horizons):
            y = result.actual[i, h]
            actual = repr(float(price * np.exp(y))) if np.isfinite(y) else ""
            target = cutoff + np.timedelta64(horizon, "D")
            start = [features.coins[column], str(cutoff), str(target), str(horizon)]
            for model, quantiles in result.log_quantiles.items():
                dollars = price * np.exp(quantiles[i, h])
                yield [*start, model, *(f"{value:.8g}" for value in dollars), actual]


def write_csv(result: BacktestResult, path: Path) -> int:
    """Write `csv_rows` to `path`; returns the number of forecasts written."""
    with Path(path).open("w", newline="") as file:
        writer = csv.writer(file)
        count = -1
        for row in csv_rows(result):
            writer.writerow(row)
            count += 1
    return count
