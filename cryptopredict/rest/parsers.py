"""JSON as the API reads it."""

from collections.abc import Mapping
from typing import IO, Any

import orjson
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser


class OrjsonParser(BaseParser):
    """Reads what the renderer can write again, and refuses all else with 400.

    The standard library's reader takes halves of surrogate pairs, whole numbers without end and thousands of
    brackets, each of which fails somewhere later. A whole number beyond 64 bits is read as a double here.
    """

    media_type = "application/json"

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        try:
            return orjson.loads(stream.read())
        except orjson.JSONDecodeError as error:
            raise ParseError(f"JSON parse error - {error}") from None
