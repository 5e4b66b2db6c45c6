"""Sign-up, sign-in, tokens and one's own profile."""

from typing import Any, cast

from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView
from rest_framework_simplejwt.exceptions import InvalidToken, TokenError

from accounts import services, tokens
from accounts.api import serializers
from accounts.models import User
from cryptopredict.rest.errors import ApiProblem, FieldError, unavailable
from cryptopredict.rest.query import StrictQueryMixin
from cryptopredict.rest.schema import ErrorSerializer
from cryptopredict.rest.throttling import AnonymousThrottle, SignInThrottle, UserThrottle

REGISTERED = "Thank you. If this address had no account yet, it has one now: sign in with your password."
REFUSED = OpenApiResponse(ErrorSerializer, description="The credentials or the token are not good.")


@method_decorator([never_cache, sensitive_post_parameters()], name="dispatch")
class AuthView(StrictQueryMixin, APIView):
    """What the views here share: nobody may keep their answers."""

    def read(self, serializer_class: type[Serializer[Any]]) -> dict[str, Any]:
        serializer = serializer_class(data=self.request.data, context={"request": self.request})
        serializer.is_valid(raise_exception=True)
        return cast(dict[str, Any], serializer.validated_data)


class PublicAuthView(AuthView):
    """Looks at no token in the header, so that an old one hinders nobody from getting a new one."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    def get_authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'  # a refusal here is a 401, not a 403


@extend_schema(tags=["auth"])
class RegisterView(PublicAuthView):
    """Creates an account. The answer is the same whether or not the address has one."""

    throttle_classes = (AnonymousThrottle, SignInThrottle)

    @extend_schema(request=serializers.RegistrationSerializer, responses={202: serializers.MessageSerializer})
    def post(self, request: Request) -> Response:
        services.register_user(**self.read(serializers.RegistrationSerializer))
        return Response({"message": REGISTERED}, status=status.HTTP_202_ACCEPTED)


@extend_schema(tags=["auth"])
class TokenView(PublicAuthView):
    """Signs in with address and password."""

    @extend_schema(
        request=serializers.CredentialsSerializer, responses={200: serializers.TokenPairSerializer, 401: REFUSED}
    )
    def post(self, request: Request) -> Response:
        credentials = self.read(serializers.CredentialsSerializer)
        try:
            pair = services.obtain_tokens(request=request._request, **credentials)
        except services.TooManyTries as problem:
            raise Throttled(problem.wait_seconds) from None
        except services.SignInUnavailable as problem:
            raise unavailable(str(problem)) from None
        except services.SignInRefused as problem:
            raise AuthenticationFailed(str(problem)) from None
        return Response(pair._asdict())


@extend_schema(tags=["auth"])
class TokenRefreshView(PublicAuthView):
    """Exchanges a refresh token for the next pair; using one twice signs out everywhere that descends from it."""

    @extend_schema(
        request=serializers.RefreshSerializer, responses={200: serializers.TokenPairSerializer, 401: REFUSED}
    )
    def post(self, request: Request) -> Response:
        try:
            pair = tokens.rotate_tokens(self.read(serializers.RefreshSerializer)["refresh"])
        except TokenError as problem:
            raise InvalidToken(str(problem)) from None
        return Response(pair._asdict())


@extend_schema(tags=["auth"])
class TokenVerifyView(PublicAuthView):
    """Tells whether a token would be accepted now."""

    @extend_schema(request=serializers.TokenSerializer, responses={200: serializers.GoodTokenSerializer, 401: REFUSED})
    def post(self, request: Request) -> Response:
        try:
            token_type, expires_at = tokens.verify_token(self.read(serializers.TokenSerializer)["token"])
        except TokenError as problem:
            raise InvalidToken(str(problem)) from None
        return Response({"token_type": token_type, "expires_at": expires_at})


@extend_schema(tags=["auth"])
class LogoutView(AuthView):
    """Ends the family of this refresh token: the device that holds it has to sign in again."""

    @extend_schema(request=serializers.RefreshSerializer, responses={204: None})
    def post(self, request: Request) -> Response:
        refresh = self.read(serializers.RefreshSerializer)["refresh"]
        try:
            tokens.end_family(refresh, cast(User, request.user))
        except TokenError as problem:
            fault: FieldError = {"field": "refresh", "code": "token_not_valid", "message": str(problem)}
            raise ApiProblem("invalid", "The refresh token is not good.", fields=[fault]) from None
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema(tags=["auth"])
class MeView(AuthView):
    """One's own profile."""

    @extend_schema(responses={200: serializers.ProfileSerializer})
    def get(self, request: Request) -> Response:
        return Response(serializers.ProfileSerializer(cast(User, request.user)).data)

    @extend_schema(request=serializers.ProfileSerializer, responses={200: serializers.ProfileSerializer})
    def patch(self, request: Request) -> Response:
        serializer = serializers.ProfileSerializer(cast(User, request.user), data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        serializer.save()
        return Response(serializer.data)


@extend_schema(tags=["auth"])
class PasswordChangeView(AuthView):
    """Changes the password; every session and refresh token ends, and a new pair is answered."""

    throttle_classes = (UserThrottle, SignInThrottle)

    @extend_schema(request=serializers.PasswordChangeSerializer, responses={200: serializers.TokenPairSerializer})
    def post(self, request: Request) -> Response:
        user = cast(User, request.user)
        passwords = self.read(serializers.PasswordChangeSerializer)
        services.change_password(user=user, new_password=passwords["new_password"])
        return Response(tokens.issue_tokens(user)._asdict())
