"""A forecast of one coin now: answered from the ledger, or made and frozen on the spot by the warm champion."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from markets.models import Cryptocurrency
from predictions.champion import Serving, serving_forecaster
from predictions.forecasting.serving import CoinForecast
from predictions.frequency import Frequency, instant
from predictions.history import newest_panel
from predictions.issuing import Round, freeze
from predictions.models import Prediction

KEPT_SECONDS = 300  # how long the forecasts of all coins stay in a process; prices that arrive later wait for so long
NOT_TRACKED = "This coin's history is not collected here."
NO_RECENT_PRICE = "The newest prices are older than the longest horizon."


class NotForecastable(Exception):
    """The coin has no forecast now; the message says why."""


@dataclass(frozen=True)
class Sheet:
    """All coins' forecasts by one model at one cutoff."""

    key: tuple[str, datetime]
    cutoff_at: datetime
    answers: dict[str, CoinForecast | str]
    made_at: float


class Desk:
    """Keeps the newest sheet of each champion in memory; one thread makes it while the others wait."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._locks = {frequency: threading.Lock() for frequency in Frequency}
        self._sheets: dict[Frequency, Sheet] = {}

    def sheet(self, serving: Serving, now: datetime) -> Sheet:
        """The forecasts of all coins from what was known at the newest day or hour. Raises NoHistory."""
        frequency = Frequency(serving.model.frequency)
        key = (serving.model.manifest_sha256, frequency.floor(now))
        with self._locks[frequency]:
            found = self._sheets.get(frequency)
            if found is None or found.key != key or self._clock() - found.made_at > KEPT_SECONDS:
                panel = newest_panel(frequency=frequency, now=now)
                answers = serving.forecaster.forecast(panel, cutoff=panel.last_date)
                found = self._sheets[frequency] = Sheet(key, instant(panel.last_date), answers, self._clock())
            return found

    def clear(self) -> None:
        self._sheets.clear()


desk = Desk()


def forecast_now(
    *, coin: Cryptocurrency, frequency: Frequency = Frequency.DAY, now: datetime | None = None
) -> tuple[list[Prediction], bool]:
    """The ledger rows of the coin's newest forecast, shortest horizon first, and whether they were written just now.

    What is frozen already is given back as it is; idempotent. Raises NotForecastable, NoModel, NoHistory,
    ArtifactError.
    """
    now = now or timezone.now()
    serving = serving_forecaster(frequency)
    if not (coin.is_tracked and coin.is_listed):
        raise NotForecastable(NOT_TRACKED)
    sheet = desk.sheet(serving, now)
    answer = sheet.answers.get(coin.coingecko_id, "no price at cutoff")
    if isinstance(answer, str):
        raise NotForecastable(answer)
    rows = Prediction.objects.filter(coin=coin, model=serving.model, cutoff_at=sheet.cutoff_at)
    rows = rows.with_model().order_by("horizon_hours")
    if found := list(rows):
        return found, False
    written = freeze([answer], Round(serving.model, now, sheet.cutoff_at, {coin.coingecko_id: coin}))
    if not (found := list(rows.all())):
        raise NotForecastable(NO_RECENT_PRICE)
    return found, bool(written)
