"""Signs requests in by an API token in the Authorization header; JWTs are left to the class after it."""

from typing import TYPE_CHECKING

from django.db.models import Q
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.request import Request

from accounts.api.scopes import HasScope
from accounts.models import ApiToken, User

if TYPE_CHECKING:  # rest_framework.views itself imports this module
    from rest_framework.views import APIView


class ApiTokenAuthentication(BaseAuthentication):
    """Takes `Authorization: Bearer cpt_…`; refuses a token that lacks the scope of the endpoint."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        kind, _, secret = get_authorization_header(request).partition(b" ")
        prefix = ApiToken.PREFIX.encode()
        if kind.lower() != b"bearer" or not secret.strip().startswith(prefix):
            return None
        token = find_token(secret.strip().decode("latin-1"))
        if token is None:
            raise AuthenticationFailed("This API token is unknown, revoked or expired.", code="token_not_valid")
        request.auth = token
        view: APIView = request.parser_context["view"]
        if not HasScope().has_permission(request, view):
            raise PermissionDenied("This API token lacks the scope for that.", code="scope_missing")
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'


def find_token(secret: str) -> ApiToken | None:
    """The usable token of this secret; its last use is written at most once a minute."""
    now = timezone.now()
    token = ApiToken.objects.usable(now).with_secret(secret).select_related("user").first()
    if token is None:
        return None
    before = now - ApiToken.LAST_USE_EVERY
    if token.last_used_at is None or token.last_used_at < before:
        unused = Q(last_used_at__isnull=True) | Q(last_used_at__lt=before)
        ApiToken.objects.filter(unused, pk=token.pk).update(last_used_at=now)
    return token
