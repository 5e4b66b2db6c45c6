"""The public record: what the settled forecasts say, computed from the ledger alone."""

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeVar

import numpy as np
from django.db.models import Count, Max, QuerySet, Subquery

from cryptopredict.rest import shared
from markets.models import Cryptocurrency
from predictions.forecasting.backtest import EWMA_N, FHS, LSTM
from predictions.forecasting.labels import MIN_DATES, Evidence, Label, evidence
from predictions.forecasting.metrics import date_weighted_mean
from predictions.forecasting.quantiles import HORIZONS, LEVELS
from predictions.forecasting.series import Dates
from predictions.models import Prediction, TrainedModel
from predictions.querysets import PredictionQuerySet

T = TypeVar("T")

CACHE_SECONDS = 600
FHS_NAME = "FHS random walk"
EWMA_NAME = "EWMA normal random walk"
WORST_SHOWN = 10
_ONE_AT_A_TIME = threading.RLock()


@dataclass(frozen=True)
class Selection:
    """The part of the record that is asked for; cutoffs lie at or after `start` and before `end`."""

    horizon_days: int | None = None
    coin: Cryptocurrency | None = None
    model: TrainedModel | None = None
    start: datetime | None = None
    end: datetime | None = None

    @property
    def detail_horizon(self) -> int:
        """The horizon of what is shown at one only: tables by coin and model, coverage over time."""
        return self.horizon_days or 1

    def settled(self) -> QuerySet[Prediction]:
        """Published evidence, or that of the one model, those of its time in shadow among them."""
        objects = Prediction.objects
        return self.within(objects.evidence() if self.model is None else objects.evidence_of(self.model))

    def settled_of_each_model(self) -> QuerySet[Prediction]:
        """The evidence of every model, or of the one, with that of their times in shadow."""
        objects = Prediction.objects
        return self.within(objects.in_time() if self.model is None else objects.evidence_of(self.model))

    def within(self, found: PredictionQuerySet) -> QuerySet[Prediction]:
        bounds: dict[str, Any] = {"coin": self.coin, "horizon_days": self.horizon_days}
        bounds |= {"cutoff_at__gte": self.start, "cutoff_at__lt": self.end}
        return found.daily().filter(**{name: value for name, value in bounds.items() if value is not None})

    def name(self) -> str:
        """For the cache: the same selection, the same name."""
        parts = (self.horizon_days, self.coin and self.coin.pk, self.model and self.model.pk, self.start, self.end)
        return ":".join("" if part is None else str(part).replace(" ", "T") for part in parts)


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
    """One coin's forecasts at one horizon, against FHS."""

    coin: Cryptocurrency
    evidence: Evidence


@dataclass(frozen=True)
class ModelRecord:
    """One model's forecasts at one horizon, against FHS, retired ones and challengers among them."""

    model: TrainedModel
    evidence: Evidence


@dataclass(frozen=True)
class MonthRecord:
    """Coverage of one month's cutoffs, weighted by date."""

    month: date
    n_dates: int
    coverage_80: float
    coverage_95: float


@dataclass(frozen=True)
class TrackRecord:
    """Everything on the track record page; figures are weighted by date and come from evidence only."""

    selection: Selection
    verdict: str
    as_of: datetime | None
    n_dates: int
    n_forecasts: int
    horizons: list[HorizonRecord]
    calibration: list[tuple[float, float, int]]
    months: list[MonthRecord]
    coins: list[CoinRecord]
    models: list[ModelRecord]
    worst: list[Prediction]
    first_scored_on: date | None
    countdown: int
    backtest: dict[str, Any]


def evidence_by_horizon() -> dict[int, Evidence]:
    """The LSTM against FHS at each horizon, from all settled evidence; cached until another forecast is scored."""
    return cached("evidence", lambda: {h: judge(Prediction.objects.evidence(), h, FHS) for h in HORIZONS})


def evidence_of_model(model_pk: int) -> dict[int, Evidence]:
    """One model against FHS at each horizon, from its own settled forecasts, those in shadow among them."""
    settled = Prediction.objects.evidence_of(model_pk)
    return cached(f"evidence:{model_pk}", lambda: {h: judge(settled, h, FHS) for h in HORIZONS})


def cached(name: str, make: Callable[[], T]) -> T:
    """What `make` answers, kept until another forecast is scored."""
    # What was scored last and how much of it: two looks into an index, however long the ledger is.
    scored = Prediction.objects.scored()
    last = scored.order_by("-scored_at").values("scored_at")[:1]
    newest = scored.filter(scored_at=Subquery(last)).aggregate(at=Max("scored_at"), n=Count("*"))
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
    rows = settled.filter(horizon_days=horizon_days).values_list(*_columns(baseline))
    return _evidence(list(rows), horizon_days, baseline)


def _columns(baseline: str) -> tuple[str, ...]:
    return "cutoff_at", "crps_model", {FHS: "crps_fhs", EWMA_N: "crps_ewma"}[baseline], "is_hit_80", "is_hit_95"


