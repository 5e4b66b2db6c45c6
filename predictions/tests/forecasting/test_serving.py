"""Serving: forecasts from the shipped forecaster, the same whatever comes later, without TensorFlow."""

import subprocess
import sys
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from predictions.forecasting.baselines import ewma_n, fhs
from predictions.forecasting.features import build_features
from predictions.forecasting.quantiles import HORIZONS, LEVELS
from predictions.forecasting.series import NEAR_CONSTANT, NO_PRICE, Panel
from predictions.forecasting.serving import CoinForecast, Forecaster

from .simulate import day, market, with_prices

CUTOFF_ROW = 330


@pytest.fixture(scope="module")
def cutoff(panel: Panel) -> date:
    return day(panel, CUTOFF_ROW)


@pytest.fixture(scope="module")
def forecasts(starter: Forecaster, panel: Panel, cutoff: date) -> dict[str, CoinForecast]:
    return all_able(starter.forecast(panel, cutoff=cutoff))


def all_able(found: dict[str, CoinForecast | str]) -> dict[str, CoinForecast]:
    able = {coin: forecast for coin, forecast in found.items() if isinstance(forecast, CoinForecast)}
    assert list(able) == list(found)
    return able


def fingerprint(forecasts: Mapping[str, CoinForecast | str]) -> dict[str, object]:
    return {
        coin: found
        if isinstance(found, str)
        else (
            found.base_price,
            found.log_quantiles.tobytes(),
            {name: array.tobytes() for name, array in found.baselines.items()},
            found.inputs_hash,
        )
        for coin, found in forecasts.items()
    }


def test_it_forecasts_every_coin_with_rising_quantiles(forecasts: dict[str, CoinForecast], panel: Panel) -> None:
    assert list(forecasts) == panel.coins
    for found in forecasts.values():
        assert found.log_quantiles.shape == (len(HORIZONS), len(LEVELS))
        assert (np.diff(found.log_quantiles, axis=1) > 0).all()


def test_it_starts_from_the_price_at_the_cutoff(forecasts: dict[str, CoinForecast], panel: Panel, cutoff: date) -> None:
    found = forecasts["coin-03"]
    assert found.base_price == panel.prices[CUTOFF_ROW, 3]
    assert (found.coin, found.cutoff) == ("coin-03", cutoff)
    for name, quantiles in (("lstm", found.log_quantiles), *found.baselines.items()):
        np.testing.assert_allclose(found.price_quantiles(name), found.base_price * np.exp(quantiles))
    with pytest.raises(KeyError):
        found.price_quantiles("oracle")


def test_it_stands_both_baselines_beside_the_model(
    forecasts: dict[str, CoinForecast], panel: Panel, starter: Forecaster, cutoff: date
) -> None:
    features = build_features(panel.until(cutoff))
    found = forecasts["coin-02"].baselines
    np.testing.assert_array_equal(found["fhs"], fhs(features.sigma[-1, 2:3], starter.z)[0])
    np.testing.assert_array_equal(found["ewma_n"], ewma_n(features.sigma_ewma[-1, 2:3])[0])


def test_it_gives_identical_forecasts_whatever_happens_after_the_cutoff(
    starter: Forecaster, panel: Panel, cutoff: date, forecasts: dict[str, CoinForecast]
) -> None:
    changed = panel.prices.copy()
    changed[CUTOFF_ROW + 1 :] *= np.random.default_rng(9).uniform(0.1, 9, changed[CUTOFF_ROW + 1 :].shape)
    changed[CUTOFF_ROW + 2 :, 2] = np.nan
    changed[CUTOFF_ROW + 1 :, 4] = 1.0
    later = starter.forecast(with_prices(panel, changed), cutoff=cutoff)
    alone = starter.forecast(panel.until(cutoff), cutoff=cutoff)
    assert fingerprint(later) == fingerprint(forecasts) == fingerprint(alone)


