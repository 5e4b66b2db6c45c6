"""The sync with CoinGecko: how it stands, and its jobs now."""

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from cryptopredict.operations import audit, sync_state
from cryptopredict.operations.api import parameters, serializers
from cryptopredict.operations.api.staff import read_body
from cryptopredict.rest import staff
from cryptopredict.rest.errors import unavailable
from cryptopredict.rest.idempotency import IdempotentMixin
from cryptopredict.rest.staff import QueuedSerializer, StaffView
from markets.coingecko.errors import StateUnavailable
from markets.models import Cryptocurrency, SyncRun
from markets.upstream import build_client

TAGS = ["Sync"]


class SyncStatusView(StaffView):
    @extend_schema(
        operation_id="get_sync_status",
        summary="Read how the sync stands",
        tags=TAGS,
        responses=serializers.SyncStatusSerializer,
    )
    def get(self, request: Request) -> Response:
        """Freshness per interval, last and next runs, limiter, breaker and budget in one look."""
        return Response(serializers.SyncStatusSerializer(sync_state.read_status()).data)


class SyncPricesView(IdempotentMixin, StaffView):
    @extend_schema(
        operation_id="sync_prices",
        summary="Sync prices now",
        tags=TAGS,
        request=None,
        responses={202: QueuedSerializer},
    )
    def post(self, request: Request) -> Response:
        """Queues a sync of the latest prices now."""
        return queue(request, "markets.sync_all_prices", "sync.prices")


class SyncHistoryView(IdempotentMixin, StaffView):
    @extend_schema(
        operation_id="sync_history",
        summary="Sync histories now",
        tags=TAGS,
        request=None,
        responses={202: QueuedSerializer},
    )
    def post(self, request: Request) -> Response:
        """Queues a sync of the history of all tracked coins."""
        return queue(request, "markets.sync_historical_data", "sync.history")


class SyncDiscoverView(IdempotentMixin, StaffView):
    @extend_schema(
        operation_id="discover_cryptocurrencies",
        summary="Look for new coins now",
        tags=TAGS,
        request=None,
        responses={202: QueuedSerializer},
    )
    def post(self, request: Request) -> Response:
        """Queues a comparison of the coins with CoinGecko's list."""
        return queue(request, "markets.discover_new_cryptocurrencies", "sync.discover")


class SyncCleanupView(IdempotentMixin, StaffView):
    @extend_schema(
        operation_id="clean_up_prices",
        summary="Delete old fine prices now",
        tags=TAGS,
        request=None,
        responses={202: QueuedSerializer},
    )
    def post(self, request: Request) -> Response:
        """Queues the deletion of fine slots past their keep time."""
        return queue(request, "markets.cleanup_old_data", "sync.cleanup")


class SyncCoinView(IdempotentMixin, StaffView):
    @extend_schema(
        operation_id="sync_cryptocurrency",
        summary="Sync one coin now",
        tags=TAGS,
        request=None,
        responses={202: QueuedSerializer},
    )
    def post(self, request: Request, coingecko_id: str) -> Response:
        """Queues one coin's prices and history. It is tracked from then on."""
        check_coin(coingecko_id)
        arguments = {"coingecko_id": coingecko_id}
        return queue(request, "markets.sync_specific_cryptocurrency", "sync.coin", arguments, coingecko_id)


class BackfillView(IdempotentMixin, StaffView):
    @extend_schema(
        operation_id="backfill_cryptocurrency",
        summary="Fill one coin's gaps",
        tags=TAGS,
        request=serializers.BackfillSerializer,
        responses={202: QueuedSerializer},
    )
    def post(self, request: Request, coingecko_id: str) -> Response:
        """Queues the filling of one coin's gaps between two dates."""
        check_coin(coingecko_id)
        days = read_body(request, serializers.BackfillSerializer)
        arguments = {"coingecko_id": coingecko_id, "start": str(days["start"]), "end": str(days["end"])}
        return queue(request, "markets.backfill_cryptocurrency", "sync.backfill", arguments, coingecko_id)


class SyncRunsView(StaffView, ListAPIView[SyncRun]):
    """Past and running syncs, newest first."""

    query_class = parameters.SyncRunQuery
    pagination_class = parameters.SyncRunPages
    serializer_class = serializers.SyncRunSerializer
    queryset = SyncRun.objects.all()

    def get_queryset(self) -> QuerySet[SyncRun]:
        return SyncRun.objects.filter(**{name: value for name, value in self.query.items() if value})

    @extend_schema(operation_id="list_sync_runs", summary="List sync runs", tags=TAGS)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self.list(request, *args, **kwargs)


class SyncRunView(StaffView):
    @extend_schema(
        operation_id="get_sync_run", summary="Read a sync run", tags=TAGS, responses=serializers.SyncRunDetailSerializer
    )
    def get(self, request: Request, run_id: int) -> Response:
        """One sync with the values that it refused."""
        run = get_object_or_404(SyncRun.objects.prefetch_related("rejected"), pk=run_id)
        return Response(serializers.SyncRunDetailSerializer(run).data)


class BudgetView(StaffView):
    @extend_schema(
        operation_id="get_sync_budget",
        summary="Read the call budget",
        tags=TAGS,
        responses=serializers.BudgetSerializer,
    )
    def get(self, request: Request) -> Response:
        """Calls of this minute and month, what the schedule will use, and what degrades first."""
        try:
            found = sync_state.read_budget()
        except StateUnavailable as error:
            raise unavailable(error.message) from error
        return Response(serializers.BudgetSerializer(found).data)


class BreakerView(StaffView):
    @extend_schema(
        operation_id="get_breaker",
        summary="Read the circuit breaker",
        tags=TAGS,
        responses=serializers.BreakerSerializer,
    )
    def get(self, request: Request) -> Response:
        """Whether CoinGecko is asked at all."""
        return Response(read_breaker())


class BreakerResetView(IdempotentMixin, StaffView):
    @extend_schema(
        operation_id="reset_breaker",
        summary="Close the circuit breaker",
        tags=TAGS,
        request=serializers.ReasonSerializer,
        responses={200: serializers.BreakerSerializer},
    )
    def post(self, request: Request) -> Response:
        """Closes the breaker, so that the next call is made at once. Five new failures open it again."""
        reason = read_body(request, serializers.ReasonSerializer)["reason"]
        before = read_breaker()
        with transaction.atomic():
            audit.record(
                request.user, "breaker.reset", "CoinGecko", reason=reason, detail={"was": before["state"]},
                channel=audit.Channel.API,
            )  # fmt: skip
            reset_breaker()
        return Response(read_breaker())


def queue(
    request: Request, name: str, action: str, arguments: dict[str, Any] | None = None, target: str = ""
) -> Response:
    return staff.queue(request, name, arguments or {}, action=action, target=target or name)


def check_coin(coingecko_id: str) -> None:
    """Raises NotFound (404) for a coin that is not known here; POST /cryptocurrencies/ adds one."""
    if "\x00" in coingecko_id or not Cryptocurrency.objects.filter(coingecko_id=coingecko_id).exists():
        raise NotFound("There is no coin with this id.")


def read_breaker() -> dict[str, Any]:
    try:
        found = sync_state.read_upstream()
    except StateUnavailable as error:
        raise unavailable(error.message) from error
    stamps = {name: found[name] for name in ("last_success_at", "last_error")}
    return dict(serializers.BreakerSerializer({**found["breaker"], **stamps}).data)


def reset_breaker() -> None:
    """Last in its transaction: when the shared state cannot be changed, no entry says that it was."""
    try:
        build_client().reset_breaker()
    except StateUnavailable as error:
        raise unavailable(error.message) from error
