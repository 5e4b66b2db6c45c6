"""What the coin page says about a coin's data: coverage, open faults and restatements, in bounded lists."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Window

from markets.models import Cryptocurrency, DataFault, Interval, Restatement, SyncRun
from markets.quality.coverage import WINDOWS, Coverage, coverages

FIELDS_RESTATED = ("open", "high", "low", "close")
SHOWN_FAULTS = 5
SHOWN_RESTATEMENTS = 3


@dataclass(frozen=True)
class QualityReport:
    """A coin's data in one card; the lists hold the newest of as many as the counts say."""

    days: Coverage
    hours: Coverage
    gaps: list[DataFault]
    gap_count: int
    doubtful: list[DataFault]
    doubtful_count: int
    restatements: list[Restatement]
    restatement_count: int
    checked_at: datetime | None

    @property
    def has_faults(self) -> bool:
        return bool(self.gap_count or self.doubtful_count or self.restatement_count)


def quality_report(coin: Cryptocurrency, *, now: datetime) -> QualityReport:
    """Days of the last year, hours of the last 90 days, and the faults in them."""
    shown = (Interval.DAY, Interval.HOUR)
    covered = coverages(coin, {interval: (now - WINDOWS[interval], now) for interval in shown})
    since = now - max(WINDOWS[interval] for interval in shown)
    found = DataFault.objects.unresolved().filter(coin=coin, interval__in=shown, end_at__gt=since)
    newest = list(found.newest_of_each_kind(SHOWN_FAULTS))
    counts: dict[str, int] = {fault.kind: fault.total for fault in newest}  # type: ignore[attr-defined]  # annotated
    gap_count = counts.pop(DataFault.Kind.GAP.value, 0)
    restated = Restatement.objects.filter(coin=coin, at__gte=since).annotate(total=Window(Count("pk")))
    restatements = restated[:SHOWN_RESTATEMENTS]
    return QualityReport(
        days=covered[Interval.DAY.value],
        hours=covered[Interval.HOUR.value],
        gaps=[fault for fault in newest if fault.kind == DataFault.Kind.GAP],
        gap_count=gap_count,
        doubtful=[fault for fault in newest if fault.kind != DataFault.Kind.GAP][:SHOWN_FAULTS],
        doubtful_count=sum(counts.values()),
        restatements=list(restatements),
        restatement_count=restatements[0].total if restatements else 0,
        checked_at=last_checked_at(),
    )


def last_checked_at() -> datetime | None:
    """When the last check of prices that went through ended."""
    ended = SyncRun.objects.filter(kind=SyncRun.Kind.QUALITY, state=SyncRun.State.SUCCEEDED)
    return ended.values_list("finished_at", flat=True).first()
