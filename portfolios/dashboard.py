"""What a user's dashboard shows: the worth of all portfolios, the watchlist, and the forecasts due today."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.contrib.auth.models import AbstractBaseUser
from django.utils import timezone

from markets.models import Cryptocurrency
from portfolios.models import Portfolio, WatchlistItem
from portfolios.pricing import Worth, value_portfolios
from portfolios.valuation import percent_of, total_of, total_of_known
from predictions.fans import HEADLINE_HORIZONS
from predictions.forecasting.quantiles import BAND_80
from predictions.models import Prediction

DUE_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Due:
    """A forecast whose day is today, with its published 80 % band in US dollars."""

    prediction: Prediction
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Sums of what is known, in US dollars; `is_partial` says that a holding without a price is missing."""

    worths: list[Worth]
    value_usd: Decimal | None
    change_24h_usd: Decimal | None
    change_24h_percent: float | None
    priced_at: datetime | None
    is_partial: bool
    is_stale: bool
    watched: list[Cryptocurrency]
    due: list[Due]
    has_transactions: bool

    @property
    def steps_left(self) -> bool:
        """Whether the three first steps are not all done."""
        return not (self.worths and self.has_transactions and self.watched)


def dashboard_for(user: AbstractBaseUser) -> Dashboard:
    """The user's dashboard at this moment."""
    worths = value_portfolios(list(Portfolio.objects.for_user(user)))
    valuations = [worth.valuation for worth in worths]
    value = total_of_known(one.value_usd for one in valuations)
    change = total_of(one.change_24h_usd for one in valuations)
    items = WatchlistItem.objects.filter(user_id=user.pk).select_related("coin")
    watched = [item.coin for item in items]
    held = [coin for worth in worths for _, coin in worth.rows]
    return Dashboard(
        worths=worths,
        value_usd=value,
        change_24h_usd=change,
        change_24h_percent=percent_of(change, None if value is None or change is None else value - change),
        priced_at=min((one.priced_at for one in valuations if one.priced_at), default=None),
        is_partial=any(one.is_partial for one in valuations),
        is_stale=any(one.is_stale for one in valuations),
        watched=watched,
        due=due_today({coin.pk for coin in [*watched, *held]}),
        has_transactions=any(one.holdings or one.closed for one in valuations),
    )


def due_today(coin_ids: set[int]) -> list[Due]:
    """The forecasts of these coins that are about an instant of today (UTC), settled or not."""
    start = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    rows = (
        Prediction.objects.published()
        .filter(coin_id__in=coin_ids, horizon_days__in=HEADLINE_HORIZONS)
        .filter(target_at__gte=start, target_at__lt=start + timedelta(days=1))
        .select_related("coin")
        .order_by("target_at", "coin__market_cap_rank", "coin_id", "horizon_days")
    )
    low, high = BAND_80
    return [Due(row, row.quantiles[low], row.quantiles[high]) for row in rows[:DUE_SHOWN]]
