"""The tokens of one's own programs."""

from typing import cast

import orjson
from django.core.exceptions import ValidationError as DjangoValidationError
from django.http import Http404
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import services
from accounts.api.serializers import ApiTokenRequestSerializer, ApiTokenSerializer, NewApiTokenSerializer
from accounts.api.views import AuthView
from accounts.models import ApiToken, ApiTokenQuerySet, User
from cryptopredict.rest.idempotency import IdempotentMixin
from cryptopredict.rest.query import ListQueryMixin


@extend_schema(tags=["Authentication"])
@extend_schema_view(get=extend_schema(operation_id="list_api_tokens", summary="List API tokens"))
class ApiTokensView(IdempotentMixin, ListQueryMixin, AuthView, ListAPIView[ApiToken]):
    """One's own API tokens, the newest first."""

    serializer_class = ApiTokenSerializer
    queryset = ApiToken.objects.none()

    def get_queryset(self) -> ApiTokenQuerySet:
        return ApiToken.objects.of(self.request.user)

    @extend_schema(
        operation_id="create_api_token",
        summary="Create an API token",
        request=ApiTokenRequestSerializer,
        responses={201: NewApiTokenSerializer},
    )
    def post(self, request: Request) -> Response:
        """Creates a token. Its secret is in this answer and nowhere else."""
        data = self.read(ApiTokenRequestSerializer)
        try:
            token, secret = services.create_api_token(user=cast(User, request.user), **data)
        except DjangoValidationError as problem:
            raise as_fault(problem) from None
        answer = NewApiTokenSerializer(token, context={"secret": secret})
        return Response(answer.data, status=status.HTTP_201_CREATED)

    def content_to_keep(self, rendered: Response) -> bytes:
        return orjson.dumps({**orjson.loads(rendered.content), "token": None})


@extend_schema(tags=["Authentication"])
class ApiTokenView(AuthView):
    """One of one's own API tokens."""

    @extend_schema(operation_id="revoke_api_token", summary="Revoke an API token", responses={204: None})
    def delete(self, request: Request, token_id: int) -> Response:
        """Revokes it; again is no error."""
        token = ApiToken.objects.of(request.user).filter(pk=token_id).first()
        if token is None:
            raise Http404("There is no such token.")
        services.revoke_api_token(token)
        return Response(status=status.HTTP_204_NO_CONTENT)


def as_fault(problem: DjangoValidationError) -> ValidationError:
    if hasattr(problem, "error_dict"):
        return ValidationError(
            {
                name: [ErrorDetail(fault.messages[0], code=fault.code) for fault in faults]
                for name, faults in problem.error_dict.items()
            }
        )
    return ValidationError([ErrorDetail(problem.messages[0], code=problem.code)])
