"""A challenger's forecasts are frozen beside the champion's and are nobody's headline."""

from datetime import timedelta
from pathlib import Path

import pytest

from markets.models import Cryptocurrency
from predictions import fans, issuing, ledger, record, registry, scoring
from predictions.forecasting.quantiles import HORIZONS
from predictions.models import Prediction, TrainedModel
from predictions.tests.conftest import DAY, MIDNIGHT, NOW, copy_of, write_days

PER_MODEL = 6 * len(HORIZONS)


@pytest.fixture
def challenger(serving: TrainedModel, tmp_path: Path) -> TrainedModel:
    return registry.shadow(model=copy_of(serving, tmp_path, "challenger"), reason="Not worse on held-out days.")


def test_it_freezes_a_challengers_forecasts_in_the_same_chain(
    coins: list[Cryptocurrency], serving: TrainedModel, challenger: TrainedModel
) -> None:
    issue = issuing.issue_forecasts(now=NOW)
    assert (issue.model, issue.forecasts, issue.shadows) == (serving.version, PER_MODEL, PER_MODEL)
    assert set(Prediction.objects.filter(model=challenger).values_list("is_shadow", flat=True)) == {True}
    assert set(Prediction.objects.filter(model=serving).values_list("is_shadow", flat=True)) == {False}
    assert ledger.verify_chain().length == 2 * PER_MODEL
    assert issuing.issue_forecasts(now=NOW + timedelta(hours=1)).shadows == 0


def test_it_never_shows_a_challenger_as_the_headline(
    coins: list[Cryptocurrency], serving: TrainedModel, challenger: TrainedModel
) -> None:
    issuing.issue_forecasts(now=NOW)
    fan = fans.forecast_for(coins[0], now=NOW)
    assert isinstance(fan, fans.Fan)
    assert fan.model == serving
    assert {one.model_id for one in fans.bands_for(coins, horizon_days=7).values()} == {serving.pk}


def test_it_counts_a_challenger_for_itself_alone(
    coins: list[Cryptocurrency], serving: TrainedModel, challenger: TrainedModel
) -> None:
    issuing.issue_forecasts(now=NOW)
    for coin in coins:
        write_days(coin, [100.0], last_close_at=MIDNIGHT + DAY)
    assert scoring.score_due_forecasts(now=NOW + DAY).scored == 12
    assert record.track_record().n_forecasts == 6
    assert record.track_record(model=challenger).n_forecasts == 6
    assert record.evidence_by_horizon()[1].n_forecasts == 6
    assert record.evidence_of_model(challenger)[1].n_forecasts == 6


def test_it_goes_on_without_a_challenger_whose_files_are_damaged(
    coins: list[Cryptocurrency], serving: TrainedModel, challenger: TrainedModel
) -> None:
    (Path(challenger.folder) / "model.onnx").unlink()
    issue = issuing.issue_forecasts(now=NOW)
    assert (issue.forecasts, issue.shadows) == (PER_MODEL, 0)


def test_it_publishes_a_challenger_once_it_is_promoted(
    coins: list[Cryptocurrency], serving: TrainedModel, challenger: TrainedModel
) -> None:
    issuing.issue_forecasts(now=NOW)
    registry.promote(model=challenger, reason="Better over 90 dates.")
    assert issuing.issue_forecasts(now=NOW + timedelta(hours=1)).forecasts == 0, "its turn at this cutoff was in shadow"
    for coin in coins[:6]:
        write_days(coin, [100.0], last_close_at=MIDNIGHT + DAY)
    assert issuing.issue_forecasts(now=NOW + DAY).forecasts == PER_MODEL
    fan = fans.forecast_for(coins[0], now=NOW + DAY)
    assert isinstance(fan, fans.Fan)
    assert fan.model == challenger
