"""The champion is watched; one that is too old or sees another world is no longer the headline, and says so."""

from datetime import timedelta

import numpy as np
import pytest
from pytest_django import Settings

from markets.models import Cryptocurrency
from predictions import issuing, monitoring, registry
from predictions.alarms import why_not_the_headline
from predictions.forecasting import drift
from predictions.forecasting.series import Panel
from predictions.history import read_panel
from predictions.models import ModelAlarm, Prediction, TrainedModel
from predictions.tests.conftest import DAY, NOW
from predictions.tests.ledger import make_ledger

BEATS = {
    "validation": {"rows": [{"model": "lstm", "horizon": 1, "against": {"fhs": {"label": "beats_baseline"}}}]}
}  # fmt: skip


def headline_at_one_day() -> str:
    return Prediction.objects.filter(horizon_days=1).latest("sequence").headline


@pytest.fixture
def own(serving: TrainedModel) -> TrainedModel:
    """A champion of the site's own whose back-test beat the baseline at one day."""
    serving.origin, serving.metrics = TrainedModel.Origin.OWN, BEATS
    serving.cutoff_on = NOW.date() - 10 * DAY
    serving.save()
    return serving


def test_it_leaves_a_healthy_champion_alone(own: TrainedModel, coins: list[Cryptocurrency]) -> None:
    assert monitoring.watch_champion(now=NOW) == []
    issuing.issue_forecasts(now=NOW)
    assert headline_at_one_day() == "model"


def test_it_stops_a_champion_that_is_too_old_until_it_is_young_again(
    own: TrainedModel, coins: list[Cryptocurrency], settings: Settings
) -> None:
    settings.MODEL_MAX_AGE_DAYS = 9
    issuing.issue_forecasts(now=NOW)
    assert headline_at_one_day() == "fhs"
    why = why_not_the_headline(own)
    assert why.endswith("10 days ago; after 9 days it is no longer the headline, and FHS random walk is.")
    settings.MODEL_MAX_AGE_DAYS = 400
    assert monitoring.watch_champion(now=NOW) == []
    assert why_not_the_headline(own) == ""
    assert ModelAlarm.objects.get().resolved_at is not None


@pytest.mark.parametrize(("days", "is_stopped"), [(400, False), (401, True)])
def test_it_knows_the_day_on_which_a_model_expires(own: TrainedModel, days: int, is_stopped: bool) -> None:
    TrainedModel.objects.update(cutoff_on=NOW.date() - timedelta(days=days))
    assert bool(monitoring.watch_champion(now=NOW)) is is_stopped


def test_it_gives_the_starter_model_a_limit_of_its_own(serving: TrainedModel, settings: Settings) -> None:
    TrainedModel.objects.update(cutoff_on=NOW.date() - timedelta(days=900))
    assert monitoring.watch_champion(now=NOW) == []
    settings.STARTER_MAX_AGE_DAYS = 800
    assert [alarm.kind for alarm in monitoring.watch_champion(now=NOW)] == ["expired"]


def wilder(panel: Panel, factor: float) -> Panel:
    """The same market with returns so many times as large from 95 days before its end on."""
    logs = np.log(panel.prices)
    returns = np.diff(logs, axis=0)
    returns[-95:] *= factor
    logs[1:] = logs[0] + np.cumsum(returns, axis=0)
    return Panel(panel.dates, panel.coins, np.exp(logs))


def test_it_stops_a_champion_whose_inputs_have_moved_away(own: TrainedModel, coins: list[Cryptocurrency]) -> None:
    panel = read_panel(cutoff_on=NOW.date())
    own.reference = drift.reference_of(panel)
    own.save()
    assert monitoring.watch_champion(now=NOW, panel=panel) == []
    alarms = monitoring.watch_champion(now=NOW, panel=wilder(panel, 8))
    assert [(alarm.kind, alarm.stops_headline) for alarm in alarms] == [("drift", True)]
    assert "over the limit of 1.5, so FHS random walk is the headline" in alarms[0].message


def test_it_stops_the_headline_by_the_alarm_alone(own: TrainedModel, coins: list[Cryptocurrency]) -> None:
    ModelAlarm.objects.create(model=own, kind="artefact", message="Stop.", stops_headline=True)
    issuing.issue_forecasts(now=NOW)
    assert headline_at_one_day() == "model", "an alarm of the files ends by itself once they can be opened"
    assert ModelAlarm.objects.get().resolved_at is not None


def test_it_makes_a_reference_from_the_stored_training_days_when_the_model_came_without(
    own: TrainedModel, coins: list[Cryptocurrency]
) -> None:
    psi = monitoring.drift_of(own, NOW)
    own.refresh_from_db()
    assert set(own.reference["features"]) == set(drift.WATCHED) == set(psi)
    assert own.reference["last"] == str(own.cutoff_on)


def test_it_watches_the_drift_of_a_starter_on_a_site_that_stores_none_of_its_training_days(
    coins: list[Cryptocurrency],
) -> None:
    starter = registry.install_starter_model()
    assert starter is not None
    assert set(monitoring.drift_of(starter, NOW)) == set(drift.WATCHED)


def test_it_says_nothing_about_drift_without_anything_to_compare_with(
    own: TrainedModel, coins: list[Cryptocurrency]
) -> None:
    TrainedModel.objects.update(cutoff_on=NOW.date() - 300 * DAY)
    assert monitoring.drift_of(TrainedModel.objects.get(), NOW) == {}


def test_it_computes_the_index_as_the_formula_says() -> None:
    then, now = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])
    assert drift.psi(then, now) == pytest.approx(2 * 0.3 * np.log(2.5))
    assert drift.psi(then, then) == 0


def test_it_raises_an_alarm_once_however_often_it_looks(own: TrainedModel, settings: Settings) -> None:
    settings.MODEL_MAX_AGE_DAYS = 9
    monitoring.watch_champion(now=NOW)
    monitoring.watch_champion(now=NOW + DAY)
    assert ModelAlarm.objects.count() == 1
    assert "11 days ago" in ModelAlarm.objects.get().message


def test_it_tells_of_a_horizon_where_the_live_record_is_worse(own: TrainedModel, coins: list[Cryptocurrency]) -> None:
    make_ledger(coins[0], own, dates=100, scored=100)
    kinds = {(alarm.kind, alarm.horizon) for alarm in monitoring.watch_champion(now=NOW)}
    assert ("worse", 1) in kinds
    assert not any(alarm.stops_headline for alarm in ModelAlarm.objects.all())
    assert monitoring.watched_by_horizon()[1][1][0] == (("coverage", 1) in kinds)


def test_it_reports_live_figures_beside_those_of_the_validation(
    serving: TrainedModel, coins: list[Cryptocurrency]
) -> None:
    make_ledger(coins[0], serving, dates=5, scored=5)
    found = monitoring.monitor(now=NOW)
    assert found is not None
    one_day = found.horizons[0]
    assert (one_day.horizon, one_day.live.n_dates) == (1, 5)
    assert one_day.validation is not None
    assert one_day.validation["n_dates"] > 600
    assert (found.stopped_because, found.max_age_days) == ("", 0)


@pytest.mark.django_db
def test_it_has_nothing_to_watch_without_a_champion() -> None:
    assert monitoring.watch_champion(now=NOW) == []
    assert monitoring.monitor(now=NOW) is None
