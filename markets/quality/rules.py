"""What counts as a gap, a repeated row, a frozen feed or an outlier: arithmetic over one coin's slots in time order.

Slots are whole numbers: a slot's start divided by the interval's length. Thresholds are structural, or come from
prices before 2022; docs/data-quality.md says which, and what they find in 195 coins.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

IntArray = np.ndarray
FloatArray = np.ndarray

# How many moves before a slot say how this coin usually moves, and how many of them must be known.
USUAL_MOVES = 30
KNOWN_MOVES = 20
LONGEST_SPIKE = 2
# A spike has come back when the prices around it differ by no more than this share of its size.
COMES_BACK_WITHIN = 0.3
# A spike is this many times the coin's median move; in May 2021 real days of luna and shiba reached 9.
UNUSUAL_TIMES = 10.0
# More repeated prices than this are that coin's habit (few decimals, a thin market) and no frozen feed.
USUAL_REPEATS = 0.1


@dataclass(frozen=True)
class Limits:
    """The thresholds of one interval; moves are differences of logarithms."""

    seconds: int
    smallest_spike: float
    longest_step: int  # slots between two prices that still stand side by side
    frozen_slots: int
    smallest_usual_move: float
    gap_slots: int

    @property
    def context_slots(self) -> int:
        """How many slots before one, and the spike after it, decide what is found there."""
        return USUAL_MOVES + max(self.frozen_slots, LONGEST_SPIKE) + 2


# Below `smallest_usual_move` a coin counts as pegged: half a per cent a day, and by the root of time on finer slots.
LIMITS = {
    "5m": Limits(300, 0.4, longest_step=4, frozen_slots=12, smallest_usual_move=0.0003, gap_slots=3),
    "1h": Limits(3600, 0.4, longest_step=1, frozen_slots=12, smallest_usual_move=0.001, gap_slots=1),
    "1d": Limits(86400, 0.5, longest_step=1, frozen_slots=4, smallest_usual_move=0.005, gap_slots=1),
}


@dataclass(frozen=True)
class Gap:
    """Missing slots: the first one, and how many."""

    slot: int
    count: int


@dataclass(frozen=True)
class Run:
    """Rows that belong together: places from `start` to before `stop`."""

    start: int
    stop: int


@dataclass(frozen=True)
class Outlier:
    """Rows that hold one price which cannot be true, with the sound prices on both sides."""

    start: int
    stop: int
    before: float
    price: float
    after: float


def find_gaps(slots: IntArray, limits: Limits, *, usual_step: int = 1) -> list[Gap]:
    """Holes between known slots, from `gap_slots` times the coin's usual step on; what is still to come is no hole."""
    missing = np.diff(slots) - 1
    smallest = max(limits.gap_slots, 1) if usual_step <= 1 else limits.gap_slots * usual_step
    return [Gap(int(slots[place]) + 1, int(missing[place])) for place in np.nonzero(missing >= smallest)[0]]


def find_repeats(slots: IntArray) -> list[int]:
    """Places of rows whose slot an earlier row already has: raw input with several prices for one slot."""
    _, firsts = np.unique(slots, return_index=True)
    return sorted(set(range(len(slots))) - {int(first) for first in firsts})


def find_duplicates(slots: IntArray, figures: Sequence[FloatArray], prices: FloatArray, limits: Limits) -> list[Run]:
    """Runs of rows that repeat the row before to the last digit, volume and cap included, where the price moves.

    A figure that is NaN equals nothing: the caller passes an unknown volume so, for a price alone is no proof.
    """
    if len(slots) < 2:
        return []
    same = np.diff(slots) == 1
    for figure in figures:
        same &= figure[1:] == figure[:-1]
    runs = [Run(run.start + 1, run.stop) for run in _runs(same)]
    return [run for run in runs if usually_moves(slots, prices, run.start, limits)]


def find_frozen(slots: IntArray, prices: FloatArray, limits: Limits) -> list[Run]:
    """Runs of at least `frozen_slots` slots in a row at one price, of a coin that moved in the slots before.

    A pegged coin repeats its price by nature: where the median of the last 30 moves is below `smallest_usual_move`,
    or more than one in ten of them was zero, nothing is called frozen.
    """
    if len(slots) < limits.frozen_slots:
        return []
    same = (np.diff(slots) == 1) & (prices[1:] == prices[:-1])
    runs = [run for run in _runs(same) if run.stop - run.start >= limits.frozen_slots]
    return [run for run in runs if usually_moves(slots, prices, run.start + 1, limits)]


