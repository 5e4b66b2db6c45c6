"""Walk-forward back-tests: refit on the past, forecast every later day, settle and score."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np

from predictions.forecasting.features import Features, build_features
from predictions.forecasting.forecasters import standard_models
from predictions.forecasting.forecasters.protocol import (
    EWMA_N,
    FHS,
    LINEAR_HEAD,
    LSTM,
    PUBLISHED,
    Fit,
    Model,
    Past,
)
from predictions.forecasting.forecasters.published import Ledger, Published
from predictions.forecasting.labels import whole_days
from predictions.forecasting.recipe import RECIPES, Recipe
from predictions.forecasting.series import Floats, Panel, is_thin
from predictions.forecasting.summary import REGIMES, HorizonScores, SummaryRow, regimes_of, report_json
from predictions.forecasting.training import train
from predictions.forecasting.windows import Rows, eligible_rows, targets

MODELS = (LSTM, EWMA_N, FHS, LINEAR_HEAD, PUBLISHED)

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class BacktestResult:
    """Every forecast of a back-test and its summary.

    `rows` are origins in `features`; `log_quantiles[model]` is (R, H, Q) and `actual` (R, H) in log-returns,
    NaN where not settled by the panel's end; cutoffs lie `step_days` apart.
    """

    features: Features
    rows: Rows
    horizons: tuple[int, ...]
    log_quantiles: dict[str, Floats]
    actual: Floats
    summary: list[SummaryRow]
    step_days: float = 1

    def row(self, model: str, horizon: int) -> SummaryRow:
        """The summary of a model at a horizon; KeyError if it was not run."""
        for row in self.summary:
            if (row.model, row.horizon) == (model, horizon):
                return row
        raise KeyError((model, horizon))

    def scores(self, horizon: int) -> tuple[HorizonScores, Rows]:
        """The settled forecasts of a horizon with their scores, and their origins."""
        h = self.horizons.index(horizon)
        settled = np.isfinite(self.actual[:, h])
        rows = self.rows.take(settled)
        quantiles = {name: q[settled, h] for name, q in self.log_quantiles.items()}
        cutoffs = self.features.dates[rows.days].astype("datetime64[D]")
        days = whole_days(horizon, self.features.frequency)
        return HorizonScores.of(self.actual[settled, h], quantiles, cutoffs, horizon, days, self.step_days), rows

    def since(self, first: date) -> "BacktestResult":
        """The forecasts from a date on, summarised anew; earlier ones were the warm-up of what is published."""
        late = self.features.dates[self.rows.days] >= self.features.frequency.moment(first)
        kept = {name: quantiles[late] for name, quantiles in self.log_quantiles.items()}
        part = replace(self, rows=self.rows.take(late), log_quantiles=kept, actual=self.actual[late])
        return replace(part, summary=_summarise(part, tuple(kept)))


def run_backtest(
    panel: Panel,
    *,
    start: date,
    end: date,
    refit_every_days: int,
    horizons: Sequence[int] | None = None,
    models: Sequence[str] = MODELS,
    seed: int = 7,
    progress: Progress | None = None,
    fit: Fit = train,
    step_days: float = 1,
    coins: Sequence[str] | None = None,
    extra_models: Sequence[Model] = (),
) -> BacktestResult:
    """Forecast the eligible coins every `step_days` from `start` to `end`, refitting every `refit_every_days`.

    A fit at a day sees only prices up to that day, with unsettled targets purged. `published` is the LSTM
    where it had beaten FHS by then and FHS otherwise, its bands calibrated on what had settled. All coins are
    learnt from; `coins` limits what is forecast. `progress(done, total)` counts refits, `fit` trains one
    network (the signature of `train`), `extra_models` are forecasters of one's own. ValueError for an unknown
    model, horizon or coin or a period outside the panel; NotEnoughData if the first fit lacks history.
    """
    recipe = RECIPES[panel.frequency.name][0]
    horizons = tuple(recipe.horizons if horizons is None else horizons)
    _check(panel, start, end, refit_every_days, step_days, horizons, models, recipe)
    features = build_features(panel, recipe)
    per_day = panel.frequency.steps_per_day
    first, last = panel.index_of(start), min(panel.index_of(end) + per_day - 1, len(panel.dates) - 1)
    every = panel.frequency.days(step_days)
    rows = eligible_rows(features, first_day=first, last_day=last, window=recipe.window, every=every)
    # The site waits on a day that few coins have, so nothing would have been issued then.
    thin = [day for day in np.unique(rows.days) if is_thin(panel, day)]
    rows = rows.take(~np.isin(rows.days, thin))
    if coins is not None:
        rows = rows.take(np.isin(rows.coins, [panel.coins.index(coin) for coin in coins]))
    walk = _Walk(panel, features, seed, fit, _models_to_run(panel, models, extra_models))
    forecasts = walk.run(rows, range(first, last + 1, refit_every_days * per_day), progress)
    actual = targets(features.prices, rows, recipe.horizons, cutoff_day=len(panel.dates) - 1)
    chosen = [recipe.horizons.index(h) for h in horizons]
    names = (*models, *(model.name for model in extra_models))
    kept = {name: quantiles[:, chosen] for name, quantiles in forecasts.items()}
    result = BacktestResult(features, rows, horizons, kept, actual[:, chosen], [], step_days)
    summary = _summarise(result, names)
    return replace(result, log_quantiles={name: kept[name] for name in names}, summary=summary)


def _check(
    panel: Panel,
    start: date,
    end: date,
    refit_every_days: int,
    step_days: float,
    horizons: Sequence[int],
    models: Sequence[str],
    recipe: Recipe,
) -> None:
    if unknown := set(models) - set(MODELS):
        raise ValueError(f"unknown models: {sorted(unknown)}")
    if unknown_horizons := set(horizons) - set(recipe.horizons):
        known = ", ".join(map(str, recipe.horizons))
        raise ValueError(f"unknown horizons: {sorted(unknown_horizons)}; {recipe.frequency} ones are {known}")
    if refit_every_days < 1 or not models or not horizons:
        raise ValueError("a back-test needs models, horizons and a refit period of at least a day")
    if panel.frequency.days(step_days) < 1:
        raise ValueError(f"a back-test needs cutoffs at least one {panel.frequency.noun} apart")
    first, last = panel.dates[0].astype(object), panel.last_date
    is_known = panel.dates[0] < panel.frequency.moment(start) and panel.frequency.moment(end) <= panel.dates[-1]
    if not (is_known and start <= end):
        raise ValueError(f"{start} to {end} is not a period within {first} to {last}")


def _models_to_run(panel: Panel, models: Sequence[str], extra_models: Sequence[Model]) -> list[Model]:
    """The forecasters that the asked ones need, in the order of their fits; the published one goes last."""
    needed = {*models, FHS, EWMA_N} | ({LSTM} if PUBLISHED in models else set())
    found = [model for name, model in standard_models(panel.frequency.name).items() if name in needed]
    found.extend(extra_models)
    if PUBLISHED in models:
        found.append(Published(PUBLISHED, RECIPES[panel.frequency.name][0].horizons, Ledger()))
    return found


@dataclass(frozen=True)
class _Walk:
    """What every refit of one back-test shares."""

    panel: Panel
    features: Features
    seed: int
    fit: Fit
    models: Sequence[Model]

    def run(self, rows: Rows, refits: Sequence[int], progress: Progress | None) -> dict[str, Floats]:
        """Log-return quantiles (R, H, Q) by model, each row by the fit of the refit step before it."""
        parts: list[dict[str, Floats]] = []
        ends = [*refits[1:], len(self.panel.dates)]
        for done, (begin, end) in enumerate(zip(refits, ends, strict=True), start=1):
            parts.append(self._forecast(begin, rows.take((rows.days >= begin) & (rows.days < end))))
            if progress is not None:
                progress(done, len(refits))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _forecast(self, refit_day: int, rows: Rows) -> dict[str, Floats]:
        cutoff = self.panel.dates[refit_day].astype(object)
        past = Past(self.panel.until(cutoff), cutoff, self.seed, self.fit)
        result: dict[str, Floats] = {}
        for model in self.models:
            if isinstance(model, Published):
                model.ledger.append(rows, {name: result[name] for name in (LSTM, FHS)})
            result[model.name] = model.fit(past).forecast(self.features, rows)
        return result


def _summarise(result: BacktestResult, models: Sequence[str]) -> list[SummaryRow]:
    return [row for horizon in result.horizons for row in result.scores(horizon)[0].summarise(models)]


def summary_json(result: BacktestResult) -> dict[str, Any]:
    """The summary as JSON-ready values: by model and horizon, each with baseline, n, interval and period."""
    return report_json(result.summary)


def full_report_json(result: BacktestResult, *, start: date) -> dict[str, Any]:
    """`summary_json` and the same again for each volatility regime and for each coin."""
    features = result.features
    limits, _ = _regimes(features, start)
    return {
        **summary_json(result),
        "frequency": features.frequency.name,
        "horizon_unit": features.frequency.noun,
        "step_days": result.step_days,
        "regime_limits": {"market_sigma_per_step": limits, "from": "steps before the first cutoff"},
        "by_regime": by_regime_json(result, start=start),
        "by_coin": list(_grouped(result, "coin", features.coins, lambda rows: rows.coins)),
    }


def by_regime_json(result: BacktestResult, *, start: date) -> list[dict[str, Any]]:
    """The summary for each third of the market's volatility, the thirds taken from before `start`."""
    _, regimes = _regimes(result.features, start)
    return list(_grouped(result, "regime", REGIMES, lambda rows: regimes[rows.days]))


def _regimes(features: Features, start: date) -> tuple[tuple[float, float], Any]:
    before = int(np.searchsorted(features.dates, features.frequency.moment(start)))
    return regimes_of(features.market_sigma, before=before)


def _grouped(
    result: BacktestResult, kind: str, names: Sequence[str], group_of: Callable[[Rows], Any]
) -> Iterator[dict[str, Any]]:
    for horizon in result.horizons:
        scores, rows = result.scores(horizon)
        groups = group_of(rows)
        for number in np.unique(groups):
            for row in scores.take(groups == number).summarise(tuple(result.log_quantiles)):
                yield {kind: names[number], **row.as_json()}
