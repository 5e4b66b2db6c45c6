"""What the tests of the API share: asking, and holding an answer against its documented shape."""

from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.fields import Field
from rest_framework.serializers import ListSerializer, Serializer

API = "/api/v1/"


def ask(path: str, *, status: int = 200, **parameters: Any) -> Any:
    """The parsed answer to an anonymous GET, after its status was checked."""
    response = Client().get(f"{API}{path}", parameters)
    assert response.status_code == status, response.content
    return response.json()


def faults(path: str, *, status: int = 400, **parameters: Any) -> list[tuple[str, str]]:
    """(field, code) of each fault that a bad request is answered with."""
    error = ask(path, status=status, **parameters)["error"]
    assert set(error) == {"code", "message", "fields"}
    return [(fault["field"], fault["code"]) for fault in error["fields"]]


def error_code(path: str, *, status: int, **parameters: Any) -> str:
    return str(ask(path, status=status, **parameters)["error"]["code"])


def count_queries(path: str, **parameters: Any) -> int:
    with CaptureQueriesContext(connection) as queries:
        ask(path, **parameters)
    return len(queries)


def assert_documented(answer: Any, shape: Field[Any, Any, Any, Any]) -> None:
    """Fails unless the answer has the shape's fields, all of them and no others, however deep."""
    if isinstance(shape, ListSerializer):
        for item in answer:
            assert shape.child is not None
            assert_documented(item, shape.child)
    elif isinstance(shape, Serializer) and not (answer is None and shape.allow_null):
        assert set(answer) == set(shape.fields)
        for name, field in shape.fields.items():
            assert_documented(answer[name], field)
    elif answer is None:
        assert shape.allow_null, f"{shape.field_name} is null"
