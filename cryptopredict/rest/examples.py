"""Examples in the OpenAPI document: each app keeps its own in `api/examples.yaml`, by the operation's id.

parameters:                 # of the app's paths, wherever they stand
  coingecko_id: {description: …, example: bitcoin}
get_prices:
  parameters: {range: 7d}   # a value for each of its parameters that is shown
  request: {…}              # its body, or a body for each media type
  response: {…}             # its answer
"""

from functools import cache
from inspect import getfile
from pathlib import Path
from typing import Any

import yaml

FILE = "examples.yaml"
PARAMETERS = "parameters"


@cache
def read_examples(path: Path) -> dict[str, Any]:
    """An app's examples; none where it has no such file."""
    return yaml.safe_load(path.read_text()) if path.exists() else {}


def add_examples(operation: dict[str, Any], view_class: type) -> None:
    """Writes what the view's app has for this operation into it."""
    found = read_examples(Path(getfile(view_class)).with_name(FILE))
    own = found.get(operation["operationId"], {})
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "path":
            parameter.update(found.get(PARAMETERS, {}).get(parameter["name"], {}))
        if (value := own.get(PARAMETERS, {}).get(parameter["name"])) is not None:
            parameter["example"] = value
    add_body(operation.get("requestBody", {}), own.get("request"))
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            add_body(response, own.get("response"))


def add_body(holder: dict[str, Any], example: Any) -> None:
    if example is None:
        return
    for media_type, content in holder.get("content", {}).items():
        is_by_type = isinstance(example, dict) and all("/" in name for name in example)
        content["example"] = example[media_type] if is_by_type else example
