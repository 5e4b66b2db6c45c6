"""The log of what staff did: written in the transaction that does it, and never changed afterwards."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

from cryptopredict.operations.models import AuditEntry

TARGET_LENGTH, REASON_LENGTH = 200, 300


class Channel(StrEnum):
    """Which way an action came in."""

    PAGE = "page"
    API = "api"
    ADMIN = "admin"


def record(
    by: AbstractBaseUser | AnonymousUser | None,
    action: str,
    target: str = "",
    *,
    channel: Channel,
    reason: str = "",
    detail: Mapping[str, Any] | None = None,
) -> AuditEntry:
    """Writes one entry; called inside the transaction of the action, so that neither is there without the other."""
    return AuditEntry.objects.create(
        actor_id=by.pk if by is not None else None,
        actor=by.get_username() if by is not None else "",
        action=action,
        target=target[:TARGET_LENGTH],  # PostgreSQL refuses longer texts, and the action must not fail for that
        reason=reason[:REASON_LENGTH],
        detail=dict(detail or {}),
        channel=channel.value,
    )
