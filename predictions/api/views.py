"""The endpoints about forecasts, their ledger and their record."""

import threading
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse, StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from cryptopredict.rest import shared
from cryptopredict.rest.answers import Clock
from cryptopredict.rest.errors import ApiProblem, FieldError
from cryptopredict.rest.idempotency import IdempotentMixin
from cryptopredict.rest.query import QuerySerializer, StrictQueryMixin
from markets.api.streams import CsvView, csv_response
from markets.api.views import PublicView, get_coin
from markets.services import data_source
from predictions import words
from predictions.api import parameters, serializers
from predictions.api.answers import (
    LEDGER_VALUES,
    evidence_at,
    evidence_of,
    fan_of,
    prediction_of,
    predictions_of,
    record_of,
)
from predictions.api.export import COLUMNS, RECORD_COLUMNS, ledger_rows, record_rows
from predictions.desk import NotForecastable, forecast_now
from predictions.fans import NoForecast, fan_from, forecast_for, stale_after
from predictions.forecasting.artifact import ArtifactError
from predictions.frequency import Frequency
from predictions.history import NoHistory
from predictions.ledger import verify_chain
from predictions.models import Prediction
from predictions.record import track_record
from predictions.registry import NoModel

TAGS = ["Forecasts"]
CHAIN_KEPT_SECONDS = 300  # a walk along the whole chain is too dear to give to every caller
_ONE_WALK = threading.Lock()
CHAIN_KEY = "predictions:chain-report"


class ForecastView(PublicView):
    """A coin's newest forecast at all horizons.

    Answers 404 with the code `no_forecast` while there is none; `message` and `fields` say why.
    """

    query_class = parameters.ForecastQuery
    max_age_seconds = 60

    @extend_schema(
        operation_id="get_forecast",
        summary="Read a coin's forecast",
        tags=TAGS,
        responses=serializers.ForecastSerializer,
    )
    def get(self, request: Request, coingecko_id: str) -> HttpResponse:
        return self.share(request, lambda clock: self.fan(coingecko_id, clock))

    def fan(self, coingecko_id: str, clock: Clock) -> dict[str, Any]:
        fan = forecast_for(get_coin(coingecko_id), frequency=self.query.get("frequency", Frequency.DAY), now=clock.now)
        if isinstance(fan, NoForecast):
            raise no_forecast(fan.code, fan.reason)
        horizons = fan.horizons
        if wanted := self.query.get("horizon"):
            horizons = [one for one in horizons if one.horizon == wanted]
            if not horizons:
                span = words.count(wanted, fan.frequency.noun)
                raise no_forecast("none_at_horizon", f"The newest forecast has no horizon of {span}.")
        clock.is_past(fan.cutoff_at + stale_after(fan.frequency))
        return fan_of(fan, horizons)


def no_forecast(code: str, reason: str, status: int = status.HTTP_404_NOT_FOUND) -> ApiProblem:
    fields: list[FieldError] = [{"field": "", "code": code, "message": reason}]
    return ApiProblem("no_forecast", reason, status, fields)


def filtered(query: dict[str, Any]) -> QuerySet[Prediction]:
    """The part of the ledger that LedgerFilters asks for."""
    lookups = {"coin": "coin", "frequency": "frequency", "model": "model", "state": "state"}
    lookups |= {"start": "cutoff_at__gte", "end": "cutoff_at__lt"}
    found = Prediction.objects.filter(**{lookup: query[name] for name, lookup in lookups.items() if name in query})
    return found.at_horizon(query["frequency"], query["horizon"]) if "horizon" in query else found


