"""The OpenAPI document: as committed, complete, and with examples that hold."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiYamlRenderer

COMMITTED = Path(__file__).resolve().parents[3] / "docs" / "openapi.yaml"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    made: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return made


def test_it_is_the_document_that_is_committed(document: dict[str, Any]) -> None:
    live = OpenApiYamlRenderer().render(document, renderer_context={}).decode()
    if live != COMMITTED.read_text():
        assert yaml.safe_load(live) == yaml.safe_load(COMMITTED.read_text()), "Run `make openapi`, read the difference"
        pytest.fail("docs/openapi.yaml is laid out otherwise than it is written today: run `make openapi`.")