def test_it_forecasts_a_coin_alone_as_it_does_among_others(
    starter: Forecaster, panel: Panel, cutoff: date, forecasts: dict[str, CoinForecast]
) -> None:
    alone = all_able(starter.forecast(panel, cutoff=cutoff, coins=["coin-04"]))
    assert list(alone) == ["coin-04"]
    np.testing.assert_allclose(alone["coin-04"].log_quantiles, forecasts["coin-04"].log_quantiles, rtol=1e-6)
    assert alone["coin-04"].inputs_hash == forecasts["coin-04"].inputs_hash


def test_it_asks_the_network_once_for_all_coins(
    starter: Forecaster, panel: Panel, cutoff: date, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    run = starter.network.run

    def counted(steps: np.ndarray, last: np.ndarray) -> np.ndarray:
        sizes.append(len(last))
        return run(steps, last)

    monkeypatch.setattr(starter.network, "run", counted)
    starter.forecast(panel, cutoff=cutoff)
    assert sizes == [len(panel.coins)]


def test_it_gives_the_reason_instead_of_a_forecast(starter: Forecaster) -> None:
    panel = market(days=200, coins=4)
    prices = panel.prices.copy()
    prices[:139, 1] = np.nan
    prices[:, 2] = 1 + 1e-4 * np.sin(np.arange(200))
    prices[-1, 3] = np.nan
    asked = ["coin-01", "bitcoin", "coin-02", "coin-03", "nowhere"]
    found = starter.forecast(with_prices(panel, prices), cutoff=day(panel, 199), coins=asked)
    assert list(found) == asked
    assert isinstance(found.pop("bitcoin"), CoinForecast)
    assert found == {
        "coin-01": "not enough data: 61 of 90 days",
        "coin-02": NEAR_CONSTANT,
        "coin-03": NO_PRICE,
        "nowhere": NO_PRICE,
    }


def test_it_forecasts_on_the_first_eligible_day_and_not_before(starter: Forecaster) -> None:
    panel = market(days=95, coins=2)
    before = starter.forecast(panel, cutoff=day(panel, 88))["coin-01"]
    assert before == "not enough data: 89 of 90 days"
    assert isinstance(starter.forecast(panel, cutoff=day(panel, 89))["coin-01"], CoinForecast)


def test_it_forecasts_nothing_beyond_the_panel(starter: Forecaster, panel: Panel) -> None:
    found = starter.forecast(panel, cutoff=panel.last_date + timedelta(days=1))
    assert set(found.values()) == {NO_PRICE}


def test_it_hashes_the_exact_inputs(
    starter: Forecaster, panel: Panel, cutoff: date, forecasts: dict[str, CoinForecast]
) -> None:
    changed = panel.prices.copy()
    changed[CUTOFF_ROW - 20, 5] *= 1.001
    other = all_able(starter.forecast(with_prices(panel, changed), cutoff=cutoff))
    assert other["coin-05"].inputs_hash != forecasts["coin-05"].inputs_hash
    assert len({found.inputs_hash for found in forecasts.values()}) == len(panel.coins)


def test_it_widens_bands_after_a_crash(
    starter: Forecaster, panel: Panel, cutoff: date, forecasts: dict[str, CoinForecast]
) -> None:
    changed = panel.prices.copy()
    changed[CUTOFF_ROW:, 1] *= 0.4
    found = all_able(starter.forecast(with_prices(panel, changed), cutoff=cutoff))
    crashed = found["coin-01"].log_quantiles
    calm = forecasts["coin-01"].log_quantiles
    widened = (crashed[:, -1] - crashed[:, 0]) / (calm[:, -1] - calm[:, 0])
    assert widened[0] > 1.5
    assert (widened[HORIZONS.index(1) : HORIZONS.index(7) + 1] > 1).all()


def test_it_serves_without_importing_tensorflow_or_django(starter_folder: Path) -> None:
    code = (
        "import sys, pkgutil, importlib, predictions.forecasting as package\n"
        "for found in pkgutil.iter_modules(package.__path__):\n"
        "    if found.name != 'network':\n"
        "        importlib.import_module(f'{package.__name__}.{found.name}')\n"
        "from pathlib import Path\n"
        "from predictions.forecasting.serving import load\n"
        "load(Path(sys.argv[1]))\n"
        "print([name for name in ('tensorflow', 'keras', 'django') if name in sys.modules])\n"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code, str(starter_folder)],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