class LedgerView(IdempotentMixin, PublicView, ListAPIView[Prediction]):
    """Every forecast ever issued, newest first."""

    pagination_class = parameters.NewestFirst
    serializer_class = serializers.PredictionSerializer
    queryset = Prediction.objects.all()

    @extend_schema(operation_id="list_predictions", summary="List the ledger of forecasts", tags=TAGS)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(filtered(self.query).values(*LEDGER_VALUES))
        return self.get_paginated_response(predictions_of(page or [], timezone.now()))

    @extend_schema(
        operation_id="create_prediction",
        summary="Forecast a coin now",
        tags=TAGS,
        request=serializers.ForecastRequestSerializer,
        responses={200: serializers.ForecastSerializer, 201: serializers.ForecastSerializer},
        description=(
            "A forecast now of one coin, daily or hourly, by the model that serves. One that was frozen already is "
            "answered as it is (200); otherwise it is made, frozen in the ledger and answered (201). One that is made "
            "later than three hours after its cutoff, or of hours fifteen minutes, does not count as evidence."
        ),
    )
    def post(self, request: Request) -> Response:
        body = serializers.ForecastRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        coin = body.validated_data["coin"]
        try:
            rows, is_new = forecast_now(coin=coin, frequency=body.validated_data.get("frequency", Frequency.DAY))
        except NotForecastable as reason:
            raise no_forecast("not_forecastable", str(reason), status.HTTP_409_CONFLICT) from None
        except (NoModel, NoHistory, ArtifactError) as reason:
            raise no_forecast("none_serves", str(reason), status.HTTP_409_CONFLICT) from None
        fan = fan_from(coin, rows, now=timezone.now())
        return Response(fan_of(fan, fan.horizons), status.HTTP_201_CREATED if is_new else status.HTTP_200_OK)

    def get_permissions(self) -> Sequence[Any]:
        return [IsAuthenticated()] if self.request.method == "POST" else [AllowAny()]

    @property
    def query_class(self) -> type[QuerySerializer]:  # type: ignore[override]
        return QuerySerializer if self.request.method == "POST" else parameters.LedgerQuery


class PredictionView(PublicView):
    """One forecast for ever: what was frozen, its outcome and score, its place in the chain."""

    @extend_schema(
        operation_id="get_prediction",
        summary="Read a forecast of the ledger",
        tags=TAGS,
        responses=serializers.PredictionSerializer,
    )
    def get(self, request: Request, prediction_id: int) -> Response:
        row = Prediction.objects.filter(pk=prediction_id).values(*LEDGER_VALUES).first()
        if row is None:
            raise NotFound(f"There is no forecast {prediction_id}.")
        return Response(prediction_of(row, evidence_of(evidence_at(row)), timezone.now()))


class TrackRecordView(PublicView):
    """Skill with its interval, coverage and n, over all settled evidence or of one horizon, coin or model."""

    query_class = parameters.TrackRecordQuery
    max_age_seconds = 300

    @extend_schema(
        operation_id="get_track_record",
        summary="Read the track record",
        tags=TAGS,
        responses=serializers.TrackRecordSerializer,
    )
    def get(self, request: Request) -> Response:
        return Response(record_of(track_record(**self.query), timezone.now()))


class TrackRecordExportView(CsvView, StrictQueryMixin):
    """The record's table as CSV: a line for each horizon, coin and model, the figures as the API has them."""

    permission_classes = (AllowAny,)
    query_class = parameters.TrackRecordQuery

    @extend_schema(
        operation_id="export_track_record",
        summary="Download the track record as CSV",
        tags=TAGS,
        responses={(200, "text/csv"): OpenApiTypes.STR},
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        rows = record_rows(track_record(**self.query))
        return csv_response(filename="track-record.csv", columns=RECORD_COLUMNS, rows=rows, data_source=data_source())


class LedgerExportView(CsvView, StrictQueryMixin):
    """The ledger as CSV, streamed."""

    permission_classes = (AllowAny,)
    query_class = parameters.LedgerFilters

    @extend_schema(
        operation_id="export_predictions",
        summary="Download the ledger as CSV",
        tags=TAGS,
        responses={(200, "text/csv"): OpenApiTypes.STR},
        description="The ledger as CSV from its first forecast on, with all that its scores and hashes are made of.",
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        source = data_source()
        return csv_response(
            filename="forecasts.csv" if source == "live" else "forecasts-sample-data.csv",
            columns=COLUMNS,
            rows=ledger_rows(filtered(self.query)),
            data_source=source,
        )


class VerifyView(PublicView):
    """Walks the hash chain and recomputes every hash; an answer is kept for five minutes."""

    max_age_seconds = CHAIN_KEPT_SECONDS

    @extend_schema(
        operation_id="verify_predictions",
        summary="Verify the ledger's hash chain",
        tags=TAGS,
        responses=serializers.ChainReportSerializer,
    )
    def get(self, request: Request) -> Response:
        with _ONE_WALK:
            report = shared.recall(CHAIN_KEY)
            if report is None:
                report = chain_report()
                shared.keep(CHAIN_KEY, report, keep_seconds=CHAIN_KEPT_SECONDS)
        return Response(report)


def chain_report() -> dict[str, Any]:
    return {**asdict(verify_chain()), "checked_at": timezone.now()}
