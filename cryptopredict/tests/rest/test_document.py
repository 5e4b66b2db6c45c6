"""The OpenAPI document: as committed, complete, and with examples that hold."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiYamlRenderer
from jsonschema import Draft202012Validator

from cryptopredict.rest.examples import read_examples

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


def operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for item in document["paths"].values():
        yield from item.values()


def bodies(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The request's and the good answers' bodies, each named; an answer of 204 has none."""
    yield from operation.get("requestBody", {}).get("content", {}).items()
    for code, answer in operation["responses"].items():
        if code.startswith("2"):
            for media_type, content in answer.get("content", {}).items():
                yield f"{code} {media_type}", content


def faults(document: dict[str, Any], schema: dict[str, Any], example: Any) -> list[str]:
    whole = {**schema, "components": document["components"]}
    checker = Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER)
    return [error.message for error in checker.iter_errors(example)]


def test_it_tells_people_what_every_operation_does(document: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in document["tags"]}
    lacking = {
        operation["operationId"]: sorted(
            {name for name in ("summary", "description") if not operation.get(name)}
            | {"security"} - set(operation)
            | (set() if set(operation.get("tags", [])) & tags else {"a tag that the settings describe"})
            | {f"parameter {one['name']}" for one in operation.get("parameters", []) if not one.get("description")}
            | {f"answer {code}" for code, one in operation["responses"].items() if not one.get("description")}
        )
        for operation in operations(document)
    }
    assert {name: found for name, found in lacking.items() if found} == {}


def test_it_names_every_operation_once_and_as_a_function_would_be_named(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for operation in operations(document)]
    assert len(names) == len(set(names))
    made_up = re.compile(r"[a-z]+(_[a-z]+)*_(list|retrieve|create|update|partial_update|destroy)")
    assert [name for name in names if not re.fullmatch(r"[a-z]+(_[a-z]+)*", name) or made_up.fullmatch(name)] == []


def test_it_shows_an_example_of_every_body_and_each_is_valid(document: dict[str, Any]) -> None:
    found, wrong = 0, []
    for operation in operations(document):
        for name, content in bodies(operation):
            if "example" not in content:
                wrong.append((operation["operationId"], name, "has no example"))
                continue
            found += 1
            problems = faults(document, content["schema"], content["example"])
            wrong += [(operation["operationId"], name, problem) for problem in problems]
        for parameter in operation.get("parameters", []):
            if "example" in parameter:
                problems = faults(document, parameter["schema"], parameter["example"])
                wrong += [(operation["operationId"], parameter["name"], problem) for problem in problems]
            elif parameter.get("required"):
                wrong.append((operation["operationId"], parameter["name"], "has no example"))
    assert wrong == []
    assert found > 100


def test_its_examples_would_not_be_valid_with_a_wrong_or_an_unknown_value(document: dict[str, Any]) -> None:
    content = document["paths"]["/api/v1/portfolios/"]["post"]["requestBody"]["content"]["application/json"]
    assert faults(document, content["schema"], content["example"]) == []
    assert faults(document, content["schema"], {"name": 1})
    assert faults(document, content["schema"], {**content["example"], "colour": "red"})
    coins = document["paths"]["/api/v1/cryptocurrencies/{coingecko_id}/"]["get"]["responses"]["200"]
    coin = coins["content"]["application/json"]
    assert faults(document, coin["schema"], {**coin["example"], "as_of": "yesterday"})


def test_it_has_no_example_of_an_operation_that_is_gone(document: dict[str, Any]) -> None:
    names = {operation["operationId"] for operation in operations(document)}
    files = [path for path in COMMITTED.parents[1].glob("*/**/api/examples.yaml") if ".venv" not in path.parts]
    assert len(files) == 5
    assert [name for path in files for name in read_examples(path) if name not in names | {"parameters"}] == []


def test_it_bounds_every_parameter(document: dict[str, Any]) -> None:
    """A number has both ends, a text a length, a pattern or a list of values; nothing takes just anything."""
    loose = [
        (operation["operationId"], parameter["name"])
        for operation in operations(document)
        for parameter in operation.get("parameters", [])
        if not is_bounded(document, parameter["schema"])
    ]
    assert loose == []


def is_bounded(document: dict[str, Any], schema: dict[str, Any]) -> bool:
    name = schema.get("$ref", "").rpartition("/")[2]
    schema = document["components"]["schemas"][name] if name else schema
    kinds = [schema["type"]] if isinstance(schema.get("type"), str) else schema.get("type", [])
    if "enum" in schema or "boolean" in kinds or schema.get("format") in {"date", "date-time"}:
        return True
    if {"integer", "number"} & set(kinds):
        return "minimum" in schema and "maximum" in schema
    return "maxLength" in schema or "pattern" in schema


def test_it_links_what_is_created_to_what_can_be_done_with_it(document: dict[str, Any]) -> None:
    created = document["paths"]["/api/v1/portfolios/"]["post"]["responses"]["201"]["links"]
    assert created["create_transaction"]["parameters"] == {"portfolio_id": "$response.body#/id"}
    below = document["paths"]["/api/v1/portfolios/{portfolio_id}/transactions/"]["post"]["responses"]["201"]["links"]
    assert below["delete_transaction"]["parameters"] == {
        "portfolio_id": "$request.path.portfolio_id",
        "transaction_id": "$response.body#/id",
    }
    queued = document["paths"]["/api/v1/sync/prices/"]["post"]["responses"]["202"]["links"]
    assert queued["cancel_task_run"]["parameters"] == {"task_id": "$response.body#/task_id"}
    listed = document["paths"]["/api/v1/predictions/"]["get"]["responses"]["200"]["links"]
    assert listed["get_prediction"]["parameters"] == {"prediction_id": "$response.body#/results/0/id"}
