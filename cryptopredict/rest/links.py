"""OpenAPI links: which operations what one operation answers with leads to, read off the paths."""

import re
from collections.abc import Iterator
from typing import Any

BELOW = re.compile(r"\{(\w+)\}/(?:[\w-]+/)*")  # what stands below a list, with one more id and no second
JOB = "task_id"


def add_links(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """A hook of drf-spectacular: each list and each creation links to the operations on one of its rows.

    An answer that names a queued job links to the operations on its run.
    """
    for path, methods in result["paths"].items():
        for method, operation in methods.items():
            if method not in {"get", "post"}:
                continue
            for status, response in operation["responses"].items():
                if links := dict(links_of(result, path, method, status, response)):
                    response["links"] = links
    return result


def links_of(
    document: dict[str, Any], path: str, method: str, status: str, response: dict[str, Any]
) -> Iterator[tuple[str, Any]]:
    schema = json_schema(document, response)
    if not status.startswith("2") or schema is None:
        return
    for below, methods in document["paths"].items():
        if method == "post" and JOB in schema.get("properties", {}):
            found = re.search(rf"/runs/\{{{JOB}\}}/", below)
            pointer = f"/{JOB}"
        else:
            found = BELOW.fullmatch(below.removeprefix(path)) if below.startswith(path) else None
            pointer = row_pointer(document, schema, method, found[1]) if found else ""
        if found is None or not pointer:
            continue
        name = re.findall(r"\{(\w+)\}", below)
        given = {one: f"$request.path.{one}" for one in name[:-1]}
        for target in methods.values():
            parameters = {**given, name[-1]: f"$response.body#{pointer}"}
            yield target["operationId"], {"operationId": target["operationId"], "parameters": parameters}


def row_pointer(document: dict[str, Any], schema: dict[str, Any], method: str, parameter: str) -> str:
    """Where in the answer the id of its row, or of its first row, stands; empty when it has none."""
    start = ""
    if method == "get":
        schema = resolve(document, schema.get("properties", {}).get("results", {}).get("items", {}))
        start = "/results/0"
    properties = schema.get("properties", {})
    field = next((name for name in (parameter, "id", "name") if name in properties), None)
    return f"{start}/{field}" if field else ""


def json_schema(document: dict[str, Any], response: dict[str, Any]) -> dict[str, Any] | None:
    content = response.get("content", {}).get("application/json")
    return resolve(document, content["schema"]) if content else None


def resolve(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = document["components"]["schemas"][name] if name else schema
    return found