def usually_moves(slots: IntArray, prices: FloatArray, place: int, limits: Limits) -> bool:
    """Whether the price moved in most of the slots before a place, and by more than a pegged coin's does."""
    moves = _usual_moves(slots, np.log(prices), place, limits)
    if len(moves) < KNOWN_MOVES:
        return False
    return bool(np.median(moves) >= limits.smallest_usual_move and np.mean(moves == 0.0) <= USUAL_REPEATS)


def find_outliers(slots: IntArray, opens: FloatArray, closes: FloatArray, limits: Limits) -> list[Outlier]:
    """Rows with a price that jumped away and came back within two slots.

    A close is an outlier when it lies, on one side, at least `smallest_spike` and ten usual moves from the close
    before the spike and from the one after it, while those two agree within 0.3 of its size. So a fall that stays
    is never one, and a spike is known only once the price is back. With a bad close goes the next row, which opens
    with it; an opening price alone is judged in the same way.
    """
    logs = np.log(closes)
    found: list[Outlier] = []
    bad: set[int] = set()
    for place in (np.nonzero(np.abs(np.diff(logs)) >= limits.smallest_spike)[0] + 1).tolist():
        if place in bad or place - 1 in bad:  # the way back from a spike is none of its own
            continue
        stop = _spike_from(slots, logs, place, limits)
        if stop is not None:
            bad.update(range(place, stop))
            found.append(Outlier(place, stop, *(float(closes[i]) for i in (place - 1, place, stop))))
    found += _bad_openings(slots, np.log(opens), logs, bad, limits)
    return _joined(sorted(found, key=lambda one: one.start))


def _joined(found: list[Outlier]) -> list[Outlier]:
    """Outliers whose rows touch as one: a bad close and the row that opens with it."""
    joined: list[Outlier] = []
    for one in found:
        if joined and joined[-1].stop == one.start:
            joined[-1] = replace(joined[-1], stop=one.stop)
        else:
            joined.append(one)
    return joined


def _spike_from(slots: IntArray, logs: FloatArray, place: int, limits: Limits) -> int | None:
    """Where the spike that begins at a place has come back; None when there is no such spike."""
    for stop in range(place + 1, min(place + LONGEST_SPIKE, len(logs) - 1) + 1):
        if np.any(np.diff(slots[place - 1 : stop + 1]) > limits.longest_step):
            return None
        threshold = (stop - place) * _threshold(slots, logs, place, limits)
        if _is_spike(logs[place - 1], logs[place:stop], logs[stop], threshold):
            return stop
    return None


def _is_spike(before: float, inside: FloatArray, after: float, threshold: float) -> bool:
    away = np.concatenate([inside - before, inside - after])
    if not (np.all(away > 0) or np.all(away < 0)):
        return False
    size = float(np.abs(away).min())
    return size >= threshold and abs(after - before) <= COMES_BACK_WITHIN * size


def _bad_openings(slots: IntArray, opens: FloatArray, logs: FloatArray, bad: set[int], limits: Limits) -> list[Outlier]:
    """Rows whose opening price is a spike between the last sound close before and their own close."""
    found = []
    for place in np.nonzero(np.abs(opens - logs) >= limits.smallest_spike)[0]:
        before = int(place) - 1
        while before in bad:
            before -= 1
        if place in bad or before < 0 or slots[place] - slots[before] > limits.longest_step + LONGEST_SPIKE:
            continue
        threshold = _threshold(slots, logs, before + 1, limits)
        if _is_spike(logs[before], opens[place : place + 1], logs[place], threshold):
            prices = (float(np.exp(value)) for value in (logs[before], opens[place], logs[place]))
            found.append(Outlier(int(place), int(place) + 1, *prices))
    return found


def _threshold(slots: IntArray, logs: FloatArray, place: int, limits: Limits) -> float:
    """How large a spike at a place must be; infinite where too little is known of the coin."""
    moves = _usual_moves(slots, logs, place, limits)
    return max(limits.smallest_spike, UNUSUAL_TIMES * float(np.median(moves))) if len(moves) >= KNOWN_MOVES else np.inf


def _usual_moves(slots: IntArray, logs: FloatArray, place: int, limits: Limits) -> FloatArray:
    """The sizes of the moves between neighbouring slots among the 31 rows that end just before a place."""
    start = max(0, place - USUAL_MOVES - 1)
    is_next = np.diff(slots[start:place]) <= limits.longest_step
    return np.asarray(np.abs(np.diff(logs[start:place]))[is_next])


def _runs(same: np.ndarray) -> list[Run]:
    """Runs of rows that equal the row before: from the first row of each run to after its last one."""
    edges = np.diff(np.concatenate([[0], same.astype(np.int8), [0]]))
    starts, stops = np.nonzero(edges == 1)[0], np.nonzero(edges == -1)[0]
    return [Run(int(start), int(stop) + 1) for start, stop in zip(starts, stops, strict=True)]
