"""Reads the prices that forecasting works on, daily and hourly."""

from array import array
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np

from markets.models import PriceData
from markets.querysets import HourlyCandle
from predictions.forecasting.candles import garman_klass
from predictions.forecasting.frequency import HOURLY_STEPS
from predictions.forecasting.series import Panel, build_panel, drop_thin_last_days
from predictions.frequency import Frequency, instant

# Training sees all of a coin's past, so serving must see as much of it as matters. The slowest moving average
# (λ = .995) still gives 8 % of its weight to what lies 500 days back, and .05 % to what lies 1,500 back; with 500 the
# bands of 147 recorded coins came out 1.3 % wider or narrower than the back-test's, and one of them 12 %. Of what lies
# further back only how much there is counts.
SERVING_DAYS = 1500
# CoinGecko gives 90 days of hours at once; from there a site's own grow. The slowest moving average (λ = .999) still
# gives 12 % of its weight to what lies 90 days back and 1 % to what lies 180 back: on recorded prices single bands were
# up to 11 % wider or narrower than from all history with 90 days, and up to 4 % with 180.
SERVING_HOURS = 180 * 24
TRAINING_DAYS = 365 * 12
TRAINING_HOURS = 400 * 24  # hourly prices are not kept for longer
# An hour made of at least half of its five-minute prices tells how far the price went within it.
MIN_CANDLE_SAMPLES = 6


class NoHistory(Exception):
    """There are no prices to forecast from yet."""


def read_panel(*, cutoff_on: date, days: int = SERVING_DAYS) -> Panel:
    """Prices at 00:00 UTC of all coins up to the cutoff's own midnight, and nothing after it.

    Raises NoHistory when there is none.
    """
    rows = PriceData.objects.daily_closes(cutoff_on=cutoff_on, days=days)
    if not rows:
        raise NoHistory("There are no daily prices yet.")
    panel = build_panel(rows, now=instant(cutoff_on) + timedelta(hours=1))
    first = cutoff_on - timedelta(days=days - 1)
    if panel.dates[0] > np.datetime64(first, "D"):  # the window holds all there is
        return panel
    earlier = PriceData.objects.count_daily(before=first - timedelta(days=1))
    return replace(panel, steps_before=np.array([earlier.get(coin, 0) for coin in panel.coins]))


def read_hours(*, until: datetime, hours: int = SERVING_HOURS) -> Panel:
    """Prices of all coins at each full hour up to the last one that lies at or before `until`, in one query.

    Raises NoHistory when there is none.
    """
    panel = _hourly_panel(PriceData.objects.hourly_candles(until=Frequency.HOUR.floor(until), hours=hours))
    if panel is None:
        raise NoHistory("There are no hourly prices yet.")
    return drop_thin_last_days(panel)


def newest_panel(*, frequency: Frequency, now: datetime) -> Panel:
    """What a forecast that is made now may see. Raises NoHistory."""
    return read_panel(cutoff_on=now.date()) if frequency is Frequency.DAY else read_hours(until=now)


def training_panel(*, frequency: Frequency, cutoff_on: date) -> Panel:
    """All history that is stored up to a date's 00:00 UTC. Raises NoHistory."""
    if frequency is Frequency.DAY:
        return read_panel(cutoff_on=cutoff_on, days=TRAINING_DAYS)
    return read_hours(until=instant(cutoff_on), hours=TRAINING_HOURS)


def _hourly_panel(rows: Iterable[HourlyCandle]) -> Panel | None:
    """What `build_panel` makes of the same rows; the database has checked them, and there may be two million."""
    coins: dict[str, int] = {}
    moments: dict[datetime, int] = {}
    columns, steps, figures = array("l"), array("l"), array("d")
    for coin, at, *candle in rows:
        columns.append(coins.setdefault(coin, len(coins)))
        steps.append(moments.setdefault(at, len(moments)))
        figures.extend(candle)
    if not figures:
        return None
    hours = np.array([HOURLY_STEPS.moment(at) for at in moments]).astype("datetime64[h]")
    dates = np.arange(hours.min(), hours.max() + 1)
    places = (hours - dates[0]).astype(np.int64)[np.asarray(steps)], np.asarray(columns)
    first, high, low, last, samples = np.asarray(figures).reshape(-1, 5).T
    prices, realised = np.full((2, len(dates), len(coins)), np.nan)
    prices[places] = last
    realised[places] = np.where(samples >= MIN_CANDLE_SAMPLES, garman_klass(first, high, low, last), np.nan)
    order = sorted(coins)
    columns_in_order = [coins[coin] for coin in order]
    return Panel(dates, order, prices[:, columns_in_order], realised=realised[:, columns_in_order])
