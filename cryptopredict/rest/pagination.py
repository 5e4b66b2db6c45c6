"""Pages of lists: numbered ones for what is browsed, cursors for what grows at one end."""

from base64 import b64decode
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db.models import QuerySet
from rest_framework.exceptions import ErrorDetail, NotFound, ValidationError
from rest_framework.pagination import CursorPagination, PageNumberPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

MAX_PAGE_SIZE = 250
MAX_CURSOR_LENGTH = 500
HIGHEST = 999_999_999  # of a whole number that no other limit holds
Rows = QuerySet[Any] | Sequence[Any]


def read_whole_number(request: Request, name: str, *, default: int, highest: int | None = None) -> int:
    """A parameter from 1 to `highest`; raises ValidationError (400) for anything else."""
    values = request.query_params.getlist(name)
    if not values:
        return default
    if len(values) > 1:
        raise fault(name, "Give this parameter once.", "repeated_parameter")
    text = values[0]
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(HIGHEST))):
        raise fault(name, "A whole number from 1 is expected.", "invalid")
    number = int(text)
    if number < 1:
        raise fault(name, "Ensure this value is greater than or equal to 1.", "min_value")
    if highest is not None and number > highest:
        raise fault(name, f"Ensure this value is less than or equal to {highest}.", "max_value")
    return number


def fault(name: str, message: str, code: str) -> ValidationError:
    return ValidationError({name: [ErrorDetail(message, code=code)]})


class PageNumbers(PageNumberPagination):
    """`page` from 1 and `page_size` up to 250; a page past the end answers 404."""

    page_size = 50
    max_page_size = MAX_PAGE_SIZE
    page_size_query_param = "page_size"
    page_size_query_description = f"Rows in a page, from 1 to {MAX_PAGE_SIZE}."

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        return [
            query_parameter("page", "Page, from 1.", whole(1, HIGHEST)),
            query_parameter("page_size", self.page_size_query_description, whole(self.page_size, MAX_PAGE_SIZE)),
        ]

    def get_page_size(self, request: Request) -> int:
        return read_whole_number(request, "page_size", default=self.page_size, highest=self.max_page_size)

    def get_page_number(self, request: Request, paginator: Any) -> int:
        return read_whole_number(request, "page", default=1)

    def paginate_queryset(self, queryset: Rows, request: Request, view: APIView | None = None) -> list[Any] | None:
        try:
            return super().paginate_queryset(queryset, request, view)
        except NotFound:
            raise NotFound("There is no such page.") from None

    def get_paginated_response(self, data: Any) -> Response:
        page: Any = self.page
        paginator = page.paginator
        return Response(
            {
                "count": paginator.count,
                "page": page.number,
                "page_size": paginator.per_page,
                "pages": paginator.num_pages,
                "next": self.get_next_link(),
                "previous": self.get_previous_link(),
                "results": data,
            }
        )

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        whole = {"type": "integer", "minimum": 0}
        counts = {"count": whole, "page": whole, "page_size": whole, "pages": whole}
        return page_schema({**counts, **LINKS, "results": schema})


class Cursor(CursorPagination):
    """An opaque `cursor`; a subclass sets `ordering`, whose last field is unique."""

    page_size = 50
    max_page_size = MAX_PAGE_SIZE
    page_size_query_param = "page_size"
    page_size_query_description = f"Rows in a page, from 1 to {MAX_PAGE_SIZE}."
    cursor_query_description = "Where to go on: taken from `next` or `previous`, never built by hand."

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        place = {"type": "string", "minLength": 1, "maxLength": MAX_CURSOR_LENGTH}
        return [
            query_parameter("cursor", self.cursor_query_description, place),
            query_parameter("page_size", self.page_size_query_description, whole(self.page_size, MAX_PAGE_SIZE)),
        ]

    def get_page_size(self, request: Request) -> int:
        return read_whole_number(request, "page_size", default=self.page_size, highest=self.max_page_size)

    def paginate_queryset(self, queryset: Rows, request: Request, view: APIView | None = None) -> list[Any] | None:
        try:
            return super().paginate_queryset(queryset, request, view)
        except (ValueError, DjangoValidationError):  # its position is no value of the field we order by
            if "cursor" in request.query_params:
                raise strange_cursor() from None
            raise

    def decode_cursor(self, request: Request) -> Any:
        texts = request.query_params.getlist("cursor")
        if texts and not is_cursor(texts):
            raise strange_cursor()
        try:
            return super().decode_cursor(request)
        except NotFound:
            raise strange_cursor() from None

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"next": self.get_next_link(), "previous": self.get_previous_link(), "results": data})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return page_schema({**LINKS, "results": schema})


def is_cursor(texts: list[str]) -> bool:
    """Whether there is one cursor that holds a place; the base class ignores what it cannot read."""
    if len(texts) > 1 or len(texts[0]) > MAX_CURSOR_LENGTH:
        return False
    try:
        tokens = parse_qs(b64decode(texts[0], validate=True).decode("ascii"), strict_parsing=True)
    except ValueError:
        return False
    return bool(tokens) and set(tokens) <= {"o", "r", "p"}


def strange_cursor() -> ValidationError:
    return fault("cursor", "This cursor is not one of ours.", "invalid")


def query_parameter(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


def whole(default: int, highest: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": 1, "maximum": highest, "default": default}


LINKS = {name: {"type": ["string", "null"], "format": "uri"} for name in ("next", "previous")}


def page_schema(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}
