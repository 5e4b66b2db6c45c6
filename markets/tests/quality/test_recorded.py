"""The rules against 195 recorded coins: the known faults are found, the real collapses are left alone."""

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from markets.quality.rules import LIMITS, find_frozen, find_gaps, find_outliers
from markets.tests.quality.conftest import Stored, read_candles, read_days, stored_days

pytestmark = pytest.mark.shared

# Every point of 194,727 that is quarantined: the price at 00:00 UTC of that date.
GLITCHES = {
    "binancecoin": ["2017-10-19"],
    "stellar": ["2015-03-01", "2015-03-04", "2015-03-05", "2015-03-15"],
}


def bad_points(days: np.ndarray, prices: np.ndarray) -> list[str]:
    found = find_outliers(days, prices, prices, LIMITS["1d"])
    return [date.fromordinal(int(days[place])).isoformat() for one in found for place in range(one.start, one.stop)]


def quarantined_rows(stored: Stored, interval: str) -> int:
    return sum(one.stop - one.start for one in find_outliers(*stored, LIMITS[interval]))


def test_it_quarantines_the_known_glitches_of_all_coins_and_nothing_else(market_data: Path) -> None:
    files = sorted((market_data / "daily").glob("*.csv"))
    found = {path.stem: bad_points(*read_days(path)) for path in files}
    assert len(files) == 195
    assert {coin: dates for coin, dates in found.items() if dates} == GLITCHES


def test_it_quarantines_nine_of_their_stored_days(market_data: Path) -> None:
    rows = {path.stem: quarantined_rows(stored_days(path), "1d") for path in (market_data / "daily").glob("*.csv")}
    assert {coin: count for coin, count in rows.items() if count} == {"binancecoin": 2, "stellar": 7}


@pytest.mark.parametrize("coin", ["terra-luna", "ftx-token", "mantra-dao", "shiba-inu", "kusama"])
def test_it_leaves_real_collapses_first_months_and_steps_alone(market_data: Path, coin: str) -> None:
    # Kusama's fall of 2019-12-06 by two thirds never came back: a step, which prices alone cannot tell from a collapse.
    assert quarantined_rows(stored_days(market_data / "daily" / f"{coin}.csv"), "1d") == 0


@pytest.mark.parametrize(("folder", "interval", "files"), [("hourly", "1h", 22), ("5min", "5m", 5)])
def test_it_finds_no_outlier_and_no_frozen_feed_in_exchange_prices(
    market_data: Path, folder: str, interval: str, files: int
) -> None:
    limits = LIMITS[interval]
    paths = sorted((market_data / folder).glob("*.csv"))
    assert len(paths) == files
    for path in paths:
        slots, opens, closes = read_candles(path, limits.seconds)
        assert find_outliers(slots, opens, closes, limits) == [], path.stem
        assert find_frozen(slots, closes, limits) == [], path.stem
        assert len(find_gaps(slots, limits)) <= 15, path.stem


def test_it_calls_only_six_runs_of_daily_prices_frozen(market_data: Path) -> None:
    found = {}
    for path in (market_data / "daily").glob("*.csv"):
        days, prices = read_days(path)
        if runs := find_frozen(days, prices, LIMITS["1d"]):
            found[path.stem] = len(runs)
    assert found == {"a7a5": 1, "ethereum-classic": 1, "ripple": 2, "stellar": 1, "tether": 1}


def test_it_finds_the_known_gaps(market_data: Path) -> None:
    gaps = {}
    for path in (market_data / "daily").glob("*.csv"):
        days, _ = read_days(path)
        gaps[path.stem] = [(date.fromordinal(gap.slot).isoformat(), gap.count) for gap in find_gaps(days, LIMITS["1d"])]
    turn_of_the_year = [coin for coin, found in gaps.items() if any(first == "2023-12-31" for first, _ in found)]
    assert len(turn_of_the_year) > 20
    assert max(count for _, count in gaps["leo-token"]) > 800
