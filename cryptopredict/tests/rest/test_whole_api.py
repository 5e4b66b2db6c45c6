"""All of /api/v1/ as it is served: its document, its error shape, and who is let in."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.urls import get_resolver
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from openapi_spec_validator import OpenAPIV31SpecValidator
from pytest_django import Settings
from rest_framework.permissions import AllowAny
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken

from accounts.models import User
from cryptopredict.api import UnknownPathView
from cryptopredict.rest.conditional import SharedMixin
from cryptopredict.tests.rest.test_errors import error

METHODS = {"get", "post", "put", "patch", "delete"}
ERROR = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}


@pytest.fixture(autouse=True)
def whole_site(small_views: None, settings: Settings) -> None:
    settings.ROOT_URLCONF = "cryptopredict.urls"
    rates = dict.fromkeys(settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"], "10000/min")
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": rates}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    GENERATOR_STATS.reset()
    found: dict[str, Any] = SchemaGenerator(urlconf="cryptopredict.urls").get_schema(request=None, public=True)
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in METHODS & set(item):
            yield method, path, item[method]


def example(path: str) -> str:
    return re.sub(r"\{\w*(?:pk|_id)\}", "1", path).replace("{coingecko_id}", "bitcoin")


def test_its_document_is_valid_and_was_made_without_warnings(document: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(document).validate()
    assert not GENERATOR_STATS


def test_only_views_that_are_open_to_everyone_share_their_answers() -> None:
    """What a process remembers is given out before a view asks for permissions."""
    sharing = {view for _, pattern in api_patterns() if issubclass(view := pattern.callback.cls, SharedMixin)}
    assert len(sharing) > 5
    assert {view for view in sharing if set(view.permission_classes) != {AllowAny}} == set()


def test_its_document_lists_every_endpoint_that_is_served(document: dict[str, Any]) -> None:
    described = {re.sub(r"\{[^}]*\}", "{}", path) for path in document["paths"]}
    served = set()
    for prefix, pattern in api_patterns():
        if pattern.callback.cls is not UnknownPathView:
            served.add("/" + re.sub(r"<[^>]*>", "{}", prefix + str(pattern.pattern)))
    assert served
    assert served == described


def api_patterns(resolver: Any = None, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for pattern in (resolver or get_resolver("cryptopredict.urls")).url_patterns:
        route = prefix + str(pattern.pattern)
        if hasattr(pattern, "url_patterns"):
            yield from api_patterns(pattern, route)
        elif route.startswith("api/v1/"):
            yield prefix, pattern


def test_every_operation_describes_its_errors_in_one_shape(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        errors = {code: answer for code, answer in operation["responses"].items() if code in {"400", "401", "429"}}
        is_for_machines = path in {"/api/v1/health/live/", "/api/v1/health/ready/"}
        assert ("429" in errors) != is_for_machines, (method, path)
        for code, answer in errors.items():
            assert answer["content"] == ERROR, (method, path, code)


@pytest.mark.django_db
def test_whoever_has_no_token_or_a_wrong_one_is_kept_out_of_every_private_operation(
    client: APIClient, user: User, document: dict[str, Any]
) -> None:
    token = str(AccessToken.for_user(user))
    tampered = f"Bearer {token[:-8]}{token[-8:][::-1]}"
    private = [found for found in operations(document) if found[2]["security"] and {} not in found[2]["security"]]
    assert len(private) > 5
    for method, path, _ in private:
        for headers in ({}, {"Authorization": tampered}, {"Authorization": "Bearer"}):
            response = getattr(client, method)(example(path), headers=headers)
            assert response.status_code == 401, (method, path, headers)
            assert error(response)["code"] in {"not_authenticated", "token_not_valid", "bad_authorization_header"}


@pytest.mark.parametrize("method", ["get", "post", "delete"])
@pytest.mark.django_db
def test_a_path_that_is_no_endpoint_answers_in_the_error_shape(client: APIClient, method: str) -> None:
    response = getattr(client, method)("/api/v1/nothing/here/")
    assert (response.status_code, error(response)["code"]) == (404, "not_found")


@pytest.mark.django_db
def test_it_serves_its_document_and_answers_304(client: APIClient) -> None:
    first = client.get("/api/schema/", headers={"Accept": "application/vnd.oai.openapi+json"})
    assert first.json()["openapi"].startswith("3.1")
    again = client.get(
        "/api/schema/", headers={"Accept": "application/vnd.oai.openapi+json", "If-None-Match": first["ETag"]}
    )
    assert again.status_code == 304


@pytest.mark.django_db
def test_its_reading_page_loads_our_own_files_only(client: APIClient) -> None:
    page = client.get("/api/docs/")
    html = page.content.decode()
    assert page.status_code == 200
    sources = re.findall(r'(?:src|href)="([^"]+)"', html)
    assert len(sources) >= 4
    for source in sources:
        assert source.startswith("/"), source
        if source.startswith("/static/"):
            assert finders.find(source.removeprefix("/static/")), source
    assert not re.search(r"<script(?![^>]*\bsrc=)", html)
    script = client.get("/api/docs/?script=")
    assert script["Content-Type"] == "application/javascript"
    assert "/api/schema/" in script.content.decode()
