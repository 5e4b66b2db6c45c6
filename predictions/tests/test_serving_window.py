"""Serving sees enough of the past: its forecasts are those that all of it would give."""

import numpy as np

from markets.models import Cryptocurrency
from predictions.forecasting.quantiles import BAND_80
from predictions.forecasting.series import Panel
from predictions.forecasting.serving import CoinForecast, load
from predictions.history import SERVING_DAYS, read_panel
from predictions.tests.conftest import MIDNIGHT
from predictions.tests.forecasting.conftest import STARTER
from predictions.tests.forecasting.simulate import market


def widths(panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    """The model's and the baseline's 80 % bands of each coin at every horizon."""
    found = load(STARTER).forecast(panel, cutoff=panel.last_date).values()
    both = [(one.log_quantiles, one.baselines["fhs"]) for one in found if isinstance(one, CoinForecast)]
    model, fhs = (np.array([q[:, BAND_80[1]] - q[:, BAND_80[0]] for q in column]) for column in zip(*both, strict=True))
    return model, fhs


def test_it_forecasts_from_its_window_what_eight_years_would_give() -> None:
    whole = market(days=8 * 365, coins=8)
    before = np.full(len(whole.coins), len(whole.dates) - SERVING_DAYS)
    served = Panel(whole.dates[-SERVING_DAYS:], whole.coins, whole.prices[-SERVING_DAYS:], before)
    (model, fhs), (served_model, served_fhs) = widths(whole), widths(served)
    np.testing.assert_allclose(served_fhs, fhs, rtol=1e-6)
    np.testing.assert_allclose(served_model, model, rtol=1e-3)


def test_it_counts_the_days_before_its_window(coins: list[Cryptocurrency]) -> None:
    """Six coins have 200 closed days, one has 40: of the last 50 days, as of all."""
    whole, window = read_panel(cutoff_on=MIDNIGHT.date()), read_panel(cutoff_on=MIDNIGHT.date(), days=50)
    assert whole.steps_before is None
    assert window.steps_before is not None
    assert dict(zip(window.coins, window.steps_before.tolist(), strict=True)) == {
        coin: 150 if coin != "coin-6" else 0 for coin in whole.coins
    }
