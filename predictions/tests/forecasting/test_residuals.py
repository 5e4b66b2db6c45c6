"""Joint residuals: all coins on the same dates, nothing after the cutoff, whole through bytes."""

import numpy as np
import pytest

from predictions.forecasting.features import build_features
from predictions.forecasting.residuals import JointResiduals
from predictions.forecasting.series import Panel
from predictions.forecasting.serving import Forecaster

from .simulate import day, with_prices

CUTOFF_ROW = 350


@pytest.fixture(scope="module")
def residuals(starter: Forecaster, panel: Panel) -> JointResiduals:
    return starter.joint_residuals(panel, cutoff=day(panel, CUTOFF_ROW), horizon=7)


def test_it_divides_each_move_by_the_scale_of_its_day(residuals: JointResiduals, panel: Panel) -> None:
    sigma = build_features(panel).sigma
    assert residuals.cutoffs[-1] == panel.dates[CUTOFF_ROW - 7]
    move = np.log(panel.prices[307, 2] / panel.prices[300, 2])
    found = residuals.values[list(residuals.cutoffs).index(panel.dates[300]), 2]
    assert found == pytest.approx(move / (sigma[300, 2] * 7**0.5), rel=1e-6)
    assert residuals.coins == panel.coins
    assert np.isnan(residuals.values[:88]).all()


def test_it_looks_at_nothing_after_the_cutoff(residuals: JointResiduals, starter: Forecaster, panel: Panel) -> None:
    changed = panel.prices.copy()
    changed[CUTOFF_ROW + 1 :] *= 3
    other = starter.joint_residuals(with_prices(panel, changed), cutoff=day(panel, CUTOFF_ROW), horizon=7)
    assert other.values.tobytes() == residuals.values.tobytes()


def test_it_survives_bytes(residuals: JointResiduals) -> None:
    again = JointResiduals.from_bytes(residuals.to_bytes())
    assert again.values.tobytes() == residuals.values.tobytes()
    assert (again.horizon, again.coins) == (7, residuals.coins)
    np.testing.assert_array_equal(again.cutoffs, residuals.cutoffs)


def test_it_keeps_moves_of_the_same_date_together(residuals: JointResiduals) -> None:
    known = residuals.values[np.isfinite(residuals.values).all(axis=1)]
    assert np.corrcoef(known[:, 0], known[:, 1])[0, 1] > 0.1


def test_it_knows_only_its_own_horizons(starter: Forecaster, panel: Panel) -> None:
    with pytest.raises(ValueError, match="not in tuple"):
        starter.joint_residuals(panel, cutoff=day(panel, CUTOFF_ROW), horizon=4)
