"""The public endpoints about forecasts, their ledger, their record and the models that made them."""

from dataclasses import asdict
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.http import StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from cryptopredict.rest import shared
from cryptopredict.rest.errors import ApiProblem, FieldError
from cryptopredict.rest.pagination import PageNumbers
from cryptopredict.rest.query import StrictQueryMixin
from markets.api.streams import CsvView, csv_response
from markets.api.views import PublicView, get_coin
from markets.services import data_source
from predictions.api import parameters, serializers
from predictions.api.answers import LEDGER_VALUES, fan_of, prediction_of, record_of
from predictions.api.export import COLUMNS, ledger_rows
from predictions.fans import NoForecast, forecast_for
from predictions.ledger import verify_chain
from predictions.models import Prediction, TrainedModel
from predictions.record import evidence_by_horizon, track_record

TAGS = ["Forecasts"]
MODEL_TAGS = ["Models"]
CHAIN_KEPT_SECONDS = 60  # a walk along the whole chain is too dear to give to every caller
CHAIN_KEY = "predictions:chain-report"
MODEL_COLUMNS = (
    "version", "state", "origin", "created_at", "trained_at", "promoted_at", "cutoff_on", "coins", "rows", "reason",
)  # fmt: skip
CARD_COLUMNS = (*MODEL_COLUMNS, "manifest_sha256", "dataset_sha256", "metrics")


class ForecastView(PublicView):
    """A coin's newest forecast at all horizons.

    Answers 404 with the code `no_forecast` while there is none; `message` and `fields` say why.
    """

    query_class = parameters.ForecastQuery
    max_age_seconds = 60

    @extend_schema(operation_id="forecast_retrieve", tags=TAGS, responses=serializers.ForecastSerializer)
    def get(self, request: Request, coingecko_id: str) -> Response:
        fan = forecast_for(get_coin(coingecko_id))
        if isinstance(fan, NoForecast):
            raise no_forecast(fan.code, fan.reason)
        horizons = fan.horizons
        if wanted := self.query.get("horizon_days"):
            horizons = [one for one in horizons if one.horizon_days == wanted]
            if not horizons:
                raise no_forecast("none_at_horizon", f"The newest forecast has no horizon of {wanted} days.")
        return Response(fan_of(fan, horizons))


def no_forecast(code: str, reason: str) -> ApiProblem:
    fields: list[FieldError] = [{"field": "", "code": code, "message": reason}]
    return ApiProblem("no_forecast", reason, status.HTTP_404_NOT_FOUND, fields)


def filtered(query: dict[str, Any]) -> QuerySet[Prediction]:
    """The part of the ledger that LedgerFilters asks for."""
    lookups = {"coin": "coin", "horizon_days": "horizon_days", "model": "model", "state": "state"}
    lookups |= {"start": "cutoff_at__gte", "end": "cutoff_at__lt"}
    return Prediction.objects.filter(**{lookup: query[name] for name, lookup in lookups.items() if name in query})


class LedgerView(PublicView, ListAPIView[Prediction]):
    """Every forecast ever issued, newest first."""

    query_class = parameters.LedgerQuery
    pagination_class = parameters.NewestFirst
    serializer_class = serializers.PredictionSerializer
    queryset = Prediction.objects.all()

    @extend_schema(operation_id="predictions_list", tags=TAGS)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(filtered(self.query).values(*LEDGER_VALUES))
        evidence, now = evidence_by_horizon(), timezone.now()
        return self.get_paginated_response(
            [prediction_of(row, evidence[row["horizon_days"]], now) for row in page or []]
        )


class PredictionView(PublicView):
    """One forecast for ever: what was frozen, its outcome and score, its place in the chain."""

    @extend_schema(operation_id="predictions_retrieve", tags=TAGS, responses=serializers.PredictionSerializer)
    def get(self, request: Request, prediction_id: int) -> Response:
        row = Prediction.objects.filter(pk=prediction_id).values(*LEDGER_VALUES).first()
        if row is None:
            raise NotFound(f"There is no forecast {prediction_id}.")
        return Response(prediction_of(row, evidence_by_horizon()[row["horizon_days"]], timezone.now()))


class TrackRecordView(PublicView):
    """Skill with its interval, coverage and n, over all settled evidence or of one horizon, coin or model."""

    query_class = parameters.TrackRecordQuery
    max_age_seconds = 300

    @extend_schema(operation_id="predictions_track_record", tags=TAGS, responses=serializers.TrackRecordSerializer)
    def get(self, request: Request) -> Response:
        return Response(record_of(track_record(**self.query), timezone.now()))


class LedgerExportView(CsvView, StrictQueryMixin):
    """The ledger as CSV, streamed."""

    permission_classes = (AllowAny,)
    query_class = parameters.LedgerFilters

    @extend_schema(
        operation_id="predictions_export",
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
    """Walks the hash chain and recomputes every hash; an answer is kept for a minute."""

    max_age_seconds = CHAIN_KEPT_SECONDS

    @extend_schema(operation_id="predictions_verify", tags=TAGS, responses=serializers.ChainReportSerializer)
    def get(self, request: Request) -> Response:
        report = shared.recall(CHAIN_KEY)
        if report is None:
            report = chain_report()
            shared.keep(CHAIN_KEY, report, keep_seconds=CHAIN_KEPT_SECONDS)
        return Response(report)


def chain_report() -> dict[str, Any]:
    return {**asdict(verify_chain()), "checked_at": timezone.now()}


class ModelListView(PublicView, ListAPIView[TrainedModel]):
    """The versions of the model and their state, newest first."""

    query_class = parameters.ModelsQuery
    pagination_class = PageNumbers
    serializer_class = serializers.ModelRowSerializer
    queryset = TrainedModel.objects.all()

    @extend_schema(operation_id="models_list", tags=MODEL_TAGS)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        models = TrainedModel.objects.filter(**self.query)
        return self.get_paginated_response(self.paginate_queryset(models.values(*MODEL_COLUMNS)))


class ModelView(PublicView):
    """One model's card."""

    @extend_schema(operation_id="models_retrieve", tags=MODEL_TAGS, responses=serializers.ModelSerializer)
    def get(self, request: Request, version: str) -> Response:
        row = None
        if "\x00" not in version:
            row = TrainedModel.objects.filter(version=version).values("pk", *CARD_COLUMNS).first()
        if row is None:
            raise NotFound(f"There is no model {version}.")
        issued = Prediction.objects.filter(model=row.pop("pk")).aggregate(
            n_predictions=Count("id"), n_scored=Count("id", filter=Q(state=Prediction.State.SCORED))
        )
        return Response({**row, **issued, "data_source": data_source()})
