"""The public record: what the settled forecasts say, computed from the ledger alone."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeVar

import numpy as np
from django.db.models import Avg, Count, Max, Q, QuerySet

from cryptopredict.rest import shared
from markets.models import Cryptocurrency
from predictions.forecasting.backtest import EWMA_N, FHS, LSTM
from predictions.forecasting.labels import MIN_DATES, Evidence, Label, evidence
from predictions.forecasting.metrics import date_weighted_mean
from predictions.forecasting.quantiles import HORIZONS, LEVELS
from predictions.models import Prediction, TrainedModel

T = TypeVar("T")

CACHE_SECONDS = 600
FHS_NAME = "FHS random walk"
EWMA_NAME = "EWMA normal random walk"
WORST_SHOWN = 10
_ONE_AT_A_TIME = threading.RLock()


@dataclass(frozen=True)
class HorizonRecord:
    """The record of one horizon in days, against both baselines."""

    horizon_days: int
    evidence_vs_fhs: Evidence
    evidence_vs_ewma: Evidence

    @property
    def label(self) -> Label:
        return self.evidence_vs_fhs.label


@dataclass(frozen=True)
class CoinRecord:
    """One coin's one-day forecasts: distinct dates, share inside the 80 % band, skill against FHS."""

    coin: Cryptocurrency
    n_dates: int
    coverage_80: float
    skill_1d: float | None


@dataclass(frozen=True)
class TrackRecord:
    """Everything on the track record page; figures are weighted by date and come from evidence only."""

    verdict: str
    as_of: datetime | None
    n_dates: int
    n_forecasts: int
    horizons: list[HorizonRecord]
    calibration: list[tuple[float, float, int]]
    coins: list[CoinRecord]
    worst: list[Prediction]
    first_scored_on: date | None
    countdown: int
    backtest: dict[str, Any]


def evidence_by_horizon() -> dict[int, Evidence]:
    """The LSTM against FHS at each horizon, from all settled evidence; cached until another forecast is scored."""
    return _cached("evidence", lambda: {h: judge(Prediction.objects.evidence(), h, FHS) for h in HORIZONS})


def _cached(name: str, make: Callable[[], T]) -> T:
    newest = Prediction.objects.evidence().aggregate(at=Max("scored_at"), n=Count("id"))
    key = f"record:{name}:{newest['n']}:{newest['at'].timestamp() if newest['at'] else 0}"
    found: T | None = shared.recall(key)
    if found is None:
        with _ONE_AT_A_TIME:  # the whole ledger is read: once for all threads of a process, not once in each
            found = shared.recall(key)
            if found is None:
                found = make()
                shared.keep(key, found, keep_seconds=CACHE_SECONDS)
    return found


def judge(settled: QuerySet[Prediction], horizon_days: int, baseline: str) -> Evidence:
    """The evidence of one horizon: the model's CRPS against the baseline's, the published bands' coverage."""
    against = {FHS: "crps_fhs", EWMA_N: "crps_ewma"}[baseline]
    rows = list(
        settled.filter(horizon_days=horizon_days).values_list(
            "cutoff_at", "crps_model", against, "is_hit_80", "is_hit_95"
        )
    )
    columns = list(zip(*rows, strict=True)) if rows else [(), (), (), (), ()]
    return evidence(
        cutoffs=np.array([at.date() for at in columns[0]], dtype="datetime64[D]"),
        model_scores=np.array(columns[1], dtype=float),
        baseline_scores=np.array(columns[2], dtype=float),
        inside_80=np.array(columns[3], dtype=bool),
        inside_95=np.array(columns[4], dtype=bool),
        baseline={FHS: FHS_NAME, EWMA_N: EWMA_NAME}[baseline],
        horizon=horizon_days,
    )


def track_record(
    *, horizon_days: int | None = None, coin: Cryptocurrency | None = None, model: TrainedModel | None = None
) -> TrackRecord:
    """The record of all settled evidence (cached until more is scored), or of one horizon, coin or model."""
    if horizon_days is None and coin is None and model is None:
        serving = TrainedModel.objects.serving()
        return _cached(f"track-record:{serving.pk if serving else 0}", _read_record)
    return _read_record(horizon_days=horizon_days, coin=coin, model=model)


