"""Forecasts by the hour are issued from what was known at a full hour, and from nothing later."""

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from django.conf import settings as site
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from markets.models import Cryptocurrency, PriceData
from predictions import desk, fans, history, issuing, ledger, record, registry, scoring, tasks, training
from predictions.forecasting.features import build_features
from predictions.forecasting.frequency import HOURLY_STEPS
from predictions.forecasting.labels import Label
from predictions.forecasting.series import build_panel
from predictions.forecasting.serving import inputs_hashes
from predictions.forecasting.training import NotEnoughData
from predictions.forecasting.windows import Rows
from predictions.frequency import Frequency
from predictions.history import NoHistory
from predictions.models import ForecastRefusal, Prediction, TrainedModel
from predictions.querysets import PredictionQuerySet
from predictions.tests.conftest import copy_of
from predictions.tests.hours import CUTOFF, HOUR, HOURS, NOW, hourly_prices, make_coins, write_hours
from predictions.tests.ledger import forecast, make_model, unguarded

HORIZONS = (1, 2, 4, 6, 8, 12, 18, 24)


@pytest.fixture
def coins(db: None) -> list[Cryptocurrency]:
    """Three volatile coins with 768 closed hours, and one with 100."""
    return [*make_coins(3), *make_coins(1, hours=100, first=3)]


@pytest.fixture
def champion(db: None) -> TrainedModel:
    model = registry.install_starter_model(Frequency.HOUR)
    assert model is not None
    return model


def issue(now: datetime = NOW) -> issuing.Issue:
    return issuing.issue_forecasts(frequency=Frequency.HOUR, now=now)


def said() -> dict[tuple[int, int], tuple[list[float], list[float], str]]:
    rows = Prediction.objects.values_list("coin", "horizon_hours", "model_quantiles", "fhs_quantiles", "inputs_sha256")
    return {(coin, hours): (model, fhs, inputs) for coin, hours, model, fhs, inputs in rows}


def test_it_freezes_every_horizon_of_every_coin_that_can_be_forecast(
    coins: list[Cryptocurrency], champion: TrainedModel
) -> None:
    found = issue()
    assert (found.cutoff_at, found.coins, found.forecasts) == (CUTOFF, 3, 3 * len(HORIZONS))
    assert found.refused == {"coin-3": "not enough data: 100 of 720 hours"}
    rows = Prediction.objects.filter(coin=coins[0]).order_by("horizon_hours")
    assert [(one.frequency, one.horizon_days, one.horizon_hours) for one in rows] == [("1h", 0, h) for h in HORIZONS]
    assert [one.target_at for one in rows] == [CUTOFF + h * HOUR for h in HORIZONS]
    assert all(one.counts_as_evidence and one.quantiles == sorted(one.quantiles) for one in rows)
    assert all(len(one.fhs_quantiles) == len(one.ewma_quantiles) == 13 for one in rows)
    assert ledger.verify_chain().is_intact


def test_it_takes_the_price_at_the_cutoff_from_the_hour_that_ended_there(
    coins: list[Cryptocurrency], champion: TrainedModel
) -> None:
    write_hours(coins[0], [777.0], last_close_at=CUTOFF + HOUR)  # labelled with the cutoff, over an hour later
    issue()
    before = PriceData.objects.get(coin=coins[0], interval="1h", at=CUTOFF - HOUR)
    assert {one.base_price for one in Prediction.objects.filter(coin=coins[0])} == {before.close}


def test_it_reads_each_close_at_the_end_of_its_hour(coins: list[Cryptocurrency]) -> None:
    panel = history.read_hours(until=NOW)
    assert panel.last_date == CUTOFF.replace(tzinfo=None)
    column = panel.prices[:, panel.coins.index("bitcoin")]
    assert column.tolist() == hourly_prices(100)
    rows = [
        (coin, at + HOUR, close)
        for coin, at, close in PriceData.objects.values_list("coin__coingecko_id", "at", "close")
    ]
    other = build_panel(rows, now=CUTOFF, frequency=HOURLY_STEPS)
    assert (panel.coins, panel.dates.tolist()) == (other.coins, other.dates.tolist())
    assert panel.prices.tobytes() == other.prices.tobytes()


