"""CSV that is written while it is read, however long it is."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from django.http import StreamingHttpResponse
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

ROWS_PER_CHUNK = 500


class Echo:
    """A file that gives back what is written to it."""

    def write(self, text: str) -> str:
        return text


class CsvView(APIView):
    """A view that answers CSV whatever the client accepts; its errors are JSON like everyone's."""

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[BaseRenderer, str]:
        renderer = self.get_renderers()[0]
        return renderer, renderer.media_type


def csv_response(
    *, filename: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], data_source: str
) -> StreamingHttpResponse:
    """A download: one line of column names, then a line per row.

    Numbers are written as the shortest text that reads back as the same double, times as ISO 8601 in UTC, unknown
    as nothing.
    """
    response = StreamingHttpResponse(lines(columns, rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{filename}"'
    response["Cache-Control"] = "no-cache"
    response["X-Data-Source"] = data_source
    return response


def lines(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    write = csv.writer(Echo()).writerow
    chunk = [write(columns)]
    for row in rows:
        chunk.append(write([cell(value) for value in row]))
        if len(chunk) >= ROWS_PER_CHUNK:
            yield "".join(chunk)
            chunk = []
    yield "".join(chunk)


def cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, bool):
        return str(value).lower()
    return value