def _evidence(rows: Sequence[tuple[Any, ...]], horizon_days: int, baseline: str) -> Evidence:
    columns = list(zip(*rows, strict=True)) if rows else [(), (), (), (), ()]
    return evidence(
        cutoffs=_dates(columns[0]),
        model_scores=np.array(columns[1], dtype=float),
        baseline_scores=np.array(columns[2], dtype=float),
        inside_80=np.array(columns[3], dtype=bool),
        inside_95=np.array(columns[4], dtype=bool),
        baseline={FHS: FHS_NAME, EWMA_N: EWMA_NAME}[baseline],
        horizon=horizon_days,
    )


def _dates(moments: Sequence[datetime]) -> Dates:
    return np.array([at.date() for at in moments], dtype="datetime64[D]")


def no_evidence() -> Evidence:
    """Of a horizon at which nothing has settled."""
    return _evidence([], 1, FHS)


def track_record(
    *,
    horizon_days: int | None = None,
    coin: Cryptocurrency | None = None,
    model: TrainedModel | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
) -> TrackRecord:
    """The record of all settled evidence, or of one horizon, coin, model or period; kept until more is scored."""
    chosen = Selection(horizon_days, coin, model, start, end)
    serving = TrainedModel.objects.serving()
    return cached(f"track-record:{serving.pk if serving else 0}:{chosen.name()}", lambda: _read_record(chosen, serving))


def _read_record(chosen: Selection, serving: TrainedModel | None) -> TrackRecord:
    settled, detail = chosen.settled(), chosen.detail_horizon
    horizons = [
        HorizonRecord(h, judge(settled, h, FHS), judge(settled, h, EWMA_N))
        for h in ((chosen.horizon_days,) if chosen.horizon_days else HORIZONS)
    ]
    facts = settled.aggregate(as_of=Max("scored_at"), n=Count("id"), dates=Count("cutoff_at", distinct=True))
    first = settled.order_by("target_at").values_list("target_at", flat=True).first()
    return TrackRecord(
        selection=chosen,
        verdict=verdict(horizons),
        as_of=facts["as_of"],
        n_dates=facts["dates"],
        n_forecasts=facts["n"],
        horizons=horizons,
        calibration=calibration_curve(settled),
        months=_months(settled.filter(horizon_days=detail)),
        coins=_coin_records(settled, detail),
        models=_model_records(chosen, detail),
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
    dates = _dates([at for at, _, _ in rows])
    quantiles = np.array([values for _, values, _ in rows])
    actual = np.array([price for _, _, price in rows])
    n = len(np.unique(dates))
    return [(level, date_weighted_mean(dates, actual <= quantiles[:, i]), n) for i, level in enumerate(LEVELS)]


def _months(settled: QuerySet[Prediction]) -> list[MonthRecord]:
    by_month: dict[date, list[tuple[datetime, bool | None, bool | None]]] = defaultdict(list)
    for row in settled.order_by("cutoff_at").values_list("cutoff_at", "is_hit_80", "is_hit_95"):
        by_month[row[0].date().replace(day=1)].append(row)
    found = []
    for month, rows in by_month.items():
        dates = _dates([row[0] for row in rows])
        in_80, in_95 = (date_weighted_mean(dates, np.array([row[i] for row in rows], dtype=bool)) for i in (1, 2))
        found.append(MonthRecord(month, len(np.unique(dates)), in_80, in_95))
    return found


def _coin_records(settled: QuerySet[Prediction], horizon_days: int) -> list[CoinRecord]:
    by_coin: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for coin, *row in settled.filter(horizon_days=horizon_days).order_by().values_list("coin_id", *_columns(FHS)):
        by_coin[coin].append(tuple(row))
    coins = {coin.pk: coin for coin in Cryptocurrency.objects.filter(pk__in=list(by_coin))}
    records = [CoinRecord(coins[coin], _evidence(rows, horizon_days, FHS)) for coin, rows in by_coin.items()]
    return sorted(records, key=lambda record: (record.coin.market_cap_rank or 10**9, record.coin.coingecko_id))


def _model_records(chosen: Selection, horizon_days: int) -> list[ModelRecord]:
    """Every model that has evidence in the selection, the newest first; retired ones are not left out."""
    settled = chosen.settled_of_each_model().filter(horizon_days=horizon_days)
    by_model: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for model_id, *row in settled.order_by().values_list("model_id", *_columns(FHS)):
        by_model[model_id].append(tuple(row))
    models = TrainedModel.objects.usable().filter(pk__in=list(by_model)).defer("metrics", "reference")
    return [ModelRecord(model, _evidence(by_model[model.pk], horizon_days, FHS)) for model in models]


def worst_misses(settled: QuerySet[Prediction]) -> QuerySet[Prediction]:
    """The forecasts whose published band did worst, by CRPS of the log-return."""
    return settled.select_related("coin").filter(is_hit_95=False).order_by("-crps")[:WORST_SHOWN]


def headline_for(horizon_days: int, live: Evidence, model: TrainedModel, *, is_stopped: bool = False) -> str:
    """Whose quantiles are published at a horizon: the LSTM's only where it beats FHS.

    The ledger decides once it can; until then the model's own back-test does, and where neither says that the
    LSTM beats FHS, or an alarm has stopped the model, FHS is the headline.
    """
    if is_stopped:
        return Prediction.Headline.BASELINE
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
