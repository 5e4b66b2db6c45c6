"""Reads the daily prices that forecasting works on."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import numpy as np

from markets.models import PriceData
from predictions.forecasting.series import Panel, build_panel

# Training sees all of a coin's past, so serving must see as much of it as matters. The slowest moving average
# (λ = .995) still gives 8 % of its weight to what lies 500 days back, and .05 % to what lies 1,500 back; with 500 the
# bands of 147 recorded coins came out 1.3 % wider or narrower than the back-test's, and one of them 12 %. Of what lies
# further back only how much there is counts.
SERVING_DAYS = 1500
TRAINING_DAYS = 365 * 12


class NoHistory(Exception):
    """There are no daily prices at all yet."""


def midnight(day: date) -> datetime:
    """00:00 UTC of a date."""
    return datetime.combine(day, time(), tzinfo=UTC)


def read_panel(*, cutoff_on: date, days: int = SERVING_DAYS) -> Panel:
    """Prices at 00:00 UTC of all coins up to the cutoff's own midnight, and nothing after it.

    Raises NoHistory when there is none.
    """
    rows = PriceData.objects.daily_closes(cutoff_on=cutoff_on, days=days)
    if not rows:
        raise NoHistory("There are no daily prices yet.")
    panel = build_panel(rows, now=midnight(cutoff_on) + timedelta(hours=1))
    first = cutoff_on - timedelta(days=days - 1)
    if panel.dates[0] > np.datetime64(first, "D"):  # the window holds all there is
        return panel
    earlier = PriceData.objects.count_daily(before=first - timedelta(days=1))
    return replace(panel, steps_before=np.array([earlier.get(coin, 0) for coin in panel.coins]))
