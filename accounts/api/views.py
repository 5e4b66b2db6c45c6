"""Sign-up, sign-in, tokens and one's own profile."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from allauth.account.adapter import get_adapter
from django.http import HttpResponse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.exceptions import AuthenticationFailed, ErrorDetail, Throttled, ValidationError
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView
from rest_framework_simplejwt.exceptions import InvalidToken, TokenError

from accounts import addresses, own_data, services, tokens
from accounts.api import serializers
from accounts.models import User
from cryptopredict.rest.errors import ApiProblem, FieldError, unavailable
from cryptopredict.rest.idempotency import IdempotentMixin
from cryptopredict.rest.query import StrictQueryMixin
from cryptopredict.rest.schema import ErrorSerializer
from cryptopredict.rest.throttling import AnonymousThrottle, SignInThrottle

REGISTERED = "Thank you. If this address had no account yet, it has one now: sign in with your password."
MAILED = "If this address has an account, a mail with a link is on its way."
UNCONFIRMED = OpenApiResponse(ErrorSerializer, description="The address waits to be confirmed.")
REFUSED = OpenApiResponse(ErrorSerializer, description="The credentials or the token are not good.")


@method_decorator([never_cache, sensitive_post_parameters()], name="dispatch")
class AuthView(StrictQueryMixin, APIView):
    """What the views here share: nobody may keep their answers, and programs' API tokens are refused."""

    takes_api_tokens = False

    def read(self, serializer_class: type[Serializer[Any]]) -> dict[str, Any]:
        serializer = serializer_class(data=self.request.data, context={"request": self.request})
        serializer.is_valid(raise_exception=True)
        return cast(dict[str, Any], serializer.validated_data)


@contextmanager
def refusals_as_problems() -> Iterator[None]:
    """Turns what hinders a sign-in into the API's errors."""
    try:
        yield
    except services.TooManyTries as problem:
        raise Throttled(problem.wait_seconds) from None
    except services.SignInUnavailable as problem:
        raise unavailable(str(problem)) from None
    except services.CodeRequired as problem:
        raise AuthenticationFailed(str(problem), code="otp_required") from None
    except services.CodeRefused as problem:
        raise AuthenticationFailed(str(problem), code="otp_not_valid") from None
    except services.NotConfirmed as problem:
        raise ApiProblem("email_not_verified", str(problem), status.HTTP_403_FORBIDDEN) from None
    except services.SignInRefused as problem:
        raise AuthenticationFailed(str(problem)) from None


def check_own_password(request: Request, field: str, password: str) -> None:
    """Raises a fault of the field for a password that is not the user's; counted like a sign-in."""
    with refusals_as_problems():
        try:
            email = cast(User, request.user).email
            services.check_credentials(request=request._request, email=email, password=password)
        except services.SignInRefused:
            fault = ErrorDetail("This is not your password.", code="wrong_password")
            raise ValidationError({field: [fault]}) from None