def test_it_reads_how_far_prices_went_within_each_hour_that_was_seen_often_enough(coins: list[Cryptocurrency]) -> None:
    PriceData.objects.filter(coin=coins[1], interval="1h", at__gte=CUTOFF - 2 * HOUR).update(samples=5)
    PriceData.objects.filter(coin=coins[1], interval="1h", at=CUTOFF - 3 * HOUR).update(samples=6)
    panel = history.read_hours(until=NOW)
    assert panel.realised is not None
    candle = PriceData.objects.get(coin=coins[0], interval="1h", at=CUTOFF - HOUR)
    expected = math.log(candle.high / candle.low) ** 2 / 2
    expected -= (2 * math.log(2) - 1) * math.log(candle.close / candle.open) ** 2
    assert panel.realised[panel.index_of(CUTOFF), panel.coins.index("bitcoin")] == pytest.approx(expected)
    known = np.isfinite(panel.realised[:, panel.coins.index("coin-1")])
    assert known[-4:].tolist() == [True, True, False, False]


def test_it_reads_no_more_hours_than_it_needs_and_asks_once(coins: list[Cryptocurrency]) -> None:
    with CaptureQueriesContext(connection) as queries:
        panel = history.read_hours(until=NOW, hours=50)
    assert (len(panel.dates), len(queries)) == (50, 1)
    assert panel.last_date == CUTOFF.replace(tzinfo=None)


def test_it_waits_for_an_hour_that_few_coins_have(coins: list[Cryptocurrency], champion: TrainedModel) -> None:
    write_hours(coins[0], [101.0], last_close_at=CUTOFF + HOUR)
    assert issue(now=NOW + HOUR).cutoff_at == CUTOFF


def test_it_sees_nothing_after_the_cutoff(coins: list[Cryptocurrency], champion: TrainedModel) -> None:
    issue()
    expected = said()
    for later in (lambda coin: write_hours(coin, [1e6, 2e6, 3e6], last_close_at=CUTOFF + 3 * HOUR), _forget_the_future):
        with transaction.atomic(), unguarded():
            Prediction.objects.all().delete()
            for coin in coins:
                later(coin)
            issue()
        assert said() == expected


def _forget_the_future(coin: Cryptocurrency) -> None:
    PriceData.objects.filter(coin=coin, at__gte=CUTOFF).delete()


def test_it_sees_what_the_back_test_sees_to_the_bit(coins: list[Cryptocurrency], champion: TrainedModel) -> None:
    issue()
    for coin in coins[:3]:
        write_hours(coin, hourly_prices(7, 60), last_close_at=CUTOFF + 60 * HOUR)
    panel = history.read_hours(until=CUTOFF + 60 * HOUR)
    walked = build_features(panel, Frequency.HOUR.recipe)  # of the whole history at once, as a back-test does
    row = panel.index_of(CUTOFF)
    places = np.array([panel.coins.index(coin.coingecko_id) for coin in coins[:3]])
    assert walked.eligible[row, places].all()
    assert (walked.last[row, places, -1] == 1).all()  # the candles are known
    hashes = inputs_hashes(walked, Rows(np.full(3, row), places), Frequency.HOUR.recipe)
    live = [Prediction.objects.filter(coin=coin).values_list("inputs_sha256", flat=True)[0] for coin in coins[:3]]
    assert live == hashes


def test_it_issues_an_hour_once(coins: list[Cryptocurrency], champion: TrainedModel) -> None:
    issue()
    before = list(Prediction.objects.values_list("row_hash", flat=True))
    assert issue(now=NOW + timedelta(minutes=5)).forecasts == 0
    assert list(Prediction.objects.values_list("row_hash", flat=True)) == before


