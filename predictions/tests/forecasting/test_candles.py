"""What prices did within a step: measured by its candle, known when it has closed, and used where it is known."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from predictions.forecasting.candles import Candles, garman_klass
from predictions.forecasting.features import build_features, candle_names, feature_names, step_names
from predictions.forecasting.folders import read_csv_folder
from predictions.forecasting.frequency import HOURLY_STEPS
from predictions.forecasting.recipe import DAILY, HOURLY
from predictions.forecasting.series import Panel, dataset_hash
from predictions.forecasting.volatility import CAP_SIGMAS_SQUARED, MIN_CANDLE, realised_means

from .simulate import FIRST_HOUR, hours_with_candles

NAMES = feature_names(HOURLY)


def within(panel: Panel) -> np.ndarray:
    assert panel.realised is not None
    return panel.realised


def own(panel: Panel, name: str) -> np.ndarray:
    return build_features(panel, HOURLY).last[:, :, NAMES.index(name)]


@pytest.fixture(scope="module")
def panel() -> Panel:
    return hours_with_candles()


def test_it_measures_the_variance_of_a_random_walk_within_each_step() -> None:
    found = hours_with_candles(1000, within=1000)
    calm = (np.arange(1, 1000) - 1) // 100 % 2 == 0
    means = [np.nanmean(within(found)[1:][part]) for part in (calm, ~calm)]
    np.testing.assert_allclose(np.sqrt(means), [0.004, 0.008], rtol=0.05)


def test_it_is_more_precise_than_the_square_of_a_return(panel: Panel) -> None:
    logs = np.log(panel.prices)
    squares = np.diff(logs, axis=0) ** 2
    spread = [np.std(one[:99]) / np.mean(one[:99]) for one in (within(panel)[1:], squares)]
    assert spread[0] < 0.6 * spread[1]


@pytest.mark.parametrize(
    "candle", [(1, 2, 0, 1), (1, 2, 1.5, 1.6), (1, 1.1, 1, 1.2), (1, np.nan, 1, 1), (1, np.inf, 1, 1)]
)
def test_it_makes_nothing_of_an_impossible_candle(candle: tuple[float, ...]) -> None:
    assert np.isnan(garman_klass(*(np.array([float(price)]) for price in candle))).all()


def test_it_knows_a_candle_when_it_has_closed() -> None:
    panel = Panel(np.datetime64(FIRST_HOUR, "h") + np.arange(4), ["a"], np.ones((4, 1)))
    candles = Candles()
    candles.add("a", FIRST_HOUR + timedelta(hours=1), (1, 2, 1, 1))
    candles.add("a", FIRST_HOUR + timedelta(hours=2, minutes=30), (1, 3, 1, 1))  # no full hour
    candles.add("a", FIRST_HOUR + timedelta(hours=3), (1, 3, 1, 1))  # closes after the panel
    candles.add("other", FIRST_HOUR, (1, 3, 1, 1))
    found = within(candles.onto(panel))
    np.testing.assert_array_equal(found[:, 0], [np.nan, np.nan, np.log(2) ** 2 / 2, np.nan])


def test_it_reads_candles_and_holes_in_them_from_a_folder(tmp_path: Path) -> None:
    rows = ["2024-01-01T00:00Z,1,2,1,1", "2024-01-01T01:00Z,1,,1,1", "2024-01-01T02:00Z,1,2,1,1"]
    (tmp_path / "a.csv").write_text("\n".join(["timestamp,open,high,low,close", *rows, ""]))
    found = within(read_csv_folder(tmp_path, frequency=HOURLY_STEPS))
    np.testing.assert_array_equal(found[:, 0], [np.nan, np.log(2) ** 2 / 2, np.nan])
    rows[2] = "2024-01-01T02:00Z,1,x,1,1"
    (tmp_path / "a.csv").write_text("\n".join(["timestamp,open,high,low,close", *rows, ""]))
    with pytest.raises(ValueError, match=r"a\.csv: line 4: could not convert string to float: 'x'"):
        read_csv_folder(tmp_path, frequency=HOURLY_STEPS)


def test_it_averages_the_known_candles_alone() -> None:
    sizes = np.array([4.0, np.nan, 1.0, 2.0])[:, None] / 1e4
    means, shares = realised_means(sizes, [0.5, 0.9])
    expected = [4, 4, (4 / 8 + 1 / 2) / (5 / 8), (4 / 16 + 1 / 4 + 2 / 2) / (13 / 16)]
    np.testing.assert_allclose(means[0, :, 0] * 1e4, expected)
    np.testing.assert_allclose(shares[:, 0], [0.1, 0.09, 0.181, 0.2629])
    last, share = realised_means(sizes, [0.5, 0.9], newest=2)
    assert (last.tobytes(), share.tobytes()) == (means[:, 2:].tobytes(), shares[2:].tobytes())


def test_it_lets_no_single_candle_dominate_and_none_be_without_size() -> None:
    sizes = np.full((300, 1), 1e-4)
    sizes[250], sizes[299] = 5.0, 0.0
    means, _ = realised_means(sizes, [0.0, 0.995])
    np.testing.assert_allclose(means[0, 250, 0], CAP_SIGMAS_SQUARED * 1e-4)
    assert means[0, 299, 0] == MIN_CANDLE


def test_it_holds_fast_means_against_the_slow_one(panel: Panel) -> None:
    means, _ = realised_means(within(panel), HOURLY.candle_decays)
    fast, slow = means[2, 1000, 1], means[4, 1000, 1]
    np.testing.assert_allclose(own(panel, "candle_0.9")[1000, 1], np.log(fast / slow) / 2, rtol=1e-6)
    assert own(panel, "candle_0.9")[1000].mean() > 0.2  # at the end of a wild spell
    assert own(panel, "candle_0.9")[1100].mean() < -0.2


def test_it_does_not_mind_of_how_many_prices_candles_are_made(panel: Panel) -> None:
    coarse = replace(panel, realised=0.5 * within(panel))
    expected, found = (build_features(one, HOURLY).last for one in (panel, coarse))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_it_flags_the_rows_whose_candles_are_known(panel: Panel) -> None:
    holed = within(panel).copy()
    holed[1000, 1] = np.nan
    holed[:1150, 2] = np.nan
    found = replace(panel, realised=holed)
    flags = own(found, "has_candles")
    assert not flags[:138].any()  # the slow mean rests on too few
    assert flags[150:, 0].all()
    assert flags[[999, 1000, 1001], 1].tolist() == [1, 0, 1]
    assert not flags[:, 2].any()
    for name in candle_names(HOURLY):
        if name != "market_candle":
            assert not own(found, name)[1000, 1]
    market = own(found, "market_candle")
    np.testing.assert_allclose(market[1000], own(found, "candle_0")[1000, 0], rtol=1e-6)
    np.testing.assert_allclose(market[999], own(found, "candle_0")[999, :2].mean(), rtol=1e-6)


def test_it_says_of_prices_without_candles_that_it_knows_none(panel: Panel) -> None:
    built = build_features(replace(panel, realised=None), HOURLY)
    assert not built.last[:, :, -len(candle_names(HOURLY)) :].any()
    known = build_features(panel, HOURLY)
    assert built.eligible.tobytes() == known.eligible.tobytes()
    plain = slice(None, -len(candle_names(HOURLY)))
    assert built.last[:, :, plain].tobytes() == known.last[:, :, plain].tobytes()


def test_a_later_candle_changes_nothing_before_it(panel: Panel) -> None:
    later = within(panel).copy()
    later[800:] *= 40
    first, second = (build_features(replace(panel, realised=one), HOURLY) for one in (within(panel), later))
    assert first.last[:800].tobytes() == second.last[:800].tobytes()
    assert (first.last[800] != second.last[800]).any()


def test_steps_show_the_candles_of_the_coin_and_of_the_market(panel: Panel) -> None:
    built = build_features(panel, HOURLY)
    assert step_names(HOURLY)[3:] == ("candle_0", "market_candle")
    for column, name in enumerate(step_names(HOURLY)):
        assert built.steps[:, :, column].tobytes() == built.last[:, :, NAMES.index(name)].tobytes()


def test_a_daily_recipe_looks_at_none() -> None:
    assert candle_names(DAILY) == ()
    assert step_names(DAILY) == feature_names(DAILY)[:3]


def test_candles_end_with_their_prices_and_are_part_of_what_a_dataset_is(panel: Panel) -> None:
    cut = panel.until(datetime(2024, 1, 3))
    assert within(cut).shape == cut.prices.shape == (49, 3)
    assert dataset_hash(panel) != dataset_hash(replace(panel, realised=None))
    with pytest.raises(ValueError, match="realised variances are"):
        Panel(panel.dates, panel.coins, panel.prices, realised=within(panel)[1:])
