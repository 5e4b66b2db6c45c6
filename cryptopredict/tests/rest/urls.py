"""Small views that show each part of cryptopredict.rest at work."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import OperationalError
from django.http import Http404, HttpResponse
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from cryptopredict.rest.answers import Clock
from cryptopredict.rest.conditional import ConditionalMixin, SharedMixin, conditional
from cryptopredict.rest.errors import ApiProblem, FieldError
from cryptopredict.rest.idempotency import IdempotentMixin
from cryptopredict.rest.pagination import Cursor, PageNumbers
from cryptopredict.rest.query import PageQuery, QuerySerializer, StrictQueryMixin
from cryptopredict.rest.strict import StrictMixin
from cryptopredict.rest.throttling import SignInThrottle


class RowSerializer(StrictMixin, serializers.Serializer[Any]):
    quantity = serializers.DecimalField(max_digits=12, decimal_places=4, min_value=Decimal(0))
    side = serializers.ChoiceField(["buy", "sell"])


class OrderSerializer(StrictMixin, serializers.Serializer[Any]):
    id = serializers.IntegerField(read_only=True)
    name = serializers.CharField(max_length=10)
    rows = RowSerializer(many=True, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["name"] == "whole":
            raise serializers.ValidationError("The order as a whole is wrong.", code="whole")
        return attrs


class Orders(IdempotentMixin, APIView):
    """Counts its effects, so that a test sees how many there were."""

    permission_classes = (AllowAny,)
    effects = 0

    @extend_schema(request=OrderSerializer, responses={201: OrderSerializer})
    def post(self, request: Request) -> Response:
        serializer = OrderSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        type(self).effects += 1
        if serializer.validated_data["name"] == "break":
            raise RuntimeError("broken")
        headers = {"Location": f"/orders/{self.effects}/"}
        return Response({"id": self.effects, "name": serializer.validated_data["name"]}, 201, headers=headers)


class Failures(APIView):
    permission_classes = (AllowAny,)

    @extend_schema(responses={200: OrderSerializer})
    def get(self, request: Request, kind: str) -> Response:
        match kind:
            case "missing":
                raise Http404
            case "model":
                raise ValidationError({"email": [ValidationError("Taken.", code="unique")]})
            case "conflict":
                fault: FieldError = {"field": "name", "code": "taken", "message": "Taken."}
                raise ApiProblem("conflict", "It exists already.", 409, fields=[fault])
            case "database":
                raise OperationalError("connection refused")
        raise RuntimeError("a fault of our own")


class Private(StrictQueryMixin, APIView):
    permission_classes = (IsAuthenticated,)

    @extend_schema(responses={200: OrderSerializer})
    def get(self, request: Request) -> Response:
        return Response({"id": 1, "name": request.user.get_username()[:10]})


class RangeQuery(QuerySerializer):
    days = serializers.IntegerField(min_value=1, max_value=30, default=7)
    start = serializers.DateTimeField(required=False)


class Ranges(StrictQueryMixin, APIView):
    permission_classes = (AllowAny,)
    query_class = RangeQuery

    @extend_schema(responses={200: OrderSerializer})
    def get(self, request: Request) -> Response:
        return Response(self.query)


class EmailSerializer(serializers.ModelSerializer[User]):
    class Meta:
        model = User
        fields = ("id", "email")


class Numbered(StrictQueryMixin, ListAPIView[User]):
    permission_classes = (AllowAny,)
    queryset = User.objects.order_by("id")
    serializer_class = EmailSerializer
    pagination_class = PageNumbers
    query_class = PageQuery


class ByEmail(Cursor):
    ordering = "email"


class ByEmailQuery(QuerySerializer):
    pagination_class = ByEmail


class Cursored(StrictQueryMixin, ListAPIView[User]):
    permission_classes = (AllowAny,)
    queryset = User.objects.all()
    serializer_class = EmailSerializer
    pagination_class = ByEmail
    query_class = ByEmailQuery


class Priced(APIView):
    permission_classes = (AllowAny,)
    price = 1.5

    @extend_schema(responses={200: OrderSerializer})
    @conditional(max_age_seconds=30)
    def get(self, request: Request) -> Response:
        if "fail" in request.query_params:
            raise Http404
        as_of = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        return Response({"price": self.price, "as_of": as_of, "cap": float("nan"), "fee": Decimal("0.10")})


class PricedByMixin(ConditionalMixin, APIView):
    permission_classes = (AllowAny,)
    max_age_seconds = 60

    @extend_schema(responses={200: OrderSerializer})
    def get(self, request: Request) -> Response:
        return Response({"price": 2.5})


class SignIns(APIView):
    permission_classes = (AllowAny,)
    throttle_classes = (SignInThrottle,)

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request) -> Response:
        return Response(status=204)


class Shared(SharedMixin, StrictQueryMixin):
    """Counts how often its data are asked for, and how often a request comes as far as the view."""

    permission_classes = (AllowAny,)
    query_class = RangeQuery
    made = reached = 0

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        type(self).reached += 1
        super().initial(request, *args, **kwargs)

    @extend_schema(responses=OrderSerializer)
    def get(self, request: Request) -> HttpResponse:
        return self.share(request, self.find)

    def find(self, clock: Clock) -> dict[str, Any]:
        type(self).made += 1
        return {"made": self.made, **self.query}


urlpatterns = [
    path("api/v1/orders/", Orders.as_view()),
    path("api/v1/failures/<str:kind>/", Failures.as_view()),
    path("api/v1/private/", Private.as_view()),
    path("api/v1/ranges/", Ranges.as_view()),
    path("api/v1/numbered/", Numbered.as_view()),
    path("api/v1/cursored/", Cursored.as_view()),
    path("api/v1/priced/", Priced.as_view()),
    path("api/v1/priced-by-mixin/", PricedByMixin.as_view()),
    path("api/v1/shared/", Shared.as_view()),
    path("api/v1/sign-ins/", SignIns.as_view()),
]