class PublicAuthView(AuthView):
    """Looks at no token in the header, so that an old one hinders nobody from getting a new one."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    def get_authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'  # a refusal here is a 401, not a 403


@extend_schema(tags=["Authentication"])
class RegisterView(IdempotentMixin, PublicAuthView):
    """Creates an account. The answer is the same whether or not the address has one."""

    throttle_classes = (AnonymousThrottle, SignInThrottle)

    @extend_schema(
        operation_id="register",
        summary="Create an account",
        request=serializers.RegistrationSerializer,
        responses={202: serializers.MessageSerializer},
    )
    def post(self, request: Request) -> Response:
        data = self.read(serializers.RegistrationSerializer)
        services.register_user(request=request._request, **data)
        return Response({"message": REGISTERED}, status=status.HTTP_202_ACCEPTED)


@extend_schema(tags=["Authentication"])
class TokenView(PublicAuthView):
    """Signs in with address and password; where a second factor is set up, with a code as `otp` too."""

    @extend_schema(
        operation_id="sign_in",
        summary="Sign in",
        request=serializers.CredentialsSerializer,
        responses={200: serializers.TokenPairSerializer, 401: REFUSED, 403: UNCONFIRMED},
    )
    def post(self, request: Request) -> Response:
        credentials = self.read(serializers.CredentialsSerializer)
        with refusals_as_problems():
            pair = services.obtain_tokens(request=request._request, **credentials)
        return Response(pair._asdict())


@extend_schema(tags=["Authentication"])
class TokenRefreshView(PublicAuthView):
    """Exchanges a refresh token for the next pair; using one twice signs out everywhere that descends from it."""

    @extend_schema(
        operation_id="refresh_tokens",
        summary="Exchange a refresh token",
        request=serializers.RefreshSerializer,
        responses={200: serializers.TokenPairSerializer, 401: REFUSED},
    )
    def post(self, request: Request) -> Response:
        try:
            pair = tokens.rotate_tokens(self.read(serializers.RefreshSerializer)["refresh"])
        except TokenError as problem:
            raise InvalidToken(str(problem)) from None
        return Response(pair._asdict())


@extend_schema(tags=["Authentication"])
class TokenVerifyView(PublicAuthView):
    """Tells whether a token would be accepted now."""

    @extend_schema(
        operation_id="verify_token",
        summary="Check a token",
        request=serializers.TokenSerializer,
        responses={200: serializers.GoodTokenSerializer, 401: REFUSED},
    )
    def post(self, request: Request) -> Response:
        try:
            token_type, expires_at = tokens.verify_token(self.read(serializers.TokenSerializer)["token"])
        except TokenError as problem:
            raise InvalidToken(str(problem)) from None
        return Response({"token_type": token_type, "expires_at": expires_at})


@extend_schema(tags=["Authentication"])
class LogoutView(AuthView):
    """Ends the family of this refresh token: the device that holds it has to sign in again."""

    @extend_schema(
        operation_id="sign_out", summary="Sign out", request=serializers.RefreshSerializer, responses={204: None}
    )
    def post(self, request: Request) -> Response:
        refresh = self.read(serializers.RefreshSerializer)["refresh"]
        try:
            tokens.end_family(refresh, cast(User, request.user))
        except TokenError as problem:
            fault: FieldError = {"field": "refresh", "code": "token_not_valid", "message": str(problem)}
            raise ApiProblem("invalid", "The refresh token is not good.", fields=[fault]) from None
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema(tags=["Authentication"])
class MeView(AuthView):
    """One's own profile."""

    delete_takes_body = True  # the password, which belongs in no address

    @extend_schema(
        operation_id="get_profile", summary="Read one's profile", responses={200: serializers.ProfileSerializer}
    )
    def get(self, request: Request) -> Response:
        return Response(serializers.ProfileSerializer(cast(User, request.user)).data)

    @extend_schema(
        operation_id="update_profile",
        summary="Change one's profile",
        request=serializers.ProfileSerializer,
        responses={200: serializers.ProfileSerializer},
    )
    def patch(self, request: Request) -> Response:
        """Changes one's name, language, currency or time zone."""
        serializer = serializers.ProfileSerializer(cast(User, request.user), data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        serializer.save()
        return Response(serializer.data)

    @extend_schema(
        operation_id="delete_account",
        summary="Delete one's account",
        request=serializers.OwnPasswordSerializer,
        responses={204: None},
    )
    def delete(self, request: Request) -> Response:
        """Erases the account and all that belongs to it, after the password."""
        check_own_password(request, "password", self.read(serializers.OwnPasswordSerializer)["password"])
        services.delete_account(user=cast(User, request.user))
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema(tags=["Authentication"])
class ExportView(AuthView):
    """All that is kept about oneself, as one JSON file: the rows that deleting the account erases."""

    @extend_schema(
        operation_id="export_own_data",
        summary="Download all one's data",
        responses={200: serializers.OwnDataSerializer},
    )
    def get(self, request: Request) -> HttpResponse:
        return own_data.file_response(cast(User, request.user))


@extend_schema(tags=["Authentication"])
class PasswordChangeView(AuthView):
    """Changes the password; every session, refresh token and API token ends, and a new pair is answered."""

    @extend_schema(
        operation_id="change_password",
        summary="Change one's password",
        request=serializers.PasswordChangeSerializer,
        responses={200: serializers.TokenPairSerializer},
    )
    def post(self, request: Request) -> Response:
        user = cast(User, request.user)
        passwords = self.read(serializers.PasswordChangeSerializer)
        check_own_password(request, "old_password", passwords["old_password"])
        services.change_password(user=user, new_password=passwords["new_password"])
        get_adapter(request._request).send_notification_mail("account/email/password_changed", user)
        return Response(tokens.issue_tokens(user)._asdict())


@extend_schema(tags=["Authentication"])
class PasswordResetView(PublicAuthView):
    """Mails a link that sets a new password. The answer is the same for every address."""

    throttle_classes = (AnonymousThrottle, SignInThrottle)

    @extend_schema(
        operation_id="request_password_reset",
        summary="Ask for a new password",
        request=serializers.AddressSerializer,
        responses={202: serializers.MessageSerializer},
    )
    def post(self, request: Request) -> Response:
        email = self.read(serializers.AddressSerializer)["email"]
        services.request_password_reset(request=request._request, email=email)
        return Response({"message": MAILED}, status=status.HTTP_202_ACCEPTED)


@extend_schema(tags=["Authentication"])
class PasswordResetConfirmView(PublicAuthView):
    """Sets a new password with the key of the mailed link, once within an hour; all that was signed in ends."""

    throttle_classes = (AnonymousThrottle, SignInThrottle)

    @extend_schema(
        operation_id="confirm_password_reset",
        summary="Set a new password by a mailed key",
        request=serializers.NewPasswordSerializer,
        responses={204: None},
    )
    def post(self, request: Request) -> Response:
        data = self.read(serializers.NewPasswordSerializer)
        try:
            services.reset_password(request=request._request, **data)
        except services.SignInRefused as problem:
            raise ValidationError({"key": [ErrorDetail(str(problem), code="key_not_valid")]}) from None
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema(tags=["Authentication"])
class EmailVerifyView(PublicAuthView):
    """Confirms an address with the key of the mailed link, once within three days."""

    throttle_classes = (AnonymousThrottle, SignInThrottle)

    @extend_schema(
        operation_id="verify_email",
        summary="Confirm an address",
        request=serializers.KeySerializer,
        responses={204: None},
    )
    def post(self, request: Request) -> Response:
        if not addresses.confirm_key(request=request._request, key=self.read(serializers.KeySerializer)["key"]):
            text = "This link is not good any more, or the address belongs to another account."
            raise ValidationError({"key": [ErrorDetail(text, code="key_not_valid")]})
        return Response(status=status.HTTP_204_NO_CONTENT)
