"""Health over HTTP: for load balancers and containers, and in detail for staff."""

from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from cryptopredict.operations import heartbeats, inspection, sync_state
from cryptopredict.operations.api import health_serializers, serializers
from cryptopredict.operations.api.tasks import describe_processes
from cryptopredict.operations.health import job_problems, readiness
from cryptopredict.rest.errors import ApiProblem, FieldError
from cryptopredict.rest.query import StrictQueryMixin
from cryptopredict.rest.schema import ErrorSerializer
from cryptopredict.rest.staff import StaffView
from markets.coingecko.errors import StateUnavailable
from markets.models import SyncRun

TAGS = ["Health"]


class HealthView(StrictQueryMixin):
    """Open to everyone, never throttled, and telling nothing about the installation."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes: Any = ()


class LiveView(HealthView):
    @extend_schema(
        operation_id="check_liveness",
        summary="Is the process alive?",
        responses=health_serializers.HealthSerializer,
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        """This process answers. It looks at nothing else: a restart would not repair the database."""
        return Response({"status": "ok"})


class ReadyView(HealthView):
    @extend_schema(
        operation_id="check_readiness",
        summary="Can the process serve?",
        responses={
            200: health_serializers.HealthSerializer,
            503: OpenApiResponse(ErrorSerializer, description="`fields` names what is missing."),
        },
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        """This process can serve: the database answers and its tables are those of this version."""
        problems = {name: text for name, text in readiness().items() if text}
        if problems:
            fields: list[FieldError] = [
                {"field": name, "code": "unavailable", "message": text} for name, text in problems.items()
            ]
            raise ApiProblem("unavailable", " ".join(problems.values()), 503, fields, {"Retry-After": "5"})
        return Response({"status": "ok"})


class DatabaseHealthView(StaffView):
    @extend_schema(
        operation_id="check_database",
        summary="Check the database",
        responses=health_serializers.DatabaseHealthSerializer,
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        """The database: version, size, how fast it answers, and whether its tables are those of this version."""
        return checked(inspection.inspect_database())


class CacheHealthView(StaffView):
    @extend_schema(
        operation_id="check_cache",
        summary="Check cache and broker",
        responses=health_serializers.CacheHealthSerializer,
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        """Cache and broker."""
        return checked(inspection.inspect_cache())


class WorkersHealthView(StaffView):
    @extend_schema(
        operation_id="check_workers",
        summary="Check workers and beat",
        responses=health_serializers.WorkersHealthSerializer,
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        """Workers and beat: one that falls silent is noticed within a minute."""
        signs = heartbeats.signs_of_life()
        return checked({"problems": job_problems(signs), "processes": describe_processes(signs)})


class UpstreamHealthView(StaffView):
    @extend_schema(
        operation_id="check_upstream",
        summary="Check CoinGecko",
        responses=health_serializers.UpstreamHealthSerializer,
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        """CoinGecko by what the workers saw of it: breaker, last success, last failure."""
        problems: list[str] = []
        upstream: dict[str, Any] | None = None
        try:
            upstream = sync_state.read_upstream()
        except StateUnavailable as error:
            problems.append(error.message)
        else:
            if upstream["breaker"]["state"] != "closed":
                problems.append("The breaker is open: CoinGecko is not asked until its pause is over.")
        last = SyncRun.objects.finished().latest_of(SyncRun.Kind.PRICES)
        if last is not None and last.state == SyncRun.State.FAILED:
            problems.append("The last sync of prices failed.")
        sync = None if last is None else serializers.SyncRunSerializer(last).data
        shown = None if upstream is None else serializers.UpstreamSerializer(upstream).data
        return checked({"problems": problems, "upstream": shown, "last_price_sync": sync})


class SystemHealthView(StaffView):
    @extend_schema(
        operation_id="check_system",
        summary="Check this process and its computer",
        responses=health_serializers.SystemHealthSerializer,
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        """Versions, uptime, memory, disk and row counts."""
        return checked(inspection.inspect_system())


def checked(found: dict[str, Any]) -> Response:
    """The answer 200 in either case, with `problem` for what staff should look at."""
    return Response({"status": "problem" if found["problems"] else "ok", **found})
