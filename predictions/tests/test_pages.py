"""The forecasts on the coin's page, a forecast's own page and the track record, in each state."""

import itertools
import json
import math
import re
from datetime import timedelta
from typing import Any

import plotly.graph_objects as go
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from markets.models import Cryptocurrency, Interval, PriceData
from predictions import charts, words
from predictions.forecasting.labels import MIN_DATES, Label
from predictions.forecasting.quantiles import HORIZONS
from predictions.ledger import append
from predictions.models import ForecastRefusal, Prediction, TrainedModel
from predictions.record import evidence_by_horizon
from predictions.scoring import score, void
from predictions.tests.ledger import FIRST_CUTOFF, forecast, make_fan, make_ledger, make_model

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture
def model(db: None) -> TrainedModel:
    return make_model()


@pytest.fixture
def coin(db: None) -> Cryptocurrency:
    """A coin at 100 dollars with 60 closed days."""
    made = Cryptocurrency.objects.create(
        coingecko_id="bitcoin", symbol="btc", name="Bitcoin", is_tracked=True, price_usd=100.0, price_at=timezone.now()
    )
    write_days(made, 60)
    return made


def write_days(coin: Cryptocurrency, days: int) -> None:
    midnight = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    PriceData.objects.bulk_create(
        PriceData(
            coin=coin, interval=Interval.DAY, at=midnight - i * DAY, open=100.0, high=101.0, low=99.0, close=100.0
        )
        for i in range(1, days + 1)
    )


def settle(coin: Cryptocurrency, model: TrainedModel, *, days: int, misses: int) -> list[Prediction]:
    """One-day forecasts of the last days, scored; the last `misses` of them ended far outside their bands."""
    midnight = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    stored = append(predictions=[forecast(coin, model, cutoff_at=midnight - (days - i) * DAY) for i in range(days)])
    for place, one in enumerate(stored):
        score(one, 300.0 if place >= days - misses else 100.5, one.target_at)
        one.save()
    return stored


def page(client: Client, address: str, status: int = 200) -> str:
    answer = client.get(address)
    assert answer.status_code == status
    return answer.content.decode()


def figure_of(html: str, name: str) -> dict[str, Any]:
    found = re.search(rf'<script id="{name}" type="application/json">(.*?)</script>', html, re.DOTALL)
    assert found, f"the page holds no {name}"
    figure: dict[str, Any] = json.loads(found[1])
    go.Figure(figure)  # raises ValueError for anything that is no Plotly figure
    return figure


# On the market list and the coin's page -------------------------------------------------------------


def test_it_shows_a_coins_seven_day_band_with_its_label_in_the_list(
    client: Client, coin: Cryptocurrency, model: TrainedModel
) -> None:
    seven = make_fan(coin, model)[1]
    html = page(client, "/")
    low, high = seven.quantiles[2], seven.quantiles[-3]
    assert f"${low:.2f} – ${high:.2f}" in html
    assert f'href="/forecasts/{seven.pk}/"' in html
    assert ">too early to say</span>" in html


def test_it_asks_as_often_for_the_bands_of_many_coins_as_of_one(
    client: Client, coin: Cryptocurrency, model: TrainedModel
) -> None:
    cutoff_at = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    append(predictions=[forecast(coin, model, cutoff_at=cutoff_at, horizon_days=7)])
    page(client, "/")  # fills the cache of the record
    counts = []
    for more in (0, 20):
        for i in range(more):
            other = Cryptocurrency.objects.create(
                coingecko_id=f"coin-{i}", symbol="x", name="X", price_usd=1.0, price_at=timezone.now()
            )
            append(predictions=[forecast(other, model, cutoff_at=cutoff_at, horizon_days=7)])
        with CaptureQueriesContext(connection) as queries:
            html = page(client, "/")
        counts.append(len(queries))
        assert html.count('class="band-cell"') == more + 1
    assert counts[0] == counts[1]


def test_it_states_bands_beside_the_baseline_and_draws_the_fan(
    client: Client, coin: Cryptocurrency, model: TrainedModel
) -> None:
    make_fan(coin, model)
    html = page(client, "/coins/bitcoin/")
    for words_shown in ("In 1 day ", "In 7 days ", "In 30 days ", "80% band", "median", "Baseline (FHS random walk)"):
        assert words_shown in html
    names = [trace["name"] for trace in figure_of(html, "coin-figure")["data"]]
    assert names[:2] == ["95% low", "95% high"]
    assert {"80% low", "80% high", "Median", "Baseline 80% low", "Baseline 80% high"} <= set(names)
    assert names[-2:] == ["Price", "24h volume"], "the price is drawn over the bands"


