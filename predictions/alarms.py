"""Alarms about models: raised once, open until the check that raised them finds nothing any more."""

from collections.abc import Collection

from django.utils import timezone

from predictions.models import ModelAlarm, TrainedModel


def raise_alarm(
    model: TrainedModel, kind: str, message: str, *, horizon: int = 0, stops_headline: bool = False
) -> ModelAlarm:
    """Opens an alarm, or brings the words of the open one up to date."""
    alarm, is_new = ModelAlarm.objects.unresolved().get_or_create(
        model=model,
        kind=kind,
        horizon=horizon,
        resolved_at=None,
        defaults={"message": message[:300], "stops_headline": stops_headline},
    )
    if not is_new and (alarm.message, alarm.stops_headline) != (message[:300], stops_headline):
        alarm.message, alarm.stops_headline = message[:300], stops_headline
        alarm.save(update_fields=["message", "stops_headline"])
    return alarm


def resolve_alarms(model: TrainedModel, *, keep: Collection[tuple[str, int]], kinds: Collection[str]) -> int:
    """Ends the model's open alarms of these kinds, but for the (kind, horizon) that stand."""
    ended = [
        alarm.pk
        for alarm in ModelAlarm.objects.unresolved().filter(model=model, kind__in=kinds)
        if (alarm.kind, alarm.horizon) not in keep
    ]
    return ModelAlarm.objects.filter(pk__in=ended).update(resolved_at=timezone.now())


def why_not_the_headline(model: TrainedModel) -> str:
    """A sentence that says why a model is not the headline just now whatever its record says; empty if it may be."""
    alarm = ModelAlarm.objects.stopping(model).first()
    return alarm.message if alarm else ""