def test_it_forecasts_in_the_second_run_what_came_late_to_the_first(
    coins: list[Cryptocurrency], champion: TrainedModel
) -> None:
    last = PriceData.objects.filter(coin=coins[1], at=CUTOFF - HOUR)
    close = last.get().close
    last.delete()
    assert issue().refused["coin-1"] == "no price at cutoff"
    write_hours(coins[1], [close], last_close_at=CUTOFF)
    second = issue(now=NOW + timedelta(minutes=5))
    assert (second.coins, second.forecasts) == (1, len(HORIZONS))
    assert set(ForecastRefusal.objects.values_list("coin__coingecko_id", "frequency")) == {("coin-3", "1h")}


@pytest.mark.parametrize(("late_by", "counts"), [(timedelta(0), True), (timedelta(seconds=1), False)])
def test_it_marks_what_was_written_late(
    coins: list[Cryptocurrency], champion: TrainedModel, late_by: timedelta, counts: bool
) -> None:
    issue(now=CUTOFF + timedelta(minutes=15) + late_by)
    assert set(Prediction.objects.values_list("counts_as_evidence", flat=True)) == {counts}


def test_it_makes_no_forecast_of_what_has_happened(coins: list[Cryptocurrency], champion: TrainedModel) -> None:
    issue(now=CUTOFF + 4 * HOUR)
    found = Prediction.objects.filter(coin=coins[0]).order_by("horizon_hours")
    assert [one.horizon_hours for one in found] == [6, 8, 12, 18, 24]
    assert not any(one.counts_as_evidence for one in found)


def test_it_counts_hours_alike_when_the_clocks_change(coins: list[Cryptocurrency], champion: TrainedModel) -> None:
    cutoff = datetime(2026, 3, 29, 0, tzinfo=UTC)  # Berlin leaves out the hour after 01:00 UTC
    for coin in coins[:3]:
        write_hours(coin, hourly_prices(coin.pk), last_close_at=cutoff)
    with timezone.override(ZoneInfo("Europe/Berlin")):
        issue(now=cutoff + timedelta(minutes=7))
        for coin in coins[:3]:
            write_hours(coin, [105.0] * 24, last_close_at=cutoff + 24 * HOUR)
        assert scoring.score_due_forecasts(now=cutoff + 24 * HOUR).scored == 24
        assert record.evidence_by_horizon(Frequency.HOUR)[24].n_dates == 1
    spans = {(one.horizon_hours, one.target_at - one.cutoff_at) for one in Prediction.objects.all()}
    assert spans == {(h, h * HOUR) for h in HORIZONS}


def test_it_forecasts_all_coins_with_as_many_queries_as_a_few(champion: TrainedModel) -> None:
    counts = []
    for first, count in ((0, 2), (2, 0), (2, 5)):  # what is kept for the day is worked out the first time
        make_coins(count, first=first)
        with transaction.atomic(), CaptureQueriesContext(connection) as queries:
            issue()
            transaction.set_rollback(True)
        # SQLite takes some 26 rows of the ledger in one statement.
        counts.append(sum(not query["sql"].startswith('INSERT INTO "predictions_pred') for query in queries))
    assert counts[1] == counts[2]


def test_it_issues_for_the_largest_coins_and_for_any_other_on_demand(
    coins: list[Cryptocurrency], champion: TrainedModel, settings: Settings
) -> None:
    settings.HOURLY_COINS = 2
    issue()
    assert set(Prediction.objects.values_list("coin", flat=True)) == {coins[0].pk, coins[1].pk}
    answer = fans.forecast_for(coins[2], frequency=Frequency.HOUR, now=NOW)
    assert isinstance(answer, fans.NoForecast)
    assert (answer.code, "2 largest coins" in answer.reason) == ("on_demand", True)
    rows, is_new = desk.forecast_now(coin=coins[2], frequency=Frequency.HOUR, now=NOW)
    assert (is_new, [one.horizon_hours for one in rows]) == (True, list(HORIZONS))
    assert desk.forecast_now(coin=coins[2], frequency=Frequency.HOUR, now=NOW) == (rows, False)
    assert isinstance(fans.forecast_for(coins[2], frequency=Frequency.HOUR, now=NOW), fans.Fan)