def test_it_looks_no_further_ahead_than_the_range_asks_for(
    client: Client, coin: Cryptocurrency, model: TrainedModel
) -> None:
    make_fan(coin, model, horizons=(1, 2, 7, 30))
    PriceData.objects.create(
        coin=coin, interval=Interval.HOUR, at=timezone.now() - timedelta(hours=2), open=100, high=101, low=99, close=100
    )
    reach = {}
    for name in ("1d", "7d", "90d"):
        data = figure_of(page(client, f"/coins/bitcoin/?range={name}"), "coin-figure")["data"]
        reach[name] = next(len(trace["x"]) for trace in data if trace["name"] == "Median") - 1
    assert reach == {"1d": 1, "7d": 3, "90d": 4}


def test_it_shows_misses_as_plainly_as_hits(client: Client, coin: Cryptocurrency, model: TrainedModel) -> None:
    settle(coin, model, days=25, misses=6)
    html = page(client, "/coins/bitcoin/?range=30d")
    assert "14 of the last 20 scored one-day forecasts ended inside their 80% band; about 16 would be right" in html
    assert html.count('class="miss"') == 6
    assert html.count('class="hit"') == 14
    data = {trace["name"]: trace for trace in figure_of(html, "coin-figure")["data"]}
    assert len(data["1-day forecast: outside its 80% band"]["x"]) == 6
    assert data["1-day forecast: outside its 80% band"]["marker"]["symbol"] == "diamond-open"
    assert len(data["1-day forecast: inside its 80% band"]["x"]) == 19


def test_it_lays_no_overlapping_forecasts_over_what_happened(coin: Cryptocurrency, model: TrainedModel) -> None:
    make_ledger(coin, model, dates=40, scored=40, horizon_days=7)
    kept = charts.past_forecasts(coin, range_name="1y", start=None)
    assert len(kept) == 6
    assert all(later.cutoff_at >= earlier.target_at for later, earlier in itertools.pairwise(kept))


@pytest.mark.parametrize(
    ("reason", "heading"),
    [
        ("not enough data: 40 of 90 days", "Not enough data to forecast"),
        ("the price hardly moves", "This coin is not forecast"),
    ],
)
def test_it_says_why_a_coin_is_not_forecast(client: Client, coin: Cryptocurrency, reason: str, heading: str) -> None:
    ForecastRefusal.objects.create(coin=coin, reason=reason)
    html = page(client, "/coins/bitcoin/")
    assert heading in html
    assert reason in html
    assert "No forecast of this coin has been scored yet" in html


def test_it_tells_the_other_reasons_for_no_forecast_apart(client: Client, coin: Cryptocurrency) -> None:
    assert "No model serves yet" in page(client, "/coins/bitcoin/")
    make_model()
    assert "The first forecast is on its way" in page(client, "/coins/bitcoin/")
    PriceData.objects.all().delete()
    assert "Waiting for the first sync" in page(client, "/coins/bitcoin/")
    Cryptocurrency.objects.update(is_tracked=False)
    assert "History is not collected for this coin" in page(client, "/coins/bitcoin/")


def test_it_says_when_the_newest_forecast_is_out_of_date(
    client: Client, coin: Cryptocurrency, model: TrainedModel
) -> None:
    append(predictions=[forecast(coin, model, cutoff_at=timezone.now() - 3 * DAY)])
    assert "out of date" in page(client, "/coins/bitcoin/")


# A forecast's own page ------------------------------------------------------------------------------


def test_it_keeps_a_page_for_an_open_forecast(client: Client, coin: Cryptocurrency, model: TrainedModel) -> None:
    one = make_fan(coin, model)[1]
    html = page(client, f"/forecasts/{one.pk}/")
    assert "Its day has not been settled yet" in html
    for fact in (one.inputs_sha256, one.previous_hash, one.row_hash, "lstm-1", "made from sample data"):
        assert fact in html
    assert html.count('<th scope="row">97.5%</th>') == 1
    figure_of(html, "forecast-figure")


def test_it_shows_a_miss_on_its_page_with_every_score(
    client: Client, coin: Cryptocurrency, model: TrainedModel
) -> None:
    one = settle(coin, model, days=3, misses=1)[-1]
    html = page(client, f"/forecasts/{one.pk}/")
    assert "✗ outside the 80% band" in html
    assert "above the 97.5% quantile" in html
    assert "$300.00" in html
    assert one.crps is not None
    assert f"{one.crps:.5f}" in html


def test_it_says_why_a_forecast_is_void(client: Client, coin: Cryptocurrency, model: TrainedModel) -> None:
    one = make_ledger(coin, model, dates=1)[0]
    void(one, "No price was observed at the target time.")
    one.save()
    assert "No price was observed at the target time." in page(client, f"/forecasts/{one.pk}/")


