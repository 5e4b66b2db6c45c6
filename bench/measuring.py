"""What a benchmark measures with: interleaved runs, their medians, and the result as one line."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

RUNS = 5
ROUNDS, REQUESTS, WARM_UP = 9, 20, 20  # of `rates_of`

# One run of one side: it prepares what it needs and returns the seconds of the part that counts.
Side = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the table. `ratio` is what the goal speaks of; `unit` says what both sides are measured in."""

    id: str
    what: str
    ours: float
    reference: float
    ratio: float
    goal: str
    passed: bool
    runs: int
    unit: str


def at_most(limit: float, *, id: str, what: str, ours: float, reference: float, unit: str, runs: int = RUNS) -> Result:
    """Ours may be so many times the reference."""
    ratio = ours / reference
    return Result(id, what, ours, reference, ratio, f"≤ {limit:g} ×", ratio <= limit, runs, unit)


def at_least(limit: float, *, id: str, what: str, ours: float, reference: float, unit: str, runs: int = RUNS) -> Result:
    """Ours, where more is better, must be so many times the reference."""
    ratio = ours / reference
    return Result(id, what, ours, reference, ratio, f"≥ {limit:g} ×", ratio >= limit, runs, unit)


def interleaved(*sides: Side, runs: int = RUNS, warm_up: int = 1) -> list[float]:
    """The median seconds of each side; they take turns, so that a busy minute slows all of them."""
    seconds: list[list[float]] = [[] for _ in sides]
    for number in range(warm_up + runs):
        for side, taken in zip(sides, seconds, strict=True):
            one = side()
            if number >= warm_up:
                taken.append(one)
    return [statistics.median(taken) for taken in seconds]


def rates_of(
    sides: Sequence[Side], *, rounds: int = ROUNDS, each: int = REQUESTS, warm_up: int = WARM_UP
) -> list[float]:
    """How often a second each side can be done: the median of rounds in which the sides take turns all the time."""
    rates: list[list[float]] = [[] for _ in sides]
    for side in sides:
        for _ in range(warm_up):
            side()
    for _ in range(rounds):
        seconds = [0.0] * len(sides)
        for _ in range(each):
            for place, side in enumerate(sides):
                seconds[place] += side()
        for found, taken in zip(rates, seconds, strict=True):
            found.append(each / taken)
    return [statistics.median(found) for found in rates]


def seconds_of(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * round(share * 1000) // 1000) - 1)]
