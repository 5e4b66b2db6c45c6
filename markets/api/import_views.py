"""The staff endpoint that takes prices in as CSV."""

import logging
from collections.abc import Mapping
from dataclasses import asdict
from typing import IO, Any, cast

from django.core.exceptions import RequestDataTooBig
from django.core.files import File
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.parsers import BaseParser, MultiPartParser
from rest_framework.permissions import IsAdminUser
from rest_framework.request import Request
from rest_framework.response import Response

from cryptopredict.rest.errors import ApiProblem, FieldError
from cryptopredict.rest.idempotency import IdempotentMixin
from cryptopredict.rest.query import StrictQueryMixin
from markets.api import parameters, quality_serializers
from markets.importing import MAX_BYTES, BadFile, Import, import_prices

logger = logging.getLogger(__name__)
FILE = "file"
ENVELOPE_BYTES = 10_000  # what multipart puts around a file
CSV_BODY = {"type": "string", "format": "binary", "description": "A CSV file in UTF-8."}
FORM_BODY = {
    "type": "object",
    "required": [FILE],
    "properties": {FILE: CSV_BODY},
}


def refuse_large(parser_context: Mapping[str, Any] | None) -> None:
    """Raises RequestDataTooBig (413) before anything is read of a body that says it is too large."""
    length = (parser_context or {})["request"].META.get("CONTENT_LENGTH") or "0"
    if length.isdigit() and int(length) > MAX_BYTES + ENVELOPE_BYTES:
        raise RequestDataTooBig


class CsvParser(BaseParser):
    """A body that is the CSV file itself."""

    media_type = "text/csv"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        refuse_large(parser_context)
        return {FILE: stream.read(MAX_BYTES + 1)}


class CsvFormParser(MultiPartParser):
    """A form with the CSV file in `file`."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        refuse_large(parser_context)
        return super().parse(stream, media_type, parser_context)


class ImportView(IdempotentMixin, StrictQueryMixin):
    """Prices from a CSV file: a dry run unless `dry_run=false`, then all rows or none."""

    permission_classes = (IsAdminUser,)
    parser_classes = (CsvParser, CsvFormParser)
    query_class = parameters.ImportQuery

    @extend_schema(
        operation_id="prices_import",
        tags=["Prices"],
        request={"text/csv": CSV_BODY, "multipart/form-data": FORM_BODY},
        responses=quality_serializers.ImportSerializer,
        description=(
            "The first line names the columns, in any order: `id,interval,at,open,high,low,close,volume,market_cap`, "
            "or `id,date,price,market_cap,volume`, where a date's price is that at 00:00 UTC: it opens its day and "
            "closes the day before. At most 5 MB and 50,000 rows. A dry run answers 200 with every row's errors; "
            "without it a file with errors answers 400 and nothing is stored. Importing a file again changes nothing."
        ),
    )
    def post(self, request: Request) -> Response:
        content = read_upload(cast(Mapping[str, Any], request.data))
        try:
            done = import_prices(
                content=content,
                is_dry_run=self.query["dry_run"],
                by=f"user {request.user.pk}",
                now=timezone.now(),
            )
        except BadFile as error:
            raise ValidationError({FILE: [ErrorDetail(str(error), code=error.code)]}) from error
        if done.error_count and not done.is_dry_run:
            raise refused(done)
        return Response(asdict(done))


def read_upload(data: Mapping[str, Any]) -> bytes:
    """The file's bytes. Raises ValidationError (400) without one file, RequestDataTooBig (413) for a large one."""
    if unknown := sorted(set(data) - {FILE}):
        fault = [ErrorDetail("There is no such field.", code="unknown_field")]
        raise ValidationError(dict.fromkeys(unknown, fault))
    upload = data.get(FILE)
    if isinstance(upload, File):
        if (upload.size or 0) > MAX_BYTES:
            raise RequestDataTooBig
        upload = upload.read()
    if not isinstance(upload, bytes) or not upload:
        raise ValidationError({FILE: [ErrorDetail("A CSV file is needed.", code="required")]})
    if len(upload) > MAX_BYTES:
        raise RequestDataTooBig
    return upload


def refused(done: Import) -> ApiProblem:
    """A 400 that names the rows at fault by their line in the file."""
    faults: list[FieldError] = [
        {
            "field": ".".join(filter(None, ("lines", str(error.line), error.field))),
            "code": error.code,
            "message": error.message,
        }
        for error in done.errors
    ]
    message = f"Nothing was stored: {done.error_count:,} faults; the first {len(faults)} are listed in fields."
    return ApiProblem("invalid", message, status.HTTP_400_BAD_REQUEST, fields=faults)
