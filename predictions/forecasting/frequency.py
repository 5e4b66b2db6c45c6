"""How often a price is taken: what a step is, and the limits that depend on it."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

Moments = NDArray[np.datetime64]


@dataclass(frozen=True)
class Frequency:
    """One step of a panel and what follows from its length; counts are in steps, returns in one step's units.

    `unit` is NumPy's code of a step; a coin needs `min_steps` since a restart, and is near-constant while the
    median |return| of `near_constant_steps` is below `near_constant_return`.
    """

    name: str
    unit: str
    noun: str
    steps_per_day: int
    min_steps: int
    near_constant_return: float
    near_constant_steps: int
    min_steps_to_judge: int
    max_gap_steps: int = 3

    def moment(self, at: date | np.datetime64) -> Any:
        """`at` as NumPy's moment of a panel: a date is its 00:00 UTC, a time of day is floored to the step."""
        if isinstance(at, datetime) and at.tzinfo is not None:
            at = at.astimezone(UTC).replace(tzinfo=None)
        return np.datetime64(at).astype(f"datetime64[{self.unit}]")

    def span(self, steps: int) -> Any:
        """How long some steps last, to be added to a moment."""
        return np.array(steps).astype(f"timedelta64[{self.unit}]")[()]

    def days(self, days: float) -> int:
        """How many steps some days last."""
        return round(days * self.steps_per_day)


DAILY_STEPS = Frequency("daily", "D", "day", 1, 90, 0.006, 365, 30)
# An hour moves less than 1/√24 of a day at its median: most hours are quiet. A pegged coin stays far below.
HOURLY_STEPS = Frequency("hourly", "h", "hour", 24, 30 * 24, 0.0004, 365 * 24, 30 * 24)
FREQUENCIES = {frequency.name: frequency for frequency in (DAILY_STEPS, HOURLY_STEPS)}


def frequency_of(moments: Moments) -> Frequency:
    """The frequency that an array's unit stands for; ValueError for another unit."""
    unit = np.datetime_data(moments.dtype)[0]
    for frequency in FREQUENCIES.values():
        if frequency.unit == unit:
            return frequency
    raise ValueError(f"a panel's steps are days or hours, not {unit!r}")
