"""What a back-test's settled forecasts say: every metric against every baseline, by horizon, coin and regime."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from predictions.forecasting.forecasters.protocol import EWMA_N, FHS, LINEAR_HEAD
from predictions.forecasting.labels import WEIGHTING, Evidence, evidence, has_interval
from predictions.forecasting.metrics import (
    MIN_NEWEY_WEST_LAG,
    DieboldMariano,
    crps_from_quantiles,
    date_weighted_mean,
    diebold_mariano,
    interval_score,
    is_inside,
    mean_interval,
    means_by_date,
)
from predictions.forecasting.quantiles import BAND_80, BAND_95
from predictions.forecasting.series import Bools, Dates, Floats

COMPARED_WITH = (EWMA_N, FHS, LINEAR_HEAD)
REGIMES = ("calm", "normal", "wild")


@dataclass(frozen=True)
class SummaryRow:
    """One model at one horizon, every figure weighted by date; `against` holds the evidence per baseline.

    `tests` are Diebold–Mariano tests of the CRPS per baseline, `interval_ratio` the 80 % interval score divided
    by the baseline's; coverage intervals are 95 %, None while there are too few dates.
    """

    model: str
    horizon: int
    n_dates: int
    n_forecasts: int
    crps: float
    interval_score_80: float
    interval_score_95: float
    coverage_80: float
    coverage_95: float
    coverage_80_interval: tuple[float, float] | None
    coverage_95_interval: tuple[float, float] | None
    against: dict[str, Evidence]
    tests: dict[str, DieboldMariano]
    interval_ratio: dict[str, float]

    def as_json(self) -> dict[str, Any]:
        """JSON-ready values, each baseline's test and interval ratio beside its evidence."""
        values = asdict(self)
        tests, ratios = values.pop("tests"), values.pop("interval_ratio")
        for name, found in values["against"].items():
            for field in ("period_start", "period_end"):
                found[field] = found[field] and found[field].isoformat()
            found["interval_score_80_ratio"] = ratios[name]
            found["diebold_mariano"] = tests.get(name)
        return values


@dataclass(frozen=True)
class HorizonScores:
    """The settled forecasts of one horizon, scored once: arrays (R,) by model.

    `cutoffs` are dates; `days` is the horizon in days and `spacing_days` how far the cutoffs lie apart.
    """

    horizon: int
    days: int
    spacing_days: float
    cutoffs: Dates
    crps: dict[str, Floats]
    inside_80: dict[str, Bools]
    inside_95: dict[str, Bools]
    score_80: dict[str, Floats]
    score_95: dict[str, Floats]

    @classmethod
    def of(
        cls, actual: Floats, quantiles: Mapping[str, Floats], cutoffs: Dates, horizon: int, days: int, spacing: float
    ) -> "HorizonScores":
        """Scores of quantiles (R, Q) by model for actuals (R,) that are all known."""
        edges = {
            name: ((q[:, BAND_80[0]], q[:, BAND_80[1]]), (q[:, BAND_95[0]], q[:, BAND_95[1]]))
            for name, q in quantiles.items()
        }
        return cls(
            horizon=horizon,
            days=days,
            spacing_days=spacing,
            cutoffs=cutoffs,
            crps={name: crps_from_quantiles(actual, q) for name, q in quantiles.items()},
            inside_80={name: is_inside(actual, *eighty) for name, (eighty, _) in edges.items()},
            inside_95={name: is_inside(actual, *wide) for name, (_, wide) in edges.items()},
            score_80={name: interval_score(actual, *eighty, 0.2) for name, (eighty, _) in edges.items()},
            score_95={name: interval_score(actual, *wide, 0.05) for name, (_, wide) in edges.items()},
        )

    def take(self, chosen: Bools) -> "HorizonScores":
        """The forecasts under a mask."""
        parts = {
            field: {name: values[chosen] for name, values in getattr(self, field).items()}
            for field in ("crps", "inside_80", "inside_95", "score_80", "score_95")
        }
        return HorizonScores(self.horizon, self.days, self.spacing_days, self.cutoffs[chosen], **parts)

    def summarise(self, models: Sequence[str]) -> list[SummaryRow]:
        """A row per model; none without any forecast."""
        return [self._row(model) for model in models] if len(self.cutoffs) else []

    def _row(self, model: str) -> SummaryRow:
        baselines = [name for name in COMPARED_WITH if name != model and name in self.crps]
        score_80 = date_weighted_mean(self.cutoffs, self.score_80[model])
        return SummaryRow(
            model=model,
            horizon=self.horizon,
            n_dates=len(np.unique(self.cutoffs)),
            n_forecasts=len(self.cutoffs),
            crps=date_weighted_mean(self.cutoffs, self.crps[model]),
            interval_score_80=score_80,
            interval_score_95=date_weighted_mean(self.cutoffs, self.score_95[model]),
            coverage_80=date_weighted_mean(self.cutoffs, self.inside_80[model]),
            coverage_95=date_weighted_mean(self.cutoffs, self.inside_95[model]),
            coverage_80_interval=self._coverage_interval(self.inside_80[model]),
            coverage_95_interval=self._coverage_interval(self.inside_95[model]),
            against={name: self.evidence(model, name) for name in baselines},
            tests={name: test for name in baselines if (test := self._test(model, name)) is not None},
            interval_ratio={
                name: score_80 / date_weighted_mean(self.cutoffs, self.score_80[name]) for name in baselines
            },
        )

    def evidence(self, model: str, baseline: str) -> Evidence:
        """The label of a model against a baseline, with its figures."""
        return evidence(
            cutoffs=self.cutoffs,
            model_scores=self.crps[model],
            baseline_scores=self.crps[baseline],
            inside_80=self.inside_80[model],
            inside_95=self.inside_95[model],
            baseline=baseline,
            horizon=self.days,
            spacing_days=self.spacing_days,
        )

    def _test(self, model: str, baseline: str) -> DieboldMariano | None:
        ours, theirs = (means_by_date(self.cutoffs, self.crps[name])[1] for name in (model, baseline))
        if len(ours) <= max(MIN_NEWEY_WEST_LAG, self.days - 1):
            return None
        return diebold_mariano(ours, theirs, self.days)

    def _coverage_interval(self, inside: Bools) -> tuple[float, float] | None:
        by_date = means_by_date(self.cutoffs, inside)[1]
        if not has_interval(len(by_date), self.days, self.spacing_days):
            return None
        return mean_interval(by_date, self.days, spacing_days=self.spacing_days)


def regimes_of(market_sigma: Floats, *, before: int) -> tuple[tuple[float, float], np.ndarray[Any, Any]]:
    """Thresholds, and the regime (T,) of each step: 0 calm, 1 normal, 2 wild by the market's volatility.

    The thresholds are the terciles of what had been seen by step `before`, so that they know nothing later.
    """
    seen = market_sigma[: before + 1]
    low, high = np.nanquantile(seen, [1 / 3, 2 / 3])
    return (float(low), float(high)), np.digitize(market_sigma, [low, high])


def report_json(rows: Sequence[SummaryRow]) -> dict[str, Any]:
    """A summary as JSON-ready values: by model and horizon, each with baseline, n, interval and period."""
    return {"kind": "back-test, not evidence", "weighting": WEIGHTING, "rows": [row.as_json() for row in rows]}