def test_it_says_on_demand_what_an_issue_would_have_said(coins: list[Cryptocurrency], champion: TrainedModel) -> None:
    issue()
    expected = said()
    with transaction.atomic(), unguarded():
        Prediction.objects.all().delete()
    for coin in coins[:3]:
        desk.forecast_now(coin=coin, frequency=Frequency.HOUR, now=NOW)
    assert said() == expected


def test_it_refuses_on_demand_when_all_targets_lie_behind(coins: list[Cryptocurrency], champion: TrainedModel) -> None:
    with pytest.raises(desk.NotForecastable, match="older than the longest horizon"):
        desk.forecast_now(coin=coins[0], frequency=Frequency.HOUR, now=CUTOFF + 24 * HOUR)
    assert not Prediction.objects.exists()


@pytest.mark.django_db
def test_it_says_that_there_is_no_history(champion: TrainedModel) -> None:
    with pytest.raises(NoHistory, match="no hourly prices"):
        issue()


def test_it_turns_stale_after_two_hours(coins: list[Cryptocurrency], champion: TrainedModel) -> None:
    issue()
    ages = (2 * HOUR, 2 * HOUR + timedelta(seconds=1))
    found = [fans.forecast_for(coins[0], frequency=Frequency.HOUR, now=CUTOFF + age) for age in ages]
    assert [one.is_stale for one in found if isinstance(one, fans.Fan)] == [False, True]


# Scoring and calibration ------------------------------------------------------------------------------


def test_it_voids_an_hour_that_was_never_seen_or_stays_in_quarantine(
    coins: list[Cryptocurrency], champion: TrainedModel
) -> None:
    issue()
    write_hours(coins[0], [101.0], last_close_at=CUTOFF + HOUR)
    PriceData.objects.filter(coin=coins[0], at=CUTOFF).update(is_quarantined=True)
    assert scoring.score_due_forecasts(now=CUTOFF + HOUR) == scoring.Scoring(0, 0, 3)
    scoring.score_due_forecasts(now=CUTOFF + HOUR + scoring.VOID_AFTER + timedelta(seconds=1))
    reasons = dict(Prediction.objects.filter(horizon_hours=1).values_list("coin", "void_reason"))
    assert reasons == {
        coins[0].pk: scoring.ONLY_QUARANTINED, coins[1].pk: scoring.NEVER_OBSERVED, coins[2].pk: scoring.NEVER_OBSERVED,
    }  # fmt: skip


def settled_hours(coin: Cryptocurrency, model: TrainedModel, *, dates: int, move: float, hours: int = 1) -> None:
    """Forecasts of so many hours from the dates before CUTOFF's, each of whose prices moved by so much."""
    made = []
    for day in range(1, dates + 1):
        one = forecast(coin, model, cutoff_at=CUTOFF - timedelta(days=day))
        one.frequency, one.horizon_days, one.horizon_hours = model.frequency, 0, hours
        one.target_at, one.issued_at = one.cutoff_at + hours * HOUR, one.cutoff_at + timedelta(minutes=7)
        made.append(one)
    for one in ledger.append(predictions=made):
        scoring.score(one, 100.0 * np.exp(move), one.target_at)
        one.save()