def _read_record(
    *, horizon_days: int | None = None, coin: Cryptocurrency | None = None, model: TrainedModel | None = None
) -> TrackRecord:
    settled = Prediction.objects.evidence()
    if coin is not None:
        settled = settled.filter(coin=coin)
    if model is not None:
        settled = settled.filter(model=model)
    if horizon_days is not None:
        settled = settled.filter(horizon_days=horizon_days)
    horizons = [
        HorizonRecord(h, judge(settled, h, FHS), judge(settled, h, EWMA_N))
        for h in ((horizon_days,) if horizon_days else HORIZONS)
    ]
    facts = settled.aggregate(as_of=Max("scored_at"), n=Count("id"), dates=Count("cutoff_at", distinct=True))
    first = settled.order_by("target_at").values_list("target_at", flat=True).first()
    serving = TrainedModel.objects.serving()
    return TrackRecord(
        verdict=verdict(horizons),
        as_of=facts["as_of"],
        n_dates=facts["dates"],
        n_forecasts=facts["n"],
        horizons=horizons,
        calibration=calibration_curve(settled),
        coins=_coin_records(settled),
        worst=list(worst_misses(settled)),
        first_scored_on=first.date() if first else None,
        countdown=max(0, MIN_DATES - horizons[0].evidence_vs_fhs.n_dates),
        backtest=serving.metrics.get("validation", {}) if serving else {},
    )


def verdict(horizons: list[HorizonRecord]) -> str:
    """One plain sentence: what the record says today."""
    by_label = {label: [h.horizon_days for h in horizons if h.label == label] for label in Label}
    settled = max((h.evidence_vs_fhs.n_dates for h in horizons), default=0)
    if len(by_label[Label.TOO_EARLY]) == len(horizons):
        return (
            "It is too early to say whether the model beats the naive baseline: "
            f"{settled} of the {MIN_DATES} forecast dates that a first judgement needs have been scored."
        )
    parts = []
    for label, words in (
        (Label.BEATS_BASELINE, "beats the naive baseline"),
        (Label.WORSE_THAN_BASELINE, "does worse than the naive baseline"),
        (Label.EQUALS_BASELINE, "shows no skill beyond the naive baseline"),
        (Label.TOO_EARLY, "has too few scored dates to be judged"),
    ):
        if days := by_label[label]:
            parts.append(f"{words} at {_days(days)}")
    return f"The model {'; it '.join(parts)}."


def _days(days: list[int]) -> str:
    text = " and ".join([", ".join(map(str, days[:-1])), str(days[-1])]) if len(days) > 1 else str(days[0])
    return f"{text} day{'s' if days != [1] else ''}"


def calibration_curve(settled: QuerySet[Prediction]) -> list[tuple[float, float, int]]:
    """For each quantile level: (level, share of outcomes at or below it weighted by date, dates)."""
    rows = list(settled.values_list("cutoff_at", "quantiles", "actual_price"))
    if not rows:
        return []
    dates = np.array([at.date() for at, _, _ in rows], dtype="datetime64[D]")
    quantiles = np.array([values for _, values, _ in rows])
    actual = np.array([price for _, _, price in rows])
    n = len(np.unique(dates))
    return [(level, date_weighted_mean(dates, actual <= quantiles[:, i]), n) for i, level in enumerate(LEVELS)]


def _coin_records(settled: QuerySet[Prediction]) -> list[CoinRecord]:
    one_day = settled.filter(horizon_days=1)
    rows = (
        one_day.order_by()
        .values("coin_id")
        .annotate(
            n=Count("cutoff_at", distinct=True),
            hits=Count("id", filter=Q(is_hit_80=True)),
            total=Count("id"),
            model=Avg("crps_model"),
            fhs=Avg("crps_fhs"),
        )
    )
    coins = Cryptocurrency.objects.in_bulk([row["coin_id"] for row in rows])
    records = [
        CoinRecord(
            coin=coins[row["coin_id"]],
            n_dates=row["n"],
            coverage_80=row["hits"] / row["total"],
            skill_1d=1 - row["model"] / row["fhs"] if row["fhs"] else None,
        )
        for row in rows
    ]
    return sorted(records, key=lambda record: (record.coin.market_cap_rank or 10**9, record.coin.coingecko_id))


def worst_misses(settled: QuerySet[Prediction]) -> QuerySet[Prediction]:
    """The forecasts whose published band did worst, by CRPS of the log-return."""
    return settled.select_related("coin", "model").filter(is_hit_95=False).order_by("-crps")[:WORST_SHOWN]


def headline_for(horizon_days: int, live: Evidence, model: TrainedModel) -> str:
    """Whose quantiles are published at a horizon: the LSTM's only where it beats FHS.

    The ledger decides once it can; until then the model's own back-test does, and where neither says that the
    LSTM beats FHS, FHS is the headline.
    """
    label: str = live.label
    if live.label == Label.TOO_EARLY:
        label = backtest_label(model, horizon_days)
    return Prediction.Headline.MODEL if label == Label.BEATS_BASELINE else Prediction.Headline.BASELINE


def backtest_label(model: TrainedModel, horizon_days: int) -> str:
    """What the model's validation says of a horizon against FHS; too early when it says nothing."""
    for row in model.metrics.get("validation", {}).get("rows", []):
        if row["model"] == LSTM and row["horizon"] == horizon_days:
            return str(row["against"][FHS]["label"])
    return Label.TOO_EARLY
