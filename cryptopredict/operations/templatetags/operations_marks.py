"""How states, periods and lengths of time are written on the pages for staff."""

from datetime import datetime
from typing import Any

from django import template
from django.http import HttpRequest
from django.utils import timezone

from cryptopredict.operations import heartbeats
from cryptopredict.operations.scheduling import describe_seconds

register = template.Library()

GOOD, BAD, WARN = "badge-good", "badge-bad", "badge-stale"
BADGES = {
    "succeeded": GOOD, "closed": GOOD, "failed": BAD, "quarantined": BAD, "open": BAD, "partial": WARN,
    "retried": WARN, "cancelled": WARN, "half_open": WARN,
}  # fmt: skip


@register.filter
def badge(state: str) -> str:
    """The look of a state's badge; its word stands in it."""
    return BADGES.get(state, "badge-neutral")


@register.filter
def state_words(state: str) -> str:
    return state.replace("_", " ")


@register.filter
def moment(text: str | None) -> datetime | None:
    """A moment that the shared state holds as text."""
    return datetime.fromisoformat(text) if text else None


@register.filter
def period(seconds: float) -> str:
    """5 minutes, 2 hours."""
    return describe_seconds(float(seconds))


@register.filter
def took(run: Any) -> str:
    """How long a run has taken, up to now while it runs."""
    if run.started_at is None:
        return "—"
    seconds = ((run.finished_at or timezone.now()) - run.started_at).total_seconds()
    if seconds < 0:
        return "—"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


@register.filter
def until(at: datetime | None) -> str:
    """How far ahead a moment is: in 4 min."""
    if at is None:
        return "—"
    seconds = (at - timezone.now()).total_seconds()
    if seconds < 60:
        return "now" if seconds <= 0 else "in under a minute"
    for size, name in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"in {int(seconds // size)} {name}"
    raise AssertionError("unreachable: a minute is the smallest unit")


@register.filter
def is_alive(sign: Any) -> bool:
    return bool(timezone.now() - sign.at <= heartbeats.SILENT_AFTER)


@register.filter
def coverage_badge(percent: float | None) -> str:
    if percent is None:
        return "badge-neutral"
    return GOOD if percent >= 99 else WARN if percent >= 90 else BAD


@register.simple_tag
def address(request: HttpRequest, **changes: Any) -> str:
    """This page's address with some of its parameters changed; an empty one is left out."""
    parameters = request.GET.copy()
    for name, value in changes.items():
        if value in {"", None}:
            parameters.pop(name, None)
        else:
            parameters[name] = value
    return f"?{parameters.urlencode()}"
