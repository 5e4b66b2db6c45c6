"""The simulated market: the same past at every start, and returns that look like those of real coins."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from markets.sample.market import HistoryMarket
from markets.sample.noise import FloatArray
from markets.sample.simulated import simulated_market

from .conftest import NOW

TODAY = (NOW.date() - datetime(1970, 1, 1, tzinfo=UTC).date()).days
PEGGED = ("tether", "usd-coin", "dai", "falcon-finance")


def log_returns(market: HistoryMarket, coin_id: str, days: int = 1_460) -> FloatArray:
    prices = market.history(coin_id).daily(TODAY - days, days + 1).prices
    returns: FloatArray = np.diff(np.log(prices[~np.isnan(prices)]))
    return returns


def kurtosis(returns: FloatArray) -> float:
    centred = returns - returns.mean()
    return float(np.mean(centred**4) / np.mean(centred**2) ** 2)


def autocorrelation(values: FloatArray, lag: int) -> float:
    return float(np.corrcoef(values[lag:], values[:-lag])[0, 1])


def coins_with_four_years(market: HistoryMarket) -> list[str]:
    return [
        coin_id
        for coin_id in market.coins
        if market.history(coin_id).first_day <= TODAY - 1_460 and coin_id not in PEGGED
    ]


@pytest.mark.parametrize("coin_id", ["bitcoin", "tether", "pepe"])
def test_it_gives_the_same_past_at_every_start_on_any_day_with_any_number_of_coins(
    market: HistoryMarket, coin_id: str
) -> None:
    later = simulated_market(seed=7, coin_count=80, today=NOW.date() + timedelta(days=200))
    stamps = NOW.timestamp() - np.arange(0.0, 400.0) * 7_201.5
    first, second = market.history(coin_id).at(stamps), later.history(coin_id).at(stamps)
    assert all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))


def test_it_gives_another_market_for_another_seed(market: HistoryMarket) -> None:
    other = simulated_market(seed=8, coin_count=2, today=NOW.date())
    assert not np.any(log_returns(market, "bitcoin") == log_returns(other, "bitcoin"))


def test_it_has_fifty_coins_with_bitcoin_and_four_years_of_most(market: HistoryMarket) -> None:
    assert len(market.coins) == 50
    assert "bitcoin" in market.coins
    assert len(coins_with_four_years(market)) >= 30


def test_it_has_fat_tails(market: HistoryMarket) -> None:
    measured = [kurtosis(log_returns(market, coin_id)) for coin_id in coins_with_four_years(market)]
    assert 5.0 < np.median(measured) < 20.0  # a normal variable has 3, daily bitcoin about 8 to 12


def test_it_clusters_volatility_but_not_returns(market: HistoryMarket) -> None:
    returns = [log_returns(market, coin_id) for coin_id in coins_with_four_years(market)]
    by_lag = [np.median([autocorrelation(np.abs(one), lag) for one in returns]) for lag in (1, 5, 10)]
    assert min(by_lag) > 0.06
    assert np.median([autocorrelation(one**2, 1) for one in returns]) > 0.08
    assert abs(np.median([autocorrelation(one, 1) for one in returns])) < 0.05


def test_it_moves_daily_by_a_few_percent(market: HistoryMarket) -> None:
    deviations = [np.std(log_returns(market, coin_id)) for coin_id in coins_with_four_years(market)]
    assert 0.02 < np.median(deviations) < 0.06
    assert 0.015 < np.std(log_returns(market, "bitcoin")) < 0.045


def test_it_moves_coins_together(market: HistoryMarket) -> None:
    bitcoin, ethereum = log_returns(market, "bitcoin"), log_returns(market, "ethereum")
    assert np.corrcoef(bitcoin, ethereum)[0, 1] > 0.5
    assert abs(np.corrcoef(bitcoin, log_returns(market, "tether"))[0, 1]) < 0.1


@pytest.mark.parametrize("coin_id", PEGGED)
def test_it_keeps_pegged_coins_near_one_dollar(market: HistoryMarket, coin_id: str) -> None:
    prices = market.history(coin_id).price_path(TODAY - 365, 366)
    assert np.all(np.abs(prices - 1.0) < 0.03)
    assert np.std(prices) > 0.0


def test_it_has_young_coins_and_delisted_ones(market: HistoryMarket) -> None:
    ages = [TODAY - market.history(coin_id).first_day for coin_id in market.coins]
    assert sum(0 <= age < 90 for age in ages) == 3
    assert market.inactive_coins
    assert not market.inactive_coins.keys() & market.coins.keys()


def test_it_refuses_a_market_without_coins() -> None:
    with pytest.raises(ValueError, match="at least 1 coin"):
        simulated_market(seed=7, coin_count=0, today=NOW.date())
