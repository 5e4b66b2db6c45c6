"""The public record: what the settled forecasts say, computed from the ledger alone."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypeVar

import numpy as np
from django.db.models import Avg, Case, Count, FloatField, Max, Subquery, Value, When
from django.db.models.functions import TruncDate

from cryptopredict.rest import shared
from markets.models import Cryptocurrency
from predictions.forecasting.backtest import EWMA_N, FHS, LSTM
from predictions.forecasting.labels import MIN_DATES, Evidence, Label, evidence, whole_days
from predictions.forecasting.metrics import date_weighted_mean
from predictions.forecasting.quantiles import LEVELS
from predictions.forecasting.series import Dates
from predictions.frequency import Frequency
from predictions.models import Prediction, TrainedModel
from predictions.querysets import PredictionQuerySet

T = TypeVar("T")

# Hours are scored every hour, and there are 24 times as many of them to read.
CACHE_SECONDS = {Frequency.DAY: 600, Frequency.HOUR: 3600}
# The calibration curve reads every quantile; of hours it is drawn from the newest dates alone.
CURVE_DAYS = {Frequency.DAY: None, Frequency.HOUR: 30}
DAY_SECONDS = 86_400
FHS_NAME = "FHS random walk"
EWMA_NAME = "EWMA normal random walk"
WORST_SHOWN = 10
_ONE_AT_A_TIME = threading.RLock()


@dataclass(frozen=True)
class Selection:
    """The part of the record that is asked for; cutoffs lie at or after `start` and before `end`."""

    frequency: Frequency = Frequency.DAY
    horizon: int | None = None
    coin: Cryptocurrency | None = None
    model: TrainedModel | None = None
    start: datetime | None = None
    end: datetime | None = None

    @property
    def detail_horizon(self) -> int:
        """The horizon of what is shown at one only: tables by coin and model, coverage over time."""
        return self.horizon or self.frequency.horizons[0]

    def settled(self) -> PredictionQuerySet:
        """Published evidence, or that of the one model, those of its time in shadow among them."""
        objects = Prediction.objects
        return self.within(objects.evidence() if self.model is None else objects.evidence_of(self.model))

    def settled_of_each_model(self) -> PredictionQuerySet:
        """The evidence of every model, or of the one, with that of their times in shadow."""
        objects = Prediction.objects
        return self.within(objects.in_time() if self.model is None else objects.evidence_of(self.model))

    def within(self, found: PredictionQuerySet) -> PredictionQuerySet:
        found = found.of(self.frequency)
        if self.horizon is not None:
            found = found.at_horizon(self.frequency, self.horizon)
        bounds: dict[str, Any] = {"coin": self.coin, "cutoff_at__gte": self.start, "cutoff_at__lt": self.end}
        return found.filter(**{name: value for name, value in bounds.items() if value is not None})

    def name(self) -> str:
        """For the cache: the same selection, the same name."""
        parts = (self.horizon, self.coin and self.coin.pk, self.model and self.model.pk, self.start, self.end)
        return ":".join("" if part is None else str(part).replace(" ", "T") for part in parts)


@dataclass(frozen=True)
class HorizonRecord:
    """The record of one horizon, in days or hours as the frequency says, against both baselines."""

    frequency: Frequency
    horizon: int
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


def evidence_by_horizon(frequency: Frequency = Frequency.DAY) -> dict[int, Evidence]:
    """The LSTM against FHS at each horizon, from all settled evidence; cached until another forecast is scored."""
    return cached("evidence", lambda: judge(Prediction.objects.evidence(), frequency)[FHS], frequency)


def evidence_of_model(model: TrainedModel) -> dict[int, Evidence]:
    """One model against FHS at each horizon, from its own settled forecasts, those in shadow among them."""
    settled, frequency = Prediction.objects.evidence_of(model), Frequency(model.frequency)
    return cached(f"evidence:{model.pk}", lambda: judge(settled, frequency)[FHS], frequency)


def cached(name: str, make: Callable[[], T], frequency: Frequency = Frequency.DAY) -> T:
    """What `make` answers, kept until another forecast of the frequency is scored."""
    # What was scored last and how much of it: two looks into an index, however long the ledger is.
    scored = Prediction.objects.of(frequency).scored()
    last = scored.order_by("-scored_at").values("scored_at")[:1]
    newest = scored.filter(scored_at=Subquery(last)).aggregate(at=Max("scored_at"), n=Count("*"))
    state = f"{newest['n']}:{newest['at'].timestamp() if newest['at'] else 0}"
    return _kept(f"record:{frequency}:{name}:{state}", make, CACHE_SECONDS[frequency])


def kept_today(name: str, make: Callable[[], T], frequency: Frequency, today: date) -> T:
    """What `make` answers, kept for a date."""
    return _kept(f"record:{frequency}:{name}:{today}", make, DAY_SECONDS)


def _kept(key: str, make: Callable[[], T], keep_seconds: int) -> T:
    found: T | None = shared.recall(key)
    if found is None:
        with _ONE_AT_A_TIME:  # the whole ledger is read: once for all threads of a process, not once in each
            found = shared.recall(key)
            if found is None:
                found = make()
                shared.keep(key, found, keep_seconds=keep_seconds)
    return found


BASELINES = {FHS: FHS_NAME, EWMA_N: EWMA_NAME}
HITS = ("is_hit_80", "is_hit_95")


def judge(
    settled: PredictionQuerySet, frequency: Frequency, horizons: Sequence[int] | None = None
) -> dict[str, dict[int, Evidence]]:
    """By baseline and horizon: the model's CRPS against the baseline's, the published bands' coverage.

    The database gives the means of each date, for every figure is weighted by date.
    """
    horizons = frequency.horizons if horizons is None else horizons
    rows = date_means(settled, frequency, horizons)
    return {
        FHS: {h: _evidence([(d, m, f, i, o, n) for d, m, f, _, i, o, n in rows[h]], frequency, h) for h in horizons},
        EWMA_N: {
            h: _evidence([(d, m, e, i, o, n) for d, m, _, e, i, o, n in rows[h]], frequency, h, EWMA_N)
            for h in horizons
        },
    }


def date_means(
    settled: PredictionQuerySet, frequency: Frequency, horizons: Sequence[int]
) -> dict[int, list[tuple[Any, ...]]]:
    """By horizon a row for each date of cutoffs: (date, CRPS of model, FHS and EWMA-N, in 80 %, in 95 %, forecasts)."""
    found = settled.of(frequency).filter(horizon_hours__in=[h * frequency.hours for h in horizons]).order_by()
    means = {f"mean_{name}": Avg(name) for name in ("crps_model", "crps_fhs", "crps_ewma")}
    shares = {f"mean_{name}": Avg(_as_share(name)) for name in HITS}
    by_date = found.values_list("horizon_hours", TruncDate("cutoff_at", tzinfo=UTC))
    rows: dict[int, list[tuple[Any, ...]]] = {h: [] for h in horizons}
    for hours, *row in by_date.annotate(**means, **shares, n=Count("pk")):
        rows[hours // frequency.hours].append(tuple(row))
    return rows


def _as_share(name: str) -> Case:
    return Case(When(**{name: True}, then=Value(1.0)), default=Value(0.0), output_field=FloatField())


def _evidence(rows: Iterable[tuple[Any, ...]], frequency: Frequency, horizon: int, baseline: str = FHS) -> Evidence:
    """From rows of (date, the model's CRPS, the baseline's, in 80 %, in 95 %, how many forecasts that is)."""
    dates, model, other, in_80, in_95, counts = list(zip(*rows, strict=True)) or [()] * 6
    found = evidence(
        cutoffs=np.array(dates, dtype="datetime64[D]"),
        model_scores=np.array(model, dtype=float),
        baseline_scores=np.array(other, dtype=float),
        inside_80=np.array(in_80, dtype=float),
        inside_95=np.array(in_95, dtype=float),
        baseline=BASELINES[baseline],
        horizon=whole_days(horizon, frequency.steps),
    )
    return replace(found, n_forecasts=sum(counts))


def _dates(moments: Sequence[datetime]) -> Dates:
    return np.array([at.date() for at in moments], dtype="datetime64[D]")


def no_evidence() -> Evidence:
    """Of a horizon at which nothing has settled."""
    return _evidence([], Frequency.DAY, 1)


def track_record(
    *,
    frequency: Frequency = Frequency.DAY,
    horizon: int | None = None,
    coin: Cryptocurrency | None = None,
    model: TrainedModel | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
) -> TrackRecord:
    """The record of a frequency, or of one horizon, coin, model or period of it; kept until more is scored."""
    chosen = Selection(frequency, horizon, coin, model, start, end)
    serving = TrainedModel.objects.serving(frequency)
    name = f"track-record:{serving.pk if serving else 0}:{chosen.name()}"
    return cached(name, lambda: _read_record(chosen, serving), frequency)


def _read_record(chosen: Selection, serving: TrainedModel | None) -> TrackRecord:
    settled, detail, frequency = chosen.settled(), chosen.detail_horizon, chosen.frequency
    judged = judge(settled, frequency, (chosen.horizon,) if chosen.horizon else None)
    horizons = [HorizonRecord(frequency, h, one, judged[EWMA_N][h]) for h, one in judged[FHS].items()]
    day = TruncDate("cutoff_at", tzinfo=UTC)
    facts = settled.aggregate(as_of=Max("scored_at"), n=Count("id"), dates=Count(day, distinct=True))
    first = settled.order_by("target_at").values_list("target_at", flat=True).first()
    at_detail = settled.at_horizon(frequency, detail)
    return TrackRecord(
        selection=chosen,
        verdict=verdict(horizons),
        as_of=facts["as_of"],
        n_dates=facts["dates"],
        n_forecasts=facts["n"],
        horizons=horizons,
        calibration=calibration_curve(_newest_dates(settled, CURVE_DAYS[frequency])),
        months=_months(at_detail),
        coins=_coin_records(at_detail, frequency, detail),
        models=_model_records(chosen, detail),
        worst=list(worst_misses(settled)),
        first_scored_on=first.date() if first else None,
        countdown=max(0, MIN_DATES - horizons[0].evidence_vs_fhs.n_dates),
        backtest=serving.metrics.get("validation", {}) if serving else {},
    )


def _newest_dates(settled: PredictionQuerySet, days: int | None) -> PredictionQuerySet:
    """Those of the newest dates that were scored; all of them for None."""
    newest = settled.aggregate(at=Max("cutoff_at"))["at"]
    if days is None or newest is None:
        return settled
    first = newest.astimezone(UTC).date() - timedelta(days=days - 1)
    return settled.filter(cutoff_at__gte=datetime.combine(first, time(), tzinfo=UTC))


def verdict(horizons: list[HorizonRecord]) -> str:
    """One plain sentence: what the record says today."""
    by_label = {label: [h.horizon for h in horizons if h.label == label] for label in Label}
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
        if found := by_label[label]:
            parts.append(f"{words} at {_spans(found, horizons[0].frequency.noun)}")
    return f"The model {'; it '.join(parts)}."


def _spans(spans: list[int], noun: str) -> str:
    text = " and ".join([", ".join(map(str, spans[:-1])), str(spans[-1])]) if len(spans) > 1 else str(spans[0])
    return f"{text} {noun}{'s' if spans != [1] else ''}"


def calibration_curve(settled: PredictionQuerySet) -> list[tuple[float, float, int]]:
    """For each quantile level: (level, share of outcomes at or below it weighted by date, dates)."""
    rows = list(settled.values_list("cutoff_at", "quantiles", "actual_price"))
    if not rows:
        return []
    dates = _dates([at for at, _, _ in rows])
    quantiles = np.array([values for _, values, _ in rows])
    actual = np.array([price for _, _, price in rows])
    n = len(np.unique(dates))
    return [(level, date_weighted_mean(dates, actual <= quantiles[:, i]), n) for i, level in enumerate(LEVELS)]


def _months(settled: PredictionQuerySet) -> list[MonthRecord]:
    by_month: dict[date, list[tuple[datetime, bool | None, bool | None]]] = defaultdict(list)
    for row in settled.order_by("cutoff_at").values_list("cutoff_at", "is_hit_80", "is_hit_95"):
        by_month[row[0].date().replace(day=1)].append(row)
    found = []
    for month, rows in by_month.items():
        dates = _dates([row[0] for row in rows])
        in_80, in_95 = (date_weighted_mean(dates, np.array([row[i] for row in rows], dtype=bool)) for i in (1, 2))
        found.append(MonthRecord(month, len(np.unique(dates)), in_80, in_95))
    return found


def _coin_records(settled: PredictionQuerySet, frequency: Frequency, horizon: int) -> list[CoinRecord]:
    by_coin: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    columns = ("coin_id", "cutoff_at", "crps_model", "crps_fhs", *HITS)
    for coin, cutoff_at, *row in settled.order_by().values_list(*columns):
        by_coin[coin].append((cutoff_at.date(), *row, 1))
    coins = {coin.pk: coin for coin in Cryptocurrency.objects.filter(pk__in=list(by_coin))}
    records = [CoinRecord(coins[coin], _evidence(rows, frequency, horizon)) for coin, rows in by_coin.items()]
    return sorted(records, key=lambda record: (record.coin.market_cap_rank or 10**9, record.coin.coingecko_id))


def _model_records(chosen: Selection, horizon: int) -> list[ModelRecord]:
    """Every model that has evidence in the selection, the newest first; retired ones are not left out."""
    settled = chosen.settled_of_each_model().at_horizon(chosen.frequency, horizon).order_by()
    by_date = settled.values_list("model_id", TruncDate("cutoff_at", tzinfo=UTC))
    means = {f"mean_{name}": Avg(name) for name in ("crps_model", "crps_fhs")}
    shares = {f"mean_{name}": Avg(_as_share(name)) for name in HITS}
    by_model: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for model_id, *row in by_date.annotate(**means, **shares, n=Count("pk")):
        by_model[model_id].append(tuple(row))
    models = TrainedModel.objects.usable().filter(pk__in=list(by_model)).defer("metrics", "reference")
    return [ModelRecord(model, _evidence(by_model[model.pk], chosen.frequency, horizon)) for model in models]


def worst_misses(settled: PredictionQuerySet) -> PredictionQuerySet:
    """The forecasts whose published band did worst, by CRPS of the log-return."""
    return settled.select_related("coin").filter(is_hit_95=False).order_by("-crps")[:WORST_SHOWN]


def headline_for(horizon: int, live: Evidence, model: TrainedModel, *, is_stopped: bool = False) -> str:
    """Whose quantiles are published at a horizon: the LSTM's only where it beats FHS.

    The ledger decides once it can; until then the model's own back-test does, and where neither says that the
    LSTM beats FHS, or an alarm has stopped the model, FHS is the headline.
    """
    if is_stopped:
        return Prediction.Headline.BASELINE
    label: str = live.label
    if live.label == Label.TOO_EARLY:
        label = backtest_label(model, horizon)
    return Prediction.Headline.MODEL if label == Label.BEATS_BASELINE else Prediction.Headline.BASELINE


def backtest_label(model: TrainedModel, horizon: int) -> str:
    """What the model's validation says of a horizon against FHS; too early when it says nothing."""
    for row in model.metrics.get("validation", {}).get("rows", []):
        if row["model"] == LSTM and row["horizon"] == horizon:
            return str(row["against"][FHS]["label"])
    return Label.TOO_EARLY
