"""What the OpenAPI document says about API tokens."""

from drf_spectacular.extensions import OpenApiAuthenticationExtension

from accounts.models import ApiToken


class ApiTokenScheme(OpenApiAuthenticationExtension):
    target_class = "accounts.api.authentication.ApiTokenAuthentication"
    name = "apiToken"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": f"{ApiToken.PREFIX}…"}
