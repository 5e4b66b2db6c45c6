"""Features: the recipe's formulas restated, and no row that knows its future."""

import numpy as np

from predictions.forecasting.features import DECAYS, FEATURES, build_features, market_returns
from predictions.forecasting.series import Panel, log_returns
from predictions.forecasting.volatility import MIN_SIGMA, ewma_variances

from .simulate import day, market, with_prices


def plain_ewma(returns: np.ndarray, decay: float) -> list[float]:
    variance = float(np.mean(returns[:20] ** 2))
    result = [np.nan] * 19 + [variance]
    for r in returns[20:]:
        variance = decay * variance + (1 - decay) * min(r * r, 25 * variance)
        result.append(variance)
    return result


def test_it_computes_the_capped_ewma_of_its_formula() -> None:
    returns = 0.03 * np.random.default_rng(0).standard_normal(200)
    returns[100] = -2.0
    variances = ewma_variances(returns[:, None], DECAYS)
    for k, decay in enumerate(DECAYS):
        np.testing.assert_allclose(variances[k, :, 0], plain_ewma(returns, decay), rtol=1e-12)


def test_it_restarts_the_ewma_where_a_return_is_unknown() -> None:
    returns = 0.03 * np.random.default_rng(0).standard_normal(80)
    returns[40] = np.nan
    variances = ewma_variances(returns[:, None], [0.94])[0, :, 0]
    assert np.isnan(variances[40:60]).all()
    np.testing.assert_allclose(variances[60], np.mean(returns[41:61] ** 2))


def test_it_never_lets_the_scale_vanish() -> None:
    variances = ewma_variances(np.zeros((50, 1)), [0.94])
    np.testing.assert_allclose(np.sqrt(variances[0, 19:, 0]), MIN_SIGMA)


def test_it_standardises_a_return_by_the_scale_of_the_day_before(panel: Panel) -> None:
    features = build_features(panel)
    t, coin = 200, 3
    r = np.log(panel.prices[t, coin] / panel.prices[t - 1, coin])
    x = np.clip(r / features.sigma[t - 1, coin], -6, 6) / 2
    assert features.last[t, coin, 0] == np.float32(x)
    assert features.last[t, coin, 1] == np.float32(np.log1p(abs(2 * x)) - 0.5)


def test_it_mixes_the_base_scale_of_a_fast_and_a_slow_one(panel: Panel) -> None:
    variances = ewma_variances(log_returns(panel.prices), [0.94, 0.985])
    expected = np.sqrt(0.65 * variances[0] + 0.35 * variances[1])
    np.testing.assert_array_equal(build_features(panel).sigma, expected)


def test_it_marks_the_weekday_of_the_cutoff(panel: Panel) -> None:
    features = build_features(panel)
    monday = np.flatnonzero([day(panel, t).weekday() == 0 for t in range(len(panel.dates))])
    flag = features.last[:, 0, FEATURES.index("weekday_mon")]
    np.testing.assert_array_equal(np.flatnonzero(flag == 1), monday)


def test_it_clips_every_feature_to_five(panel: Panel) -> None:
    prices = panel.prices.copy()
    prices[300:, 2] *= 1e-6
    last = build_features(with_prices(panel, prices)).last
    assert np.nanmax(np.abs(last)) <= 5


def test_it_knows_nothing_after_the_cutoff(panel: Panel) -> None:
    cutoff = 320
    changed = panel.prices.copy()
    changed[cutoff + 1 :] *= np.random.default_rng(9).uniform(0.2, 5, changed[cutoff + 1 :].shape)
    changed[cutoff + 5 :, 1] = np.nan
    before, after = build_features(panel), build_features(with_prices(panel, changed))
    for name in ("last", "steps", "sigma", "sigma_ewma", "eligible"):
        kept, other = getattr(before, name)[: cutoff + 1], getattr(after, name)[: cutoff + 1]
        assert kept.tobytes() == other.tobytes(), name


def test_it_computes_the_same_features_for_serving_as_for_training() -> None:
    panel = market(days=300, coins=5, seed=4)
    prices = panel.prices.copy()
    prices[150:153, 0] = np.nan
    prices[200:207, 1] = np.nan
    prices[260:, 2] = np.nan
    panel = with_prices(panel, prices)
    trained_on = build_features(panel)
    for t in (149, 150, 152, 153, 206, 240, 299):
        served = build_features(panel.until(day(panel, t)))
        able = served.eligible[-1]
        np.testing.assert_array_equal(able, trained_on.eligible[t])
        assert served.last[-1][able].tobytes() == trained_on.last[t][able].tobytes()
        windows = served.steps[-60:, able].tobytes(), trained_on.steps[t - 59 : t + 1, able].tobytes()
        assert windows[0] == windows[1]


def test_it_keeps_dead_coins_in_the_market_of_their_time() -> None:
    panel = market(days=200, coins=4)
    prices = panel.prices.copy()
    prices[150:, 3] = np.nan
    returns = market_returns(with_prices(panel, prices))
    observed = log_returns(panel.prices)
    assert returns[140] == np.clip(observed[140], -0.5, 0.5).mean()
    np.testing.assert_allclose(returns[160], np.clip(observed[160, :3], -0.5, 0.5).mean(), rtol=1e-12)


def test_it_leaves_pegged_and_fresh_coins_out_of_the_market() -> None:
    panel = market(days=200, coins=4)
    prices = panel.prices.copy()
    prices[:, 2] = 1 + 1e-4 * np.sin(np.arange(200))
    prices[:160, 3] = np.nan
    returns = market_returns(with_prices(panel, prices))
    observed = log_returns(prices)
    np.testing.assert_allclose(returns[180], observed[180, :2].mean(), rtol=1e-12)


def test_it_uses_the_market_where_bitcoin_has_no_scale(panel: Panel) -> None:
    others = Panel(panel.dates, ["aaa", *panel.coins[1:]], panel.prices)
    last = build_features(others).last
    bitcoin, market_trend = (
        FEATURES.index("bitcoin_volatility_trend"),
        FEATURES.index("market_volatility_trend"),
    )
    np.testing.assert_array_equal(last[..., bitcoin], last[..., market_trend])
    assert (build_features(panel).last[-1, :, bitcoin] != last[-1, :, bitcoin]).all()
