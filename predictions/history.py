"""Reads the prices that forecasting works on, daily and hourly."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import numpy as np

from markets.models import PriceData
from predictions.forecasting.frequency import HOURLY_STEPS
from predictions.forecasting.series import Panel, build_panel, drop_thin_last_days
from predictions.frequency import Frequency, instant

SERVING_DAYS = 500  # the slowest moving average (λ = .995) has forgotten what lies further back
SERVING_HOURS = 90 * 24  # what CoinGecko gives in hours at once: a new site and an old one see the same window
TRAINING_DAYS = 365 * 12
TRAINING_HOURS = 400 * 24  # hourly prices are not kept for longer


class NoHistory(Exception):
    """There are no prices to forecast from yet."""


def read_panel(*, cutoff_on: date, days: int = SERVING_DAYS) -> Panel:
    """Prices at 00:00 UTC of all coins up to the cutoff's own midnight, and nothing after it.

    Raises NoHistory when there is none.
    """
    rows = PriceData.objects.daily_closes(cutoff_on=cutoff_on, days=days)
    if not rows:
        raise NoHistory("There are no daily prices yet.")
    return build_panel(rows, now=instant(cutoff_on) + timedelta(hours=1))


def read_hours(*, until: datetime, hours: int = SERVING_HOURS) -> Panel:
    """Prices of all coins at each full hour up to the last one that lies at or before `until`, in one query.

    Raises NoHistory when there is none.
    """
    rows = PriceData.objects.hourly_closes(until=Frequency.HOUR.floor(until), hours=hours)
    if not rows:
        raise NoHistory("There are no hourly prices yet.")
    return drop_thin_last_days(_hourly_panel(rows))


def newest_panel(*, frequency: Frequency, now: datetime) -> Panel:
    """What a forecast that is made now may see. Raises NoHistory."""
    return read_panel(cutoff_on=now.date()) if frequency is Frequency.DAY else read_hours(until=now)


def training_panel(*, frequency: Frequency, cutoff_on: date) -> Panel:
    """All history that is stored up to a date's 00:00 UTC. Raises NoHistory."""
    if frequency is Frequency.DAY:
        return read_panel(cutoff_on=cutoff_on, days=TRAINING_DAYS)
    return read_hours(until=instant(cutoff_on), hours=TRAINING_HOURS)


def _hourly_panel(rows: Sequence[tuple[str, datetime, float]]) -> Panel:
    """What `build_panel` makes of the same rows; the database has checked them, and there may be two million."""
    names, moments, closes = zip(*rows, strict=True)
    coins = sorted(set(names))
    column = {coin: place for place, coin in enumerate(coins)}
    row = {at: HOURLY_STEPS.moment(at).astype(np.int64) for at in set(moments)}
    first, last = min(row.values()), max(row.values())
    prices = np.full((last - first + 1, len(coins)), np.nan)
    prices[[row[at] - first for at in moments], [column[name] for name in names]] = closes
    return Panel(np.arange(first, last + 1).astype("datetime64[h]"), coins, prices)
