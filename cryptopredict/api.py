"""The whole of /api/v1/, and its description."""

from typing import Any

from django.urls import include, path, re_path
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerSplitView
from rest_framework.exceptions import NotFound
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cryptopredict.rest.document import SchemaView


@extend_schema(exclude=True)
class UnknownPathView(APIView):
    """Answers a path that is no endpoint in the API's error shape instead of with a page."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        raise NotFound("There is no such endpoint.")

    def get(self, request: Request) -> Response:
        raise NotImplementedError("initial() answers every method.")


urlpatterns = [
    path("", include("accounts.api.urls")),
    path("", include("markets.api.urls")),
    path("", include("predictions.api.urls")),
    path("", include("portfolios.api.urls")),
    path("", include("cryptopredict.operations.api.urls")),
    re_path(r"^.*/$", UnknownPathView.as_view()),
]

docs_urlpatterns = [
    path("api/schema/", SchemaView.as_view(), name="schema"),
    path(
        "api/docs/",
        SpectacularSwaggerSplitView.as_view(url_name="schema", template_name="docs/swagger.html"),
        name="docs",
    ),
    path(
        "api/redoc/",
        SpectacularRedocView.as_view(url_name="schema", template_name="docs/redoc.html"),
        name="redoc",
    ),
]
