"""What counts as a fault in a coin's prices, and what does not however wild it looks."""

import numpy as np
import pytest

from markets.quality.rules import (
    LIMITS,
    Gap,
    Limits,
    find_duplicates,
    find_frozen,
    find_gaps,
    find_outliers,
    find_repeats,
)
from markets.tests.quality.conftest import wander

DAY, HOUR, FINE = LIMITS["1d"], LIMITS["1h"], LIMITS["5m"]
SLOTS = np.arange(20_000, 20_100)


def opens_of(closes: np.ndarray) -> np.ndarray:
    return np.concatenate([closes[:1], closes[:-1]])


def quarantined(closes: np.ndarray, limits: Limits = DAY, slots: np.ndarray = SLOTS) -> list[int]:
    """Places of the rows of all outliers, where each row opens with the close before it."""
    found = find_outliers(slots[: len(closes)], opens_of(closes), closes, limits)
    return [place for one in found for place in range(one.start, one.stop)]


def spiked(factor: float, *, at: int = 60, length: int = 1, back: float = 1.0) -> np.ndarray:
    """A coin that jumps by a factor for some slots and then stands at `back` of where it was."""
    closes = np.concatenate([wander(60), np.full(40, 100.0) * np.exp(0.01 * np.resize([1, -1], 40))])
    closes[:60] *= 100.0 / closes[59]
    closes[at : at + length] = 100.0 * factor
    closes[at + length :] *= back
    return closes


class TestOutliers:
    @pytest.mark.parametrize("factor", [0.4, 2.5, 0.001])
    def test_it_finds_a_spike_that_comes_back_and_the_row_that_opens_with_it(self, factor: float) -> None:
        assert quarantined(spiked(factor)) == [60, 61]

    def test_it_tells_the_price_and_the_sound_ones_around_it(self) -> None:
        closes = spiked(0.4)
        (found,) = find_outliers(SLOTS, opens_of(closes), closes, DAY)
        assert (found.before, found.price, found.after) == pytest.approx((100.0, 40.0, 100.0), rel=0.02)

    def test_it_finds_a_large_spike_of_two_slots_only(self) -> None:
        assert quarantined(spiked(0.3, length=2)) == [60, 61, 62]
        assert quarantined(spiked(0.5, length=2)) == []  # small coins do rise for a day and fall back

    @pytest.mark.parametrize("fall", [0.5, 0.05, 0.00001])
    def test_it_leaves_a_collapse_that_stays(self, fall: float) -> None:
        assert quarantined(spiked(fall, back=fall)) == []

    def test_it_leaves_a_collapse_that_recovers_in_part(self) -> None:
        assert quarantined(spiked(0.2, back=0.55)) == []

    def test_it_leaves_a_spike_that_lasts_three_slots(self) -> None:
        assert quarantined(spiked(0.2, length=3)) == []

    def test_it_leaves_what_may_still_come_back(self) -> None:
        assert quarantined(spiked(0.2)[:61]) == []

    def test_it_leaves_a_spike_that_is_usual_for_the_coin(self) -> None:
        wild = wander(100, daily=0.25)
        wild[60], wild[61] = wild[59] * 0.4, wild[59]
        assert 60 not in quarantined(wild)

    def test_it_leaves_a_coin_of_which_it_knows_too_little(self) -> None:
        assert quarantined(spiked(0.2)[45:]) == []

    def test_it_leaves_a_jump_across_a_gap(self) -> None:
        closes = spiked(0.2)
        slots = SLOTS.copy()
        slots[60:] += 5
        assert quarantined(closes, slots=slots) == []

    def test_it_finds_an_opening_price_that_only_one_row_has(self) -> None:
        closes = spiked(1.0)
        opens = opens_of(closes)
        opens[70] *= 3
        (found,) = find_outliers(SLOTS, opens, closes, DAY)
        assert (found.start, found.stop) == (70, 71)

    def test_it_bridges_a_few_five_minute_slots_that_were_not_asked_for(self) -> None:
        closes = spiked(0.2)
        assert quarantined(closes, limits=FINE, slots=np.arange(0, 300, 3)) == [60, 61]


class TestGaps:
    def test_it_finds_what_is_missing_between_slots(self) -> None:
        assert find_gaps(np.array([1, 2, 5, 6, 8]), DAY) == [Gap(3, 2), Gap(7, 1)]

    def test_it_leaves_late_ticks_and_a_slower_coins_rhythm(self) -> None:
        assert find_gaps(np.array([1, 4, 8]), FINE) == [Gap(5, 3)]
        assert find_gaps(np.array([0, 3, 6, 9]), FINE, usual_step=3) == []
        assert find_gaps(np.array([0, 3, 13]), FINE, usual_step=3) == [Gap(4, 9)]


class TestFrozenFeeds:
    def test_it_finds_a_price_that_stands_still_in_a_coin_that_moves(self) -> None:
        closes = wander(100)
        closes[50:55] = closes[50]
        (run,) = find_frozen(SLOTS, closes, DAY)
        assert (run.start, run.stop) == (50, 55)

    def test_it_leaves_a_repetition_that_chance_explains(self) -> None:
        closes = wander(100)
        closes[50:53] = closes[50]
        assert find_frozen(SLOTS, closes, DAY) == []

    def test_it_leaves_pegged_coins(self) -> None:
        pegged = wander(100, daily=0.0004, start=1.0).round(3)
        pegged[50:60] = 1.0
        assert find_frozen(SLOTS, pegged, DAY) == []

    def test_it_leaves_coins_whose_price_often_repeats(self) -> None:
        thin = np.repeat(wander(50, daily=0.05), 2)
        thin[60:70] = thin[60]
        assert find_frozen(SLOTS, thin, DAY) == []

    def test_it_needs_half_a_day_of_hours(self) -> None:
        closes = wander(100, daily=0.005)
        closes[50:61] = closes[50]
        assert find_frozen(SLOTS, closes, HOUR) == []
        closes[50:62] = closes[50]
        assert len(find_frozen(SLOTS, closes, HOUR)) == 1


class TestRepeatedRows:
    def test_it_finds_a_row_that_repeats_every_figure(self) -> None:
        closes, volumes = wander(100), wander(100, seed=1)
        closes[50], volumes[50] = closes[49], volumes[49]
        (run,) = find_duplicates(SLOTS, [closes, volumes], closes, DAY)
        assert (run.start, run.stop) == (50, 51)
        volumes[50] *= 1.0001
        assert find_duplicates(SLOTS, [closes, volumes], closes, DAY) == []

    def test_it_takes_no_price_alone_for_a_repeated_row(self) -> None:
        closes, unknown = wander(100), np.full(100, np.nan)
        closes[50] = closes[49]
        assert find_duplicates(SLOTS, [closes, unknown], closes, DAY) == []

    def test_it_finds_several_prices_for_one_slot(self) -> None:
        assert find_repeats(np.array([5, 6, 5, 7, 7, 8])) == [2, 4]
