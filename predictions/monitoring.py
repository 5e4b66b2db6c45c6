"""Watches the champion: live coverage and skill against its validation, drift of its inputs, age; raises alarms."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
from django.conf import settings
from django.core.cache import cache
from django.utils import timezone

from predictions.alarms import raise_alarm, resolve_alarms, why_not_the_headline
from predictions.champion import check_champions_files
from predictions.forecasting.backtest import FHS, LSTM
from predictions.forecasting.drift import RECENT_DAYS, psi_by_feature, reference_of
from predictions.forecasting.labels import Evidence, Label, is_coverage_off, whole_days
from predictions.forecasting.series import Panel
from predictions.frequency import Frequency
from predictions.history import NoHistory, newest_panel, training_panel
from predictions.models import ModelAlarm, Prediction, TrainedModel
from predictions.record import FHS_NAME, cached, date_means, evidence_by_horizon, evidence_of_model
from predictions.words import count, skill_text

# Ninety ordinary days against the one to three years before them have a mean index of 0.2 (median), 0.9 (95 %) and
# 1.2 at most over ten years of 267 coins: the textbook's 0.25 would stop a healthy model every other month.
WARN_PSI = 0.9
STOP_PSI = 1.5
DRIFT_KEPT_SECONDS = 86_400
ALARMS_SHOWN = 50
WATCHED_KINDS = frozenset(
    {ModelAlarm.Kind.EXPIRED, ModelAlarm.Kind.DRIFT, ModelAlarm.Kind.WORSE, ModelAlarm.Kind.COVERAGE}
)

Found = dict[tuple[str, int], tuple[str, bool]]


@dataclass(frozen=True)
class HorizonWatch:
    """One horizon of the champion, in days or hours: its live evidence beside what its validation had said."""

    horizon: int
    live: Evidence
    validation: dict[str, Any] | None
    is_coverage_80_off: bool
    is_coverage_95_off: bool


@dataclass(frozen=True)
class Monitoring:
    """All that is watched about the champion and its challengers."""

    frequency: Frequency
    model: TrainedModel
    age_days: int | None
    max_age_days: int
    stopped_because: str
    psi: dict[str, float]
    horizons: list[HorizonWatch]
    alarms: list[ModelAlarm]
    shadows: list[tuple[TrainedModel, list[tuple[int, Evidence]]]]

    @property
    def mean_psi(self) -> float | None:
        return mean_psi(self.psi)


def watch_champion(
    *, frequency: Frequency = Frequency.DAY, now: datetime | None = None, panel: Panel | None = None
) -> list[ModelAlarm]:
    """Raises what is wrong with a champion as alarms, ends those that no longer hold; returns the open ones.

    An alarm about age or a strong drift stops it from being the headline until it ends.
    """
    now = now or timezone.now()
    model = TrainedModel.objects.serving(frequency)
    if model is None:
        return []
    check_champions_files(model)
    found = _age_alarms(model, now.date()) | _drift_alarms(drift_of(model, now, panel)) | _record_alarms(frequency)
    for (kind, horizon), (message, stops) in found.items():
        raise_alarm(model, kind, message, horizon=horizon, stops_headline=stops)
    resolve_alarms(model, keep=set(found), kinds=WATCHED_KINDS)
    return list(ModelAlarm.objects.unresolved().filter(model=model))


def max_age_days(model: TrainedModel) -> int:
    """How old a model's newest training day may be; 0 is no limit."""
    is_starter = model.origin == TrainedModel.Origin.STARTER
    return int(settings.STARTER_MAX_AGE_DAYS if is_starter else settings.MODEL_MAX_AGE_DAYS)


def age_days(model: TrainedModel, today: date) -> int | None:
    return (today - model.cutoff_on).days if model.cutoff_on else None


def _age_alarms(model: TrainedModel, today: date) -> Found:
    age, limit = age_days(model, today), max_age_days(model)
    if age is None or not limit or age <= limit:
        return {}
    message = (
        f"{model.version} learned from data up to {model.cutoff_on}, {age} days ago; "
        f"after {limit} days it is no longer the headline, and {FHS_NAME} is."
    )
    return {(ModelAlarm.Kind.EXPIRED, 0): (message, True)}


def drift_of(model: TrainedModel, now: datetime, panel: Panel | None = None) -> dict[str, float]:
    """The index of each watched input over the last 90 days against training; empty while it cannot be told.

    Of hours it is worked out once a day: ninety days look the same an hour later.
    """
    frequency = Frequency(model.frequency)
    key = f"drift:{model.pk}:{now.date()}"
    found: dict[str, float] | None = cache.get(key)
    if found is not None and (panel is None or frequency is Frequency.HOUR):
        return found
    try:
        recent = newest_panel(frequency=frequency, now=now) if panel is None else panel
    except NoHistory:
        return {}
    found = psi_by_feature(_reference(model), recent)
    cache.set(key, found, DRIFT_KEPT_SECONDS)
    return found


