"""The OpenAPI document: every operation with the errors, headers and parameters that it really has."""

from typing import Any

from drf_spectacular.openapi import AutoSchema as SpectacularAutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.permissions import AllowAny

from cryptopredict.rest.conditional import ConditionalMixin
from cryptopredict.rest.idempotency import HEADER, MAX_KEY_LENGTH, IdempotentMixin
from cryptopredict.rest.query import StrictQueryMixin


class ErrorFieldSerializer(serializers.Serializer[Any]):
    """One fault of one field."""

    field = serializers.CharField(
        allow_blank=True, help_text="Its name, nested ones joined by dots; empty for the request as a whole."
    )
    code = serializers.CharField(help_text="Stable.")
    message = serializers.CharField(help_text="For people; may change.")


class ErrorDetailSerializer(serializers.Serializer[Any]):
    """What went wrong."""

    code = serializers.CharField(help_text="Stable: invalid, not_found, not_authenticated, throttled, …")
    message = serializers.CharField(help_text="For people; may change.")
    fields = ErrorFieldSerializer(many=True, help_text="Every fault found.")  # type: ignore[assignment]


class ErrorSerializer(serializers.Serializer[Any]):
    """The shape of every error."""

    error = ErrorDetailSerializer()


IDEMPOTENCY_PARAMETER = OpenApiParameter(
    HEADER,
    {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH},
    OpenApiParameter.HEADER,
    description="Sent again with the same body within 24 hours, the request takes effect once.",
)


class AutoSchema(SpectacularAutoSchema):
    """drf-spectacular's, with the error answers added to each operation."""

    def get_auth(self) -> list[dict[str, Any]]:
        """The ways in, without the one for programs where only people who signed in are let in."""
        ways: list[dict[str, Any]] = super().get_auth()
        if ways == [{}]:  # no way in is looked at: left out, or generated clients would ask for a token all the same
            return []
        takes_api_tokens = getattr(self.view, "takes_api_tokens", True)
        return [way for way in ways if takes_api_tokens or "apiToken" not in way]

    def get_override_parameters(self) -> list[Any]:
        parameters = list(super().get_override_parameters())
        if isinstance(self.view, StrictQueryMixin) and self.view.query_class().fields:
            parameters.append(self.view.query_class)
        if self.method == "POST" and isinstance(self.view, IdempotentMixin):
            parameters.append(IDEMPOTENCY_PARAMETER)
        return parameters

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        responses: dict[str, Any] = super()._get_response_bodies(direction)
        if direction != "response":
            return responses
        for code in sorted(self.error_codes()):
            if code not in responses:
                responses[code] = self._get_response_for_code(ErrorSerializer, code, ["application/json"])
        if self.is_conditional():
            responses.setdefault("304", {"description": "What the client has is still current."})
        return dict(sorted(responses.items()))

    def error_codes(self) -> set[str]:
        codes = {"400", "406", "429", "500", "503"}
        if self.view.get_authenticators():
            codes.add("401")
        if any(not isinstance(permission, AllowAny) for permission in self.view.get_permissions()):
            codes |= {"401", "403"}
        if "{" in self.path or self._is_list_view():
            codes.add("404")
        if self.method in {"POST", "PUT", "PATCH"}:
            codes |= {"413", "415"}
        if self.method == "POST" and isinstance(self.view, IdempotentMixin):
            codes |= {"409", "422"}
        return codes

    def is_conditional(self) -> bool:
        method = getattr(self.view, "get", None)
        decorated = hasattr(method, "max_age_seconds")
        return self.method == "GET" and (decorated or isinstance(self.view, ConditionalMixin))