def test_it_calibrates_hours_from_settled_hours_alone(coins: list[Cryptocurrency], champion: TrainedModel) -> None:
    daily = make_model("daily-1")
    for day in range(2, 60):
        (one,) = ledger.append(
            predictions=[forecast(coins[0], daily, cutoff_at=CUTOFF.replace(hour=0) - timedelta(days=day))]
        )
        scoring.score(one, 300.0, one.target_at)
        one.save()
    issue()
    assert set(Prediction.objects.filter(frequency="1h").values_list("multiplier_80", flat=True)) == {1.0}
    settled_hours(coins[0], champion, dates=25, move=0.5)
    for coin in coins[:3]:
        write_hours(coin, [100.0], last_close_at=CUTOFF + HOUR)
    tomorrow = NOW + 24 * HOUR  # today's factors hold for the rest of the day
    for coin in coins[:3]:
        write_hours(coin, hourly_prices(5, 25), last_close_at=CUTOFF + 24 * HOUR)
    issue(now=tomorrow)
    later = Prediction.objects.filter(cutoff_at=CUTOFF + 24 * HOUR)
    assert set(later.filter(horizon_hours=1).values_list("multiplier_80", flat=True)) == {
        1 + 0.25 * 25 / (25 + 25)
    }  # drawn towards 1 by 25 dates
    assert set(later.filter(horizon_hours=2).values_list("multiplier_80", flat=True)) == {1.0}


def test_it_takes_all_hours_of_a_day_for_one_day_when_it_judges(
    coins: list[Cryptocurrency], champion: TrainedModel
) -> None:
    settled_hours(coins[0], champion, dates=29, move=0.01, hours=24)
    assert record.evidence_by_horizon(Frequency.HOUR)[24].label == Label.TOO_EARLY
    settled_hours(coins[1], champion, dates=30, move=0.01, hours=24)
    assert record.evidence_by_horizon(Frequency.HOUR)[24].label == Label.EQUALS_BASELINE


@pytest.mark.django_db
def test_it_never_takes_one_frequencys_record_for_the_others() -> None:
    assert set(record.evidence_by_horizon(Frequency.HOUR)) == set(HORIZONS)
    assert set(record.evidence_by_horizon()) == set(Frequency.DAY.horizons)


def test_it_counts_dates_and_not_hours(coins: list[Cryptocurrency], champion: TrainedModel) -> None:
    settled_hours(coins[0], champion, dates=3, move=0.01)
    one = forecast(coins[1], champion, cutoff_at=CUTOFF - 26 * HOUR)
    one.frequency, one.horizon_days, one.horizon_hours, one.target_at = "1h", 0, 1, one.cutoff_at + HOUR
    ledger.append(predictions=[one])
    scoring.score(one, 101.0, one.target_at)
    one.save()
    found = record.evidence_by_horizon(Frequency.HOUR)
    assert (found[1].n_dates, found[1].n_forecasts, found[2].n_dates) == (3, 4, 0)
    assert record.evidence_by_horizon()[1].n_forecasts == 0
    made = record.track_record(frequency=Frequency.HOUR)
    assert (made.n_dates, made.n_forecasts, made.countdown) == (3, 4, 27)


def test_it_weighs_a_date_once_however_many_of_its_hours_were_forecast(
    coins: list[Cryptocurrency], champion: TrainedModel
) -> None:
    settled_hours(coins[0], champion, dates=2, move=0.01)
    for hours in range(1, 4):
        one = forecast(coins[1], champion, cutoff_at=CUTOFF - (24 + hours) * HOUR)
        one.frequency, one.horizon_days, one.horizon_hours, one.target_at = "1h", 0, 1, one.cutoff_at + HOUR
        ledger.append(predictions=[one])
        scoring.score(one, 300.0, one.target_at)
        one.save()
    rows = Prediction.objects.values_list("cutoff_at", "crps_model", "crps_fhs")
    by_date: dict[object, list[tuple[float, float]]] = {}
    for at, model, fhs in rows:
        by_date.setdefault(at.date(), []).append((float(model or 0), float(fhs or 0)))
    model, fhs = np.mean([np.mean(pairs, axis=0) for pairs in by_date.values()], axis=0)
    assert record.evidence_by_horizon(Frequency.HOUR)[1].skill == pytest.approx(1 - model / fhs)


