"""A forecast of one coin now: answered from the ledger, or made and frozen on the spot by the warm champion."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from django.utils import timezone

from markets.models import Cryptocurrency
from predictions.champion import Serving, serving_forecaster
from predictions.forecasting.serving import CoinForecast
from predictions.history import midnight, read_panel
from predictions.issuing import Round, freeze
from predictions.models import Prediction

KEPT_SECONDS = 300  # how long the forecasts of all coins stay in a process; prices that arrive later wait for so long
NOT_TRACKED = "This coin's history is not collected here."


class NotForecastable(Exception):
    """The coin has no forecast now; the message says why."""


@dataclass(frozen=True)
class Sheet:
    """All coins' forecasts by one model at one cutoff."""

    cutoff_on: date
    answers: dict[str, CoinForecast | str]
    made_at: float


class Desk:
    """Keeps the newest sheet of the champion in memory; one thread makes it while the others wait."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._sheets: dict[tuple[str, date], Sheet] = {}

    def sheet(self, serving: Serving, today: date) -> Sheet:
        """The forecasts of all coins from what was known at 00:00 UTC of the newest day. Raises NoHistory."""
        key = (serving.model.manifest_sha256, today)
        with self._lock:
            found = self._sheets.get(key)
            if found is None or self._clock() - found.made_at > KEPT_SECONDS:
                panel = read_panel(cutoff_on=today)
                answers = serving.forecaster.forecast(panel, cutoff=panel.last_date)
                found = Sheet(panel.last_date, answers, self._clock())
                self._sheets = {key: found}
            return found

    def clear(self) -> None:
        self._sheets = {}


desk = Desk()


def forecast_now(*, coin: Cryptocurrency, now: datetime | None = None) -> tuple[list[Prediction], bool]:
    """The ledger rows of the coin's newest forecast, shortest horizon first, and whether they were written just now.

    What is frozen already is given back as it is; idempotent. Raises NotForecastable, NoModel, NoHistory,
    ArtifactError.
    """
    now = now or timezone.now()
    serving = serving_forecaster()
    if not (coin.is_tracked and coin.is_listed):
        raise NotForecastable(NOT_TRACKED)
    sheet = desk.sheet(serving, now.date())
    answer = sheet.answers.get(coin.coingecko_id, "no price at cutoff")
    if isinstance(answer, str):
        raise NotForecastable(answer)
    rows = Prediction.objects.filter(coin=coin, model=serving.model, cutoff_at=midnight(sheet.cutoff_on))
    rows = rows.with_model().order_by("horizon_days")
    if found := list(rows):
        return found, False
    written = freeze([answer], Round(serving.model, now, sheet.cutoff_on, {coin.coingecko_id: coin}))
    return list(rows.all()), bool(written)
