"""The OpenAPI document says what the answers hold."""

from typing import Any

import pytest
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from openapi_spec_validator import OpenAPIV31SpecValidator

from cryptopredict.tests.rest import urls


@pytest.fixture
def document() -> dict[str, Any]:
    GENERATOR_STATS.reset()
    found: dict[str, Any] = SchemaGenerator(patterns=urls.urlpatterns).get_schema(request=None, public=True)
    return found


def test_it_is_a_valid_document_without_warnings(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(document).validate()
    assert not GENERATOR_STATS


def test_it_gives_every_operation_its_errors_in_one_shape(document: dict[str, Any]) -> None:
    for path, item in document["paths"].items():
        for operation in item.values():
            errors = {code: answer for code, answer in operation["responses"].items() if code >= "400"}
            assert {"401", "429", "500"} <= set(errors), path
            for answer in errors.values():
                shape = answer["content"]["application/json"]["schema"]
                assert shape == {"$ref": "#/components/schemas/Error"}


def test_it_names_a_fault_of_the_request_only_where_there_can_be_one(document: dict[str, Any]) -> None:
    assert "400" in document["paths"]["/api/v1/ranges/"]["get"]["responses"]
    assert "400" not in document["paths"]["/api/v1/priced/"]["get"]["responses"]


def test_it_tells_private_operations_from_public_ones(document: dict[str, Any]) -> None:
    paths = document["paths"]
    assert "403" in paths["/api/v1/private/"]["get"]["responses"]
    assert "403" not in paths["/api/v1/ranges/"]["get"]["responses"]
    assert paths["/api/v1/private/"]["get"]["security"] == [{"apiToken": ["read"]}, {"jwtAuth": []}]


def test_it_lists_a_views_query_and_no_more(document: dict[str, Any]) -> None:
    def names(path: str) -> list[str]:
        return [parameter["name"] for parameter in document["paths"][path]["get"].get("parameters", [])]

    assert names("/api/v1/ranges/") == ["days", "start"]
    assert names("/api/v1/private/") == []
    assert names("/api/v1/numbered/") == ["page", "page_size"]
    assert names("/api/v1/cursored/") == ["cursor", "page_size"]


def test_it_shows_idempotency_conditions_and_pages(document: dict[str, Any]) -> None:
    paths = document["paths"]
    order = paths["/api/v1/orders/"]["post"]
    assert order["parameters"][0]["name"] == "Idempotency-Key"
    assert {"409", "422"} <= set(order["responses"])
    for path in ("/api/v1/priced/", "/api/v1/priced-by-mixin/"):
        assert "304" in paths[path]["get"]["responses"]
    page = document["components"]["schemas"]["PaginatedEmailList"]
    assert page["properties"]["next"]["type"] == ["string", "null"]
