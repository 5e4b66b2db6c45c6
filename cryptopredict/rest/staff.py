"""What an app's endpoints for staff need of the site as a whole: a job queued, and a line in the audit log.

The apps must not know the operations, so the name of their class is given here when the site starts; it is loaded
with the first request that needs it.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from django.http import HttpRequest
from django.utils.module_loading import import_string
from rest_framework import serializers
from rest_framework.permissions import IsAdminUser
from rest_framework.request import Request
from rest_framework.response import Response

from cryptopredict.rest.query import StrictQueryMixin


class StaffServices(Protocol):
    """The operations' side of it."""

    def record(
        self, request: Request | HttpRequest, action: str, target: str, *, reason: str, detail: Mapping[str, Any]
    ) -> None:
        """Writes an audit entry, of a page or of the API; called inside the action's transaction."""

    def queue(self, request: Request, name: str, arguments: Mapping[str, Any], *, action: str, target: str) -> Response:
        """Queues a job with its audit entry and answers 202, or 409 while the same one waits or runs."""


_installed: list[str] = []


def install(path: str) -> None:
    """Names the class that does what StaffServices says."""
    _installed[:] = [path]


def services() -> StaffServices:
    made: StaffServices = import_string(_installed[0])()
    return made


def record(
    request: Request | HttpRequest,
    action: str,
    target: str,
    *,
    reason: str = "",
    detail: Mapping[str, Any] | None = None,
) -> None:
    services().record(request, action, target, reason=reason, detail=detail or {})


def queue(request: Request, name: str, arguments: Mapping[str, Any], *, action: str, target: str) -> Response:
    return services().queue(request, name, arguments, action=action, target=target)


class QueuedSerializer(serializers.Serializer[Any]):
    """A job that was queued; its address tells how it goes."""

    task_id = serializers.CharField()
    name = serializers.CharField()
    state = serializers.CharField()
    url = serializers.CharField(help_text="Where its state, progress and result are.")


class StaffView(StrictQueryMixin):
    """For staff only, and strict about its parameters."""

    permission_classes = (IsAdminUser,)
