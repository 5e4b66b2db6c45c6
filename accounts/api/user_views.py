"""Other people's accounts, for staff."""

from typing import Any, cast

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db.models import Q, QuerySet
from django.http import Http404
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers, status
from rest_framework.generics import ListAPIView
from rest_framework.permissions import IsAdminUser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import people
from accounts.api.token_views import as_fault
from accounts.models import User
from cryptopredict.rest.idempotency import IdempotentMixin
from cryptopredict.rest.pagination import PageNumbers
from cryptopredict.rest.query import ListQueryMixin, QuerySerializer, StrictQueryMixin
from cryptopredict.rest.strict import StrictMixin

ORDERS = ("joined_at", "-joined_at", "email", "-email", "last_login", "-last_login")


class UserSerializer(serializers.ModelSerializer[User]):
    class Meta:
        model = User
        fields = (
            "id", "email", "name", "language", "currency", "time_zone",
            "is_active", "is_staff", "joined_at", "last_login",
        )  # fmt: skip
        read_only_fields = fields


class UserRequestSerializer(StrictMixin, serializers.ModelSerializer[User]):
    """What staff may set; whether an address is free is seen when it is written."""

    email = serializers.EmailField(max_length=254)

    class Meta:
        model = User
        fields = ("email", "name", "language", "currency", "time_zone", "is_staff")

    def validate_email(self, value: str) -> str:
        return value.strip().lower()


class UserQuery(QuerySerializer):
    pagination_class = PageNumbers

    search = serializers.CharField(required=False, max_length=100, help_text="Part of the address or the name.")
    is_active = serializers.BooleanField(required=False, help_text="Whether they may sign in.")
    is_staff = serializers.BooleanField(required=False, help_text="Whether they are staff.")
    joined_after = serializers.DateTimeField(required=False, help_text="ISO 8601, included.")
    joined_before = serializers.DateTimeField(required=False, help_text="ISO 8601, excluded.")
    ordering = serializers.ChoiceField(ORDERS, required=False, default="-joined_at")


class DayCountSerializer(serializers.Serializer[Any]):
    day = serializers.DateField()
    count = serializers.IntegerField(min_value=0)


class UserStatsSerializer(serializers.Serializer[Any]):
    total = serializers.IntegerField(min_value=0)
    active = serializers.IntegerField(min_value=0)
    staff = serializers.IntegerField(min_value=0)
    signed_in_30_days = serializers.IntegerField(min_value=0)
    new_per_day = DayCountSerializer(many=True, help_text="The last 30 days in UTC, today last.")
    as_of = serializers.DateTimeField()


class MayChangeUsers(IsAdminUser):
    """Staff read; writing takes the permission that the admin asks for too."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not super().has_permission(request, view):
            return False
        if request.method in {"GET", "HEAD", "OPTIONS"}:
            return True
        creates = isinstance(view, UsersView)
        return bool(request.user.has_perm("accounts.add_user" if creates else "accounts.change_user"))


@method_decorator(never_cache, name="dispatch")
class StaffView(StrictQueryMixin, APIView):
    permission_classes = (MayChangeUsers,)

    @property
    def actor(self) -> User:
        return cast(User, self.request.user)

    def find(self, user_id: int) -> User:
        user = User.objects.filter(pk=user_id).first()
        if user is None:
            raise Http404("There is no such user.")
        return user


@extend_schema(tags=["Users"])
@extend_schema_view(get=extend_schema(operation_id="list_users", summary="List users"))
class UsersView(IdempotentMixin, ListQueryMixin, StaffView, ListAPIView[User]):
    """All accounts: searched, filtered, ordered, in pages."""

    serializer_class = UserSerializer
    list_query_class = UserQuery
    queryset = User.objects.none()

    def get_queryset(self) -> QuerySet[User]:
        query, users = self.query, User.objects.all()
        if search := query.get("search"):
            users = users.filter(Q(email__icontains=search) | Q(name__icontains=search))
        for name in ("is_active", "is_staff"):
            if query.get(name) is not None:
                users = users.filter(**{name: query[name]})
        if "joined_after" in query:
            users = users.filter(joined_at__gte=query["joined_after"])
        if "joined_before" in query:
            users = users.filter(joined_at__lt=query["joined_before"])
        return users.order_by(query["ordering"], "pk")

    @extend_schema(
        operation_id="create_user",
        summary="Create a user",
        request=UserRequestSerializer,
        responses={201: UserSerializer},
    )
    def post(self, request: Request) -> Response:
        """Creates an account without a password; its owner is mailed a link to set one."""
        data = UserRequestSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        try:
            user = people.create_user(request=request._request, actor=self.actor, **data.validated_data)
        except DjangoValidationError as problem:
            raise as_fault(problem) from None
        return Response(UserSerializer(user).data, status=status.HTTP_201_CREATED)


@extend_schema(tags=["Users"])
class UserView(StaffView):
    """One account."""

    @extend_schema(operation_id="get_user", summary="Read a user", responses={200: UserSerializer})
    def get(self, request: Request, user_id: int) -> Response:
        return Response(UserSerializer(self.find(user_id)).data)

    @extend_schema(
        operation_id="update_user",
        summary="Change a user",
        request=UserRequestSerializer,
        responses={200: UserSerializer},
    )
    def patch(self, request: Request, user_id: int) -> Response:
        """Changes what staff may set of an account."""
        user = self.find(user_id)
        data = UserRequestSerializer(user, data=request.data, partial=True)
        data.is_valid(raise_exception=True)
        try:
            changed = people.change_user(actor=self.actor, user=user, fields=dict(data.validated_data))
        except DjangoValidationError as problem:
            raise as_fault(problem) from None
        return Response(UserSerializer(changed).data)

    @extend_schema(operation_id="deactivate_user", summary="Deactivate a user", responses={204: None})
    def delete(self, request: Request, user_id: int) -> Response:
        """Deactivates it, with all its sessions and tokens; its rows stay. Erasing is its owner's own affair."""
        people.set_active(actor=self.actor, user=self.find(user_id), is_active=False)
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema(tags=["Users"])
class UserActivateView(StaffView):
    """Lets a deactivated person sign in again."""

    @extend_schema(
        operation_id="activate_user", summary="Activate a user", request=None, responses={200: UserSerializer}
    )
    def post(self, request: Request, user_id: int) -> Response:
        user = self.find(user_id)
        people.set_active(actor=self.actor, user=user, is_active=True)
        return Response(UserSerializer(self.find(user_id)).data)


@extend_schema(tags=["Users"])
class UserStatsView(StaffView):
    """How many accounts there are, and how many are new on each day."""

    @extend_schema(operation_id="get_user_statistics", summary="Count users", responses={200: UserStatsSerializer})
    def get(self, request: Request) -> Response:
        return Response(UserStatsSerializer(people.statistics()).data)
