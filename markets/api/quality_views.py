"""The public endpoint about what is wrong or missing in one coin's prices."""

from datetime import datetime
from typing import Any

from django.db.models import Count, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from cryptopredict.rest.answers import Clock
from markets.api import parameters, quality_serializers
from markets.api.views import PublicView, coin_source, get_coin
from markets.models import Cryptocurrency, DataFault, Interval, Restatement
from markets.quality.coverage import coverages
from markets.quality.report import last_checked_at

LISTS = {
    "gaps": DataFault.Kind.GAP,
    "frozen_feeds": DataFault.Kind.FROZEN,
    "duplicates": DataFault.Kind.DUPLICATE,
    "quarantined": DataFault.Kind.OUTLIER,
}


class QualityView(PublicView):
    """Coverage, gaps, frozen feeds, quarantined points and restatements of one coin over a range."""

    query_class = parameters.QualityQuery
    max_age_seconds = 300

    @extend_schema(operation_id="prices_quality", tags=["Prices"], responses=quality_serializers.QualitySerializer)
    def get(self, request: Request, coingecko_id: str) -> Response:
        coin = get_coin(coingecko_id)
        start, end = self.query["start"], self.query["end"]
        intervals = [Interval(self.query["interval"])] if "interval" in self.query else list(Interval)
        covered = coverages(coin, dict.fromkeys(intervals, (start, end)))
        return Response(
            {
                **coin_source(coin, Clock()),
                "start": start,
                "end": end,
                "checked_at": last_checked_at(),
                "coverage": [{**vars(one), "missing": one.missing, "share": one.share} for one in covered.values()],
                **self.faults(coin, intervals, start, end),
                "restatements": self.restatements(coin, intervals, start, end),
            }
        )

    def faults(
        self, coin: Cryptocurrency, intervals: list[Interval], start: datetime | None, end: datetime
    ) -> dict[str, Any]:
        found = DataFault.objects.unresolved().filter(coin=coin, interval__in=intervals, start_at__lt=end)
        if start:
            found = found.filter(end_at__gt=start)
        counts = dict(found.order_by().values_list("kind").annotate(Count("pk")))
        answer = {}
        for name, kind in LISTS.items():
            columns = "interval", "start_at", "end_at", "slots", "detail", "found_at"
            newest = found.filter(kind=kind).order_by("-start_at", "-pk").values(*columns)
            answer[name] = self.listed(newest, counts.get(kind.value, 0))
        return answer

    def restatements(
        self, coin: Cryptocurrency, intervals: list[Interval], start: datetime | None, end: datetime
    ) -> dict[str, Any]:
        found = Restatement.objects.filter(coin=coin, interval__in=intervals, at__lt=end)
        if start:
            found = found.filter(at__gte=start)
        newest = found.values("interval", "at", "field", "old_value", "new_value", "seen_at")
        return self.listed(newest, found.count())

    def listed(self, rows: QuerySet[Any, Any], total: int) -> dict[str, Any]:
        return {"total": total, "items": list(rows[: self.query["limit"]]) if total else []}
