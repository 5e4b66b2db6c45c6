"""The questions asked of many coins, prices and sync runs at once."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Self

from django.apps import apps
from django.db import models
from django.db.models import Count, F, Max, Q, Subquery, Window
from django.db.models.functions import RowNumber

if TYPE_CHECKING:
    from markets.models import Cryptocurrency, DataFault, Interval, PriceData, SyncRun  # noqa: F401  (named in the bases below)

# Coin id, moment of its close, open, high, low, close, and of how many observed prices it is made.
HourlyCandle = tuple[str, datetime, float, float, float, float, int]


class CryptocurrencyQuerySet(models.QuerySet["Cryptocurrency"]):
    def tracked(self) -> Self:
        """Coins whose prices are synced."""
        return self.filter(is_tracked=True)

    def listed(self) -> Self:
        return self.filter(is_listed=True)

    def priced(self) -> Self:
        return self.filter(price_usd__isnull=False)

    def lacking_history(self, *, before: datetime) -> Self:
        """Coins whose history was never pulled, or not since `before`; the never pulled come first, by rank."""
        stale = Q(history_synced_at__isnull=True) | Q(history_synced_at__lt=before)
        return self.filter(stale).order_by(
            F("history_synced_at").asc(nulls_first=True), F("market_cap_rank").asc(nulls_last=True), "id"
        )

    def matching(self, text: str) -> Self:
        """Coins whose id, symbol or name holds the text."""
        return self.filter(Q(coingecko_id__icontains=text) | Q(symbol__icontains=text) | Q(name__icontains=text))

    def newest_price_at(self) -> datetime | None:
        return self.aggregate(newest=Max("price_at"))["newest"]


class PriceDataQuerySet(models.QuerySet["PriceData"]):
    def of(self, coin: "Cryptocurrency", interval: "Interval | str") -> Self:
        return self.filter(coin=coin, interval=interval).order_by("at")

    def between(self, start: datetime, end: datetime) -> Self:
        """Slots that begin at or after `start` and before `end`."""
        return self.filter(at__gte=start, at__lt=end)

    def sound(self) -> Self:
        """Slots that are not quarantined: the only ones that are shown, rolled up or forecast from."""
        return self.filter(is_quarantined=False)

    def daily(self) -> Self:
        return self.filter(interval="1d")

    def closed_by(self, cutoff: datetime, length: timedelta) -> Self:
        """Slots that were over at the cutoff: the only ones a forecast may see."""
        return self.filter(at__lte=cutoff - length)

    def daily_closes(self, *, cutoff_on: date, days: int) -> list[tuple[str, date, float]]:
        """(coin id, date, price at 00:00 UTC of that date), up to and including the cutoff's own midnight.

        The close of day d is the price at 00:00 of d + 1, so each row is dated one day later.
        """
        last = cutoff_on - timedelta(days=1)
        rows = self.daily().sound().filter(at__date__gt=last - timedelta(days=days), at__date__lte=last)
        found = rows.order_by("coin_id", "at").values_list("coin__coingecko_id", "at", "close")
        return [(coin, at.date() + timedelta(days=1), close) for coin, at, close in found.iterator(chunk_size=5000)]

    def count_daily(self, *, before: date) -> dict[str, int]:
        """How many sound daily slots each coin has that begin before a date's 00:00 UTC."""
        rows = self.daily().sound().filter(at__date__lt=before).order_by().values_list("coin__coingecko_id")
        return dict(rows.annotate(count=Count("pk")))

    def hourly_candles(self, *, until: datetime, hours: int) -> Iterator[HourlyCandle]:
        """Yields (coin id, moment, open, high, low, close, samples) of the last full hours up to and with `until`.

        The close of the hour that begins at k is the price at k + 1 h, so each row is stamped an hour later: by then
        all of it is known. In no order: sorting two million rows takes longer than reading them.
        """
        # By coin, as the index is: a range of times alone would walk through every slot there is.
        coins = apps.get_model("markets", "Cryptocurrency").objects.order_by().values("pk")
        rows = self.filter(interval="1h", coin__in=coins).sound().between(until - timedelta(hours=hours), until)
        figures = ("open", "high", "low", "close", "samples")
        found = rows.order_by().values_list("coin__coingecko_id", "at", *figures)
        for coin, at, *candle in found.iterator(chunk_size=5000):
            yield coin, at + timedelta(hours=1), *candle


class SyncRunQuerySet(models.QuerySet["SyncRun"]):
    def running(self) -> Self:
        return self.filter(state="running")

    def finished(self) -> Self:
        return self.exclude(state="running")

    def newest_of_each(self, *parts: Self) -> Self:
        """The newest run of each part, in one query."""
        newest = (part.order_by("-started_at", "-pk").values("pk")[:1] for part in parts)
        return self.filter(reduce(or_, (Q(pk=Subquery(pk)) for pk in newest)))

    def latest_of(self, kind: str) -> "SyncRun | None":
        return self.filter(kind=kind).first()


class DataFaultQuerySet(models.QuerySet["DataFault"]):
    def newest_of_each_kind(self, limit: int) -> Self:
        """So many faults of each kind, newest first, each with how many of its kind there are as `total`."""
        newest_first = ("-start_at", "-pk")
        rank = Window(RowNumber(), partition_by="kind", order_by=newest_first)
        total = Window(Count("pk"), partition_by="kind")
        return self.annotate(rank=rank, total=total).filter(rank__lte=limit).order_by(*newest_first)

    def unresolved(self) -> Self:
        return self.filter(resolved_at__isnull=True)