def test_it_links_each_forecast_to_its_neighbours_in_the_chain(
    client: Client, coin: Cryptocurrency, model: TrainedModel
) -> None:
    first, second, third = make_ledger(coin, model, dates=3)
    html = page(client, f"/forecasts/{second.pk}/")
    assert f'rel="prev" href="/forecasts/{first.pk}/"' in html
    assert f'rel="next" href="/forecasts/{third.pk}/"' in html
    assert 'rel="prev"' not in page(client, f"/forecasts/{first.pk}/")
    assert 'rel="next"' not in page(client, f"/forecasts/{third.pk}/")


def test_it_answers_for_an_unknown_forecast_in_words(client: Client) -> None:
    assert "holds no forecast with the number 999" in page(client, "/forecasts/999/", status=404)


# The track record -----------------------------------------------------------------------------------


def test_it_counts_down_while_it_is_too_early(client: Client, coin: Cryptocurrency, model: TrainedModel) -> None:
    make_ledger(coin, model, dates=12, scored=10)
    html = page(client, "/track-record/")
    assert "It is too early to say whether the model beats the naive baseline" in html
    assert "20 scored dates to go" in html
    assert f'<progress value="10" max="{MIN_DATES}"' in html


def test_it_says_what_a_record_without_any_score_waits_for(
    client: Client, coin: Cryptocurrency, model: TrainedModel
) -> None:
    assert "Nothing scored yet" in page(client, "/track-record/")
    make_ledger(coin, model, dates=2)
    html = page(client, "/track-record/")
    assert "2 forecasts wait for their day" in html
    assert "plotly" not in html, "a page without a chart loads no chart library"


def test_it_shows_the_record_with_its_verdict_figures_and_worst_misses(
    client: Client, coin: Cryptocurrency, model: TrainedModel
) -> None:
    settle(coin, model, days=40, misses=12)
    html = page(client, "/track-record/")
    assert html.index('class="verdict"') < html.index("<table"), "the verdict comes first"
    evidence = evidence_by_horizon()[1]
    assert evidence.skill is not None
    assert words.signed(evidence.skill) in html
    assert html.count("/forecasts/") == 10, "ten worst misses, no more"
    assert html.count('<th scope="row" class="nowrap">') == len(HORIZONS)
    figure_of(html, "skill-figure")
    figure_of(html, "calibration-figure")


def test_it_never_shows_a_back_test_as_evidence(client: Client) -> None:
    against = {"skill": 0.0123, "interval": [-0.001, 0.02], "label": "equals_baseline"}
    row = {
        "model": "lstm", "horizon": 7, "n_dates": 100, "n_forecasts": 5000, "coverage_80": 0.79, "coverage_95": 0.95,
        "against": {"fhs": against},
    }  # fmt: skip
    make_model(metrics={"validation": {"kind": "back-test, not evidence", "rows": [row]}})
    html = page(client, "/track-record/")
    after = html[html.index("backtest-heading") :]
    assert "back-test, not evidence" in after
    assert "+1.23%" in after
    assert "+1.23%" not in html[: html.index("backtest-heading")]


def test_it_explains_the_method_with_a_glossary(client: Client) -> None:
    html = page(client, "/method/")
    for term in ("Baseline", "Coverage", "Cutoff", "Horizon", "Quantile", "Skill", "Window"):
        assert f"<dt>{term}</dt>" in html


# The words ------------------------------------------------------------------------------------------


def test_it_has_words_and_a_badge_for_every_label() -> None:
    shown = {words.label_words(label).text for label in Label}
    assert len(shown) == len(Label)
    with pytest.raises(ValueError, match="is not a valid Label"):
        words.label_words("brilliant")


def test_it_names_every_figure_that_a_label_rests_on(coin: Cryptocurrency, model: TrainedModel) -> None:
    make_ledger(coin, model, dates=100, scored=100)
    sentence = words.evidence_sentence(evidence_by_horizon()[1])
    for part in ("FHS random walk", "100 dates", "100 forecasts", "95% interval", "1 Jan 2026", "weighted by date"):
        assert part in sentence


@pytest.mark.parametrize(
    ("move", "place"),
    [
        (-1.0, "below the 2.5% quantile"),
        (0.001, "between the 50% and 60% quantiles"),
        (1.0, "above the 97.5% quantile"),
    ],
)
def test_it_says_where_an_outcome_fell(coin: Cryptocurrency, model: TrainedModel, move: float, place: str) -> None:
    one = forecast(coin, model, cutoff_at=FIRST_CUTOFF)
    assert words.place_among(one.quantiles, 100 * math.exp(move)) == place
