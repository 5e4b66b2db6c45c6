"""What staff decide about single slots and faults; the hourly check leaves their decisions as they are."""

import logging
from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from markets.models import Cryptocurrency, DataFault, Interval, PriceData
from markets.quality.rebuild import rebuild_coarser

logger = logging.getLogger(__name__)

TEXT_LENGTH = 300


class NotPossible(ValueError):
    """The fault or slot is not in a state that allows this; the message says why."""


def release_quarantine(*, fault: DataFault, reason: str, by: str, now: datetime) -> int:
    """Makes the rows of an outlier sound again, for good; returns how many.

    Raises NotPossible for a fault that quarantines nothing or was resolved before.
    """
    with transaction.atomic():
        locked = DataFault.objects.select_for_update().get(pk=fault.pk)
        if locked.kind != DataFault.Kind.OUTLIER:
            raise NotPossible("Only an outlier has slots in quarantine.")
        _close(locked, f"Released by {by}: {reason}", now)
        return unquarantine([locked])


def resolve_fault(*, fault: DataFault, reason: str, by: str, now: datetime) -> None:
    """Closes a gap, a frozen feed or a duplicate that staff have looked at; the check does not open it again.

    Raises NotPossible for an outlier, which is released instead, and for what was resolved before.
    """
    with transaction.atomic():
        locked = DataFault.objects.select_for_update().get(pk=fault.pk)
        if locked.kind == DataFault.Kind.OUTLIER:
            raise NotPossible("An outlier is released from quarantine instead.")
        _close(locked, f"Marked as resolved by {by}: {reason}", now)


def quarantine_slot(
    *, coin: Cryptocurrency, interval: Interval, at: datetime, reason: str, by: str, now: datetime
) -> DataFault:
    """Takes one stored slot out of everything that shows, forecasts or values; repeating it changes nothing.

    Raises NotPossible when there is no such slot.
    """
    with transaction.atomic():
        row = PriceData.objects.select_for_update().filter(coin=coin, interval=interval, at=at).first()
        if row is None:
            raise NotPossible(f"There is no {interval} slot at {at:%Y-%m-%d %H:%M} UTC.")
        fault, is_new = DataFault.objects.unresolved().get_or_create(
            coin=coin,
            interval=interval,
            kind=DataFault.Kind.OUTLIER,
            start_at=at,
            defaults={
                "end_at": at + Interval(interval).length,
                "detail": f"By staff: {reason}"[:TEXT_LENGTH],
                "is_opened_by_staff": True,
                "found_at": now,
            },
        )
        if not fault.is_opened_by_staff:  # the check had found it, and may no longer close it
            fault.is_opened_by_staff = True
            fault.save(update_fields=["is_opened_by_staff"])
        PriceData.objects.filter(pk=row.pk).update(is_quarantined=True)
        rebuild_coarser(Interval(interval), [(coin.pk, at)])
    if is_new:
        logger.info("%s quarantined %s %s %s: %s", by, coin.coingecko_id, interval, at, reason)
    return fault


def _close(fault: DataFault, resolution: str, now: datetime) -> None:
    if fault.resolved_at is not None:
        raise NotPossible(f"This fault was resolved before: {fault.resolution}")
    fault.resolved_at, fault.resolution, fault.is_closed_by_staff = now, resolution[:TEXT_LENGTH], True
    fault.save(update_fields=["resolved_at", "resolution", "is_closed_by_staff"])


def unquarantine(faults: list[DataFault]) -> int:
    """Makes the rows of resolved outliers sound again, but for those that another open outlier holds."""
    spans = Q()
    for fault in faults:
        if fault.kind == DataFault.Kind.OUTLIER:
            span = Q(at__gte=fault.start_at, at__lt=fault.end_at)
            spans |= Q(coin=fault.coin_id, interval=fault.interval) & span
    if not spans:
        return 0
    rows = quarantined_rows().filter(spans).filter(~Exists(_other_outliers()))
    found = list(rows.values_list("pk", "coin_id", "interval", "at"))
    changed = PriceData.objects.filter(pk__in=[pk for pk, *_ in found]).update(is_quarantined=False)
    for interval in Interval:
        rebuild_coarser(interval, [(coin_id, at) for _, coin_id, name, at in found if name == interval])
    return changed


def quarantined_rows() -> QuerySet[PriceData]:
    return PriceData.objects.filter(is_quarantined=True)


def _other_outliers() -> QuerySet[DataFault]:
    return DataFault.objects.unresolved().filter(
        coin=OuterRef("coin"),
        interval=OuterRef("interval"),
        kind=DataFault.Kind.OUTLIER,
        start_at__lte=OuterRef("at"),
        end_at__gt=OuterRef("at"),
    )
