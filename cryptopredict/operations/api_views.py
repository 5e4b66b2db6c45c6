"""Health over HTTP, for load balancers and containers."""

from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cryptopredict.operations.health import readiness
from cryptopredict.rest.errors import ApiProblem, FieldError
from cryptopredict.rest.schema import ErrorSerializer


class HealthSerializer(serializers.Serializer[Any]):
    """All is well."""

    status = serializers.ChoiceField(choices=["ok"])


class HealthView(APIView):
    """Open to everyone, never throttled, never cached, and telling nothing about the installation."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes: Any = ()

    def finalize_response(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        response = super().finalize_response(request, *args, **kwargs)
        response["Cache-Control"] = "no-store"
        return response


class LiveView(HealthView):
    @extend_schema(operation_id="health_live", responses=HealthSerializer, tags=["health"])
    def get(self, request: Request) -> Response:
        """This process answers. It looks at nothing else: a restart would not repair the database."""
        return Response({"status": "ok"})


class ReadyView(HealthView):
    @extend_schema(
        operation_id="health_ready",
        responses={
            200: HealthSerializer,
            503: OpenApiResponse(ErrorSerializer, description="`fields` names what is missing."),
        },
        tags=["health"],
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
