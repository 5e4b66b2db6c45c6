"""The OpenAPI document: every operation with the errors, headers and parameters that it really has."""

from http import HTTPStatus
from typing import Any

from drf_spectacular.openapi import AutoSchema as SpectacularAutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.permissions import AllowAny, IsAdminUser
from rest_framework.views import APIView

from cryptopredict.rest.conditional import ConditionalMixin
from cryptopredict.rest.examples import add_examples
from cryptopredict.rest.idempotency import HEADER, MAX_KEY_LENGTH, IdempotentMixin
from cryptopredict.rest.pagination import PageNumbers
from cryptopredict.rest.query import StrictQueryMixin
from cryptopredict.rest.strict import StrictMixin


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
    # Blanks at its ends are no part of a header.
    {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH, "pattern": "^[!-~]([ -~]*[!-~])?$"},
    OpenApiParameter.HEADER,
    description="Sent again with the same body within 24 hours, the request takes effect once.",
)


ERRORS = {
    "400": "The request is not valid; `fields` names every fault.",
    "401": "Nobody is signed in, or the credentials or the token are not good.",
    "403": "Whoever is signed in may not do this, or the API token lacks the scope.",
    "404": "There is no such thing, or it belongs to somebody else.",
    "406": "The answer has no form that `Accept` allows.",
    "409": "It cannot be done as things stand, or the first request with this `Idempotency-Key` has not ended.",
    "413": "The request is too large.",
    "414": "The address is too long; the web server says so, in no shape of ours.",
    "415": "The body is of a type that is not read here.",
    "422": "This `Idempotency-Key` was used for another request.",
    "429": "Too many requests; `Retry-After` tells how many seconds to wait.",
    "500": "Something went wrong on our side; it was recorded.",
    "503": "Something the request depends on is down, and nothing was changed; `Retry-After` tells when to try again.",
}
RETRY_AFTER = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 0}}}
ID_IN_PATH = {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}
NAME_IN_PATH = {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[^/]+$"}
LONG_TEXT = 1000  # characters of a parameter, which may become too many bytes of an address
COLUMN_MAXIMA = {2**15 - 1, 2**31 - 1, 2**63 - 1}


class AutoSchema(SpectacularAutoSchema):
    """drf-spectacular's, with the error answers and the examples added to each operation."""

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        operation: dict[str, Any] | None = super().get_operation(*args, **kwargs)
        if operation is not None:
            operation.setdefault("security", [])  # no way in is looked at, and that is said
            add_examples(operation, type(self.view))
            if any(one["schema"].get("maxLength", 0) > LONG_TEXT for one in operation.get("parameters", [])):
                operation["responses"]["414"] = {"description": ERRORS["414"]}
                operation["responses"] = dict(sorted(operation["responses"].items()))
        return operation

    def get_description(self) -> str:  # type: ignore[override]  # as drf-spectacular has it
        text = super().get_description()
        is_for_staff = any(isinstance(permission, IsAdminUser) for permission in self.view.get_permissions())
        return f"{text}\n\nFor staff only." if is_for_staff else text

    def get_auth(self) -> list[dict[str, Any]]:
        """The ways in, without the one for programs where only people who signed in are let in."""
        ways: list[dict[str, Any]] = super().get_auth()
        if ways == [{}]:  # generated clients would ask for a token all the same
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

    def _map_basic_serializer(self, serializer: Any, direction: str) -> dict[str, Any]:
        """With the rule of StrictMixin: a name that is not known is a fault."""
        schema: dict[str, Any] = super()._map_basic_serializer(serializer, direction)
        if direction == "request" and isinstance(serializer, StrictMixin):
            schema["additionalProperties"] = False
        return schema

    def _insert_field_validators(self, field: Any, schema: dict[str, Any]) -> None:
        """Without the largest integer of a column, which PostgreSQL and SQLite do not agree on."""
        super()._insert_field_validators(field, schema)
        if isinstance(field, serializers.MultipleChoiceField) and not field.allow_empty:
            schema["minItems"] = 1
        is_of_column = field.field_name not in getattr(field.parent, "_declared_fields", {field.field_name})
        if is_of_column and schema.get("maximum") in COLUMN_MAXIMA:
            del schema["maximum"]
            schema.pop("format", None)
            if schema.get("minimum", 0) < 0:
                del schema["minimum"]

    def _resolve_path_parameters(self, variables: Any) -> list[dict[str, Any]]:
        parameters: list[dict[str, Any]] = super()._resolve_path_parameters(variables)
        for parameter in parameters:
            is_number = parameter["schema"].get("type") == "integer"
            parameter["schema"] = dict(ID_IN_PATH if is_number else NAME_IN_PATH)
        return parameters

    def _get_request_body(self, direction: Any = "request") -> dict[str, Any] | None:
        """A DELETE's too, where the view reads one, and what a PATCH needs, where it does need something."""
        method = self.method
        if (method == "DELETE" and getattr(self.view, "delete_takes_body", False)) or (
            method == "PATCH" and getattr(self.view, "patch_needs_fields", False)
        ):
            self.method = "PUT"  # drf-spectacular reads off it that there is a body, and a whole one
        try:
            found: dict[str, Any] | None = super()._get_request_body(direction)
        finally:
            self.method = method
        return found

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        responses: dict[str, Any] = super()._get_response_bodies(direction)
        if direction != "response":
            return responses
        for code in self.error_codes() - set(responses):
            responses[code] = self._get_response_for_code(ErrorSerializer, code, ["application/json"])
        for code, response in responses.items():
            if code in ERRORS:
                response["description"] = response.get("description") or ERRORS[code]
            elif not response.get("description"):
                response["description"] = HTTPStatus(int(code)).phrase
            if code in {"429", "503"}:
                response["headers"] = RETRY_AFTER
        if self.is_conditional():
            responses.setdefault("304", {"description": "What the client has is still current."})
        return dict(sorted(responses.items()))

    def error_codes(self) -> set[str]:
        codes = {"500", "503"}
        has_body = self.method in {"POST", "PUT", "PATCH"} or self._get_request_body() is not None
        if has_body or isinstance(self.view, StrictQueryMixin):
            codes.add("400")
        if type(self.view).perform_content_negotiation is APIView.perform_content_negotiation:
            codes.add("406")
        if self.view.get_throttles():
            codes.add("429")
        if self.view.get_authenticators():
            codes.add("401")
        if any(not isinstance(permission, AllowAny) for permission in self.view.get_permissions()):
            codes |= {"401", "403"}
        if "{" in self.path or (self._is_list_view() and isinstance(self._get_paginator(), PageNumbers)):
            codes.add("404")
        if has_body:
            codes |= {"413", "415"}
        if self.method == "POST" and isinstance(self.view, IdempotentMixin):
            codes |= {"409", "422"}
        return codes

    def is_conditional(self) -> bool:
        method = getattr(self.view, "get", None)
        decorated = hasattr(method, "max_age_seconds")
        return self.method == "GET" and (decorated or isinstance(self.view, ConditionalMixin))
