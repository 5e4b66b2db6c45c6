"""What an API token may do at an endpoint."""

from typing import TYPE_CHECKING

from rest_framework.permissions import SAFE_METHODS, BasePermission, IsAdminUser
from rest_framework.request import Request

from accounts.models import ApiToken

if TYPE_CHECKING:  # rest_framework.views itself imports this module
    from rest_framework.views import APIView


class HasScope(BasePermission):
    """Whether the request's API token has the scope that the endpoint asks for; other requests pass.

    The authentication of the token asks it, at every endpoint, so that no view can forget it: a view names its
    own permissions beside it. Staff endpoints need `staff`, reading needs `read`, all else `write`. A view with
    `takes_api_tokens = False` is for people who signed in.
    """

    def has_permission(self, request: Request, view: "APIView") -> bool:
        token = request.auth
        if not isinstance(token, ApiToken):
            return True
        takes_api_tokens = bool(getattr(view, "takes_api_tokens", True))
        return takes_api_tokens and needed_scope(request.method or "", view) in token.scopes


def needed_scope(method: str, view: "APIView") -> str:
    if any(is_for_staff(permission) for permission in view.get_permissions()):
        return ApiToken.Scope.STAFF
    return ApiToken.Scope.READ if method in SAFE_METHODS else ApiToken.Scope.WRITE


def is_for_staff(permission: object) -> bool:
    return isinstance(permission, IsAdminUser) or bool(getattr(permission, "is_for_staff", False))