# The registry -----------------------------------------------------------------------------------------


def test_it_has_a_champion_of_each_frequency(serving: TrainedModel, champion: TrainedModel, tmp_path: Path) -> None:
    assert registry.install_starter_model(Frequency.HOUR) is None
    assert (serving.frequency, champion.frequency) == ("1d", "1h")
    newcomer = copy_of(champion, tmp_path, "hourly-2")
    newcomer.frequency = Frequency.HOUR
    newcomer.save()
    registry.promote(model=newcomer, reason="Better.")
    assert TrainedModel.objects.serving() == serving
    assert TrainedModel.objects.serving(Frequency.HOUR) == newcomer
    for version in ("daily-2", "daily-3"):
        registry.promote(model=copy_of(serving, tmp_path, version), reason="Better.")
    assert registry.rollback(model=newcomer, reason="Not better.") == champion
    daily = TrainedModel.objects.serving()
    assert daily is not None
    assert daily.version == "daily-3"


def test_it_freezes_the_hours_of_a_challenger_of_hours_alone(
    coins: list[Cryptocurrency], champion: TrainedModel, serving: TrainedModel, tmp_path: Path
) -> None:
    rivals = [copy_of(champion, tmp_path, "hourly-2"), copy_of(serving, tmp_path, "daily-2")]
    TrainedModel.objects.filter(pk=rivals[0].pk).update(frequency="1h")
    for rival in rivals:
        rival.refresh_from_db()
        registry.shadow(model=rival, reason="Try it.")
    assert issue().shadows == 3 * len(HORIZONS)
    assert set(Prediction.objects.filter(is_shadow=True).values_list("model__version", flat=True)) == {"hourly-2"}


@pytest.mark.django_db
def test_it_installs_the_hourly_starter_on_a_site_that_is_older_than_hourly_forecasts(serving: TrainedModel) -> None:
    tasks.issue_hourly_forecasts()
    assert TrainedModel.objects.serving() == serving
    assert TrainedModel.objects.serving(Frequency.HOUR) is not None


def test_it_starts_training_from_the_champions_weights_only_if_its_recipe_is_ours(
    champion: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    if Frequency.HOUR.recipe != training.artifact.read_artifact(site.HOURLY_STARTER_MODEL_DIR).recipe:
        pytest.skip("the shipped model is of an older recipe")
    assert training._weights_to_start_from(Frequency.HOUR) == Path(champion.folder)
    TrainedModel.objects.filter(pk=champion.pk).update(
        folder=str(site.STARTER_MODEL_DIR), manifest_sha256=_sha256_of_the_daily_starter()
    )
    assert training._weights_to_start_from(Frequency.HOUR) is None


def _sha256_of_the_daily_starter() -> str:
    return training.artifact.read_artifact(site.STARTER_MODEL_DIR).sha256


def test_it_does_not_begin_to_train_on_too_few_hours(coins: list[Cryptocurrency], champion: TrainedModel) -> None:
    with pytest.raises(NotEnoughData, match="31 of 240 days"):
        training.train_model(frequency=Frequency.HOUR, cutoff_on=CUTOFF.date())
    assert TrainedModel.objects.count() == 1


def test_it_reads_the_ledger_by_frequency_whatever_the_unit() -> None:
    queries: list[PredictionQuerySet] = [
        Prediction.objects.at_horizon(Frequency.DAY, 1), Prediction.objects.at_horizon(Frequency.HOUR, 24),
    ]  # fmt: skip
    assert ["24" in str(query.query) for query in queries] == [True, True]
    assert ["1h" in str(query.query) for query in queries] == [False, True]
    assert Frequency.HOUR.steps.min_steps < HOURS