def _reference(model: TrainedModel) -> dict[str, Any]:
    """The model's own; one that came without it gets that of its training days, as far as they are stored here."""
    if not model.reference and model.cutoff_on is not None:
        try:
            panel = training_panel(frequency=Frequency(model.frequency), cutoff_on=model.cutoff_on)
            model.reference = reference_of(panel)
        except NoHistory:
            return {}
        model.save(update_fields=["reference"])
    return dict(model.reference)


def mean_psi(psi: dict[str, float]) -> float | None:
    return float(np.mean(list(psi.values()))) if psi else None


def _drift_alarms(psi: dict[str, float]) -> Found:
    mean = mean_psi(psi)
    if mean is None or mean < WARN_PSI:
        return {}
    most = max(psi, key=lambda name: psi[name])
    what = f"Its inputs of the last {RECENT_DAYS} days differ from those it was trained on: index {mean:.2f}"
    if mean < STOP_PSI:
        message = f"{what}, most of all {most}; from {STOP_PSI} on it is no longer the headline."
    else:
        message = f"{what}, over the limit of {STOP_PSI}, so {FHS_NAME} is the headline."
    return {(ModelAlarm.Kind.DRIFT, 0): (message, mean >= STOP_PSI)}


def _record_alarms(frequency: Frequency) -> Found:
    found: Found = {}
    for h, (live, is_off) in watched_by_horizon(frequency).items():
        if live.label == Label.WORSE_THAN_BASELINE and live.skill is not None:
            message = (
                f"At {count(h, frequency.noun)} its live forecasts do worse than {FHS_NAME}: "
                f"skill {skill_text(live)} over {count(live.n_dates, 'date')}."
            )
            found[ModelAlarm.Kind.WORSE, h] = (message, False)
        if any(is_off):
            bands = " and ".join(band for band, off in zip(("80%", "95%"), is_off, strict=True) if off)
            found[ModelAlarm.Kind.COVERAGE, h] = (
                f"At {count(h, frequency.noun)} the published {bands} band holds the wrong share of outcomes.",
                False,
            )
    return found


def watched_by_horizon(frequency: Frequency = Frequency.DAY) -> dict[int, tuple[Evidence, tuple[bool, bool]]]:
    """By horizon: the live evidence, and whether the published 80 % and 95 % bands hold the wrong share of outcomes."""

    def make() -> dict[int, tuple[Evidence, tuple[bool, bool]]]:
        is_off = _coverage_off(frequency)
        return {h: (live, is_off[h]) for h, live in evidence_by_horizon(frequency).items()}

    return cached("watched", make, frequency)


def _coverage_off(frequency: Frequency) -> dict[int, tuple[bool, bool]]:
    found = {}
    for h, rows in date_means(Prediction.objects.evidence(), frequency, frequency.horizons).items():
        dates = np.array([row[0] for row in rows], dtype="datetime64[D]")
        days = whole_days(h, frequency.steps)
        eighty, ninety_five = (
            bool(rows) and is_coverage_off(dates, np.array([row[i] for row in rows]), nominal=nominal, horizon=days)
            for i, nominal in ((4, 0.8), (5, 0.95))
        )
        found[h] = eighty, ninety_five
    return found


def monitor(*, frequency: Frequency = Frequency.DAY, now: datetime | None = None) -> Monitoring | None:
    """What is known of a champion now, without changing anything about it; None while there is none."""
    now = now or timezone.now()
    model = TrainedModel.objects.serving(frequency)
    if model is None:
        return None
    said = {row["horizon"]: row for row in validation_rows(model) if row["model"] == LSTM}
    alarms = ModelAlarm.objects.filter(model__frequency=frequency).select_related("model")
    return Monitoring(
        frequency=frequency,
        model=model,
        age_days=age_days(model, now.date()),
        max_age_days=max_age_days(model),
        stopped_because=why_not_the_headline(model),
        psi=drift_of(model, now),
        horizons=[
            HorizonWatch(h, live, _validation_of(said.get(h)), *is_off)
            for h, (live, is_off) in watched_by_horizon(frequency).items()
        ],
        alarms=list(alarms[:ALARMS_SHOWN]),
        shadows=[(one, list(evidence_of_model(one).items())) for one in TrainedModel.objects.shadows(frequency)],
    )


def validation_rows(model: TrainedModel) -> list[dict[str, Any]]:
    """The rows of a model's own back-test, by model and horizon; empty when there was none."""
    rows: list[dict[str, Any]] = model.metrics.get("validation", {}).get("rows", [])
    return rows


def _validation_of(row: dict[str, Any] | None) -> dict[str, Any] | None:
    if row is None:
        return None
    against = row["against"][FHS]
    names = ("n_dates", "coverage_80", "coverage_95")
    return {"skill": against.get("skill"), "label": against["label"]} | {name: row.get(name) for name in names}
