"""Reads the daily prices that forecasting works on."""

from datetime import UTC, date, datetime, time, timedelta

from markets.models import PriceData
from predictions.forecasting.series import Panel, build_panel

SERVING_DAYS = 500  # the slowest moving average (λ = .995) has forgotten what lies further back
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
    return build_panel(rows, now=midnight(cutoff_on) + timedelta(hours=1))
