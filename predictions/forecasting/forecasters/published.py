"""What the site would have published: the LSTM where it had beaten FHS by then, FHS otherwise, calibrated."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting.calibration import SettledBands, multipliers, stretch
from predictions.forecasting.features import Features
from predictions.forecasting.forecasters.protocol import FHS, LSTM, Past
from predictions.forecasting.labels import Label, evidence, whole_days
from predictions.forecasting.metrics import crps_from_quantiles, is_inside
from predictions.forecasting.quantiles import BAND_80, BAND_95
from predictions.forecasting.series import Dates, Floats
from predictions.forecasting.windows import Rows, targets

CALIBRATION_DAYS = 400  # more than the year that the calibration itself looks back, plus its longest horizon


@dataclass
class Ledger:
    """The forecasts that a back-test has made so far, in the order of their days."""

    rows: Rows = field(default_factory=lambda: Rows(np.empty(0, np.int64), np.empty(0, np.int64)))
    quantiles: dict[str, Floats] = field(default_factory=dict)

    def append(self, rows: Rows, quantiles: Mapping[str, Floats]) -> None:
        """Adds forecasts (R, H, Q) by model of rows that are later than all before them."""
        self.rows = Rows(np.append(self.rows.days, rows.days), np.append(self.rows.coins, rows.coins))
        for name, new in quantiles.items():
            self.quantiles[name] = np.concatenate([self.quantiles[name], new]) if name in self.quantiles else new


@dataclass
class Published:
    """Reads a ledger in which the rows to publish already stand, and of it only what had settled by each day.

    `validated` is what the model's own validation says of it by horizon, which holds while its record is too short.
    """

    name: str
    horizons: tuple[int, ...]
    ledger: Ledger
    validated: Mapping[int, str] = field(default_factory=dict)

    def fit(self, past: Past) -> "Published":
        """Itself: it learns from the ledger, day by day."""
        return self

    def forecast(self, features: Features, rows: Rows) -> Floats:
        """Log-return quantiles (R, H, Q)."""
        first = len(self.ledger.rows) - len(rows)
        result = np.empty_like(self.ledger.quantiles[FHS][first:])
        for h, horizon in enumerate(self.horizons):
            settled = _Settled(features, self.ledger, h, horizon)
            for day in np.unique(rows.days):
                today = np.flatnonzero(rows.days == day)
                result[today, h] = self._publish(settled, horizon, int(day), first + today)
        return result

    def _publish(self, settled: "_Settled", horizon: int, day: int, rows: NDArray[np.int64]) -> Floats:
        label: str = settled.label(day)
        if label == Label.TOO_EARLY:
            label = self.validated.get(horizon, label)
        headline = LSTM if label == Label.BEATS_BASELINE else FHS
        factors = settled.multipliers(day, headline)
        return stretch(self.ledger.quantiles[headline][rows, settled.column], *factors)


class _Settled:
    """One horizon of a ledger: what had settled by a day is a first part of it, because rows are in order."""

    def __init__(self, features: Features, ledger: Ledger, column: int, horizon: int) -> None:
        self.column = column
        self.dates: Dates = features.dates.astype("datetime64[D]")
        self._ledger = ledger
        self._steps = horizon
        self._days = whole_days(horizon, features.frequency)
        self._lookback = features.frequency.days(CALIBRATION_DAYS)
        last = len(features.dates) - 1
        self._actual = targets(features.prices, ledger.rows, (horizon,), cutoff_day=last)[:, 0]
        self._priced = np.flatnonzero(np.isfinite(self._actual))
        self._cutoffs, self._starts = np.unique(self.dates[ledger.rows.days[self._priced]], return_index=True)
        y = self._actual[self._priced]
        lstm, fhs = (ledger.quantiles[name][self._priced, column] for name in (LSTM, FHS))
        self._columns = (
            crps_from_quantiles(y, lstm),
            crps_from_quantiles(y, fhs),
            is_inside(y, lstm[:, BAND_80[0]], lstm[:, BAND_80[1]]).astype(float),
            is_inside(y, lstm[:, BAND_95[0]], lstm[:, BAND_95[1]]).astype(float),
        )
        self._labels: dict[np.datetime64, Label] = {}
        self._factors: dict[tuple[np.datetime64, str], tuple[float, float]] = {}

    def count(self, day: int) -> int:
        """How many rows had settled by `day`, priced or not."""
        return int(np.searchsorted(self._ledger.rows.days, day - self._steps, side="right"))

    def _part(self, day: int, since: int) -> NDArray[np.int64]:
        begin = int(np.searchsorted(self._ledger.rows.days, since, side="left"))
        part = np.arange(begin, max(begin, self.count(day)))
        return part[np.isfinite(self._actual[part])]

    def multipliers(self, day: int, headline: str) -> tuple[float, float]:
        """The stretch of both bands, by what had settled; once a date."""
        date = self.dates[day]
        if (date, headline) not in self._factors:
            part = self._part(day, day - self._lookback)
            quantiles = self._ledger.quantiles[headline][part, self.column]
            bands = SettledBands(self.dates[self._ledger.rows.days[part]], quantiles, self._actual[part])
            self._factors[date, headline] = multipliers(bands, horizon=self._days, today=date.astype(object))
        return self._factors[date, headline]

    def label(self, day: int) -> Label:
        """What the rows that had settled by `day` say about the LSTM against FHS; once a date."""
        date = self.dates[day]
        if date not in self._labels:
            end = int(np.searchsorted(self._priced, self.count(day)))
            dates = int(np.searchsorted(self._starts, end))
            if not dates:
                return Label.TOO_EARLY
            starts = self._starts[:dates]
            counts = np.diff(np.append(starts, end))
            # The mean of each date stands for its rows: what is weighted by date needs no more, and a year is short.
            model, baseline, in_80, in_95 = (np.add.reduceat(one[:end], starts) / counts for one in self._columns)
            self._labels[date] = evidence(
                cutoffs=self._cutoffs[:dates],
                model_scores=model,
                baseline_scores=baseline,
                inside_80=in_80,
                inside_95=in_95,
                baseline=FHS,
                horizon=self._days,
            ).label
        return self._labels[date]
