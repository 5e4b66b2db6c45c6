"""What the OpenAPI document says about the two ways to sign in."""

from typing import Any

from drf_spectacular.contrib.rest_framework_simplejwt import SimpleJWTScheme
from drf_spectacular.extensions import OpenApiAuthenticationExtension

from accounts.api.scopes import needed_scope
from accounts.models import ApiToken


class ApiTokenScheme(OpenApiAuthenticationExtension):
    target_class = "accounts.api.authentication.ApiTokenAuthentication"
    name = "apiToken"

    def get_security_requirement(self, auto_schema: Any) -> dict[str, list[Any]]:
        return {self.name: [str(needed_scope(auto_schema.method, auto_schema.view))]}

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": f"{ApiToken.PREFIX}…",
            "description": "A program's token, made by `POST /api/v1/auth/tokens/` with the scopes read, write or "
            "staff; each operation names the scope that it needs.",
        }


class JwtScheme(SimpleJWTScheme):
    priority = 1

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A person's access token of ten minutes, from `POST /api/v1/auth/token/`.",
        }
