"""A POST that is sent twice with one Idempotency-Key takes effect once."""

import hashlib
import logging
from typing import Any, TypedDict

import orjson
from django.core.cache import caches
from django.core.files import File
from django.http import HttpResponse, HttpResponseBase
from django.utils.crypto import salted_hmac
from rest_framework import status
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cryptopredict.rest import shared
from cryptopredict.rest.errors import ApiProblem, unavailable
from cryptopredict.rest.renderers import plain
from cryptopredict.rest.throttling import client_address

logger = logging.getLogger(__name__)

HEADER = "Idempotency-Key"
MAX_KEY_LENGTH = 255
KEPT_SECONDS = 24 * 3600
RUNNING_SECONDS = 120  # after this a request that never ended no longer holds its key


class Kept(TypedDict):
    """What is stored for a key: the request's fingerprint, and its answer once there is one."""

    fingerprint: str
    status: int | None
    content: bytes
    content_type: str
    location: str


class Replayed(Exception):
    """Carries a stored answer past the view's method."""

    def __init__(self, kept: Kept) -> None:
        super().__init__()
        self.kept = kept


class IdempotentMixin(APIView):
    """Honours Idempotency-Key on POST for 24 hours, for each user (or address) and path.

    The first request's 2xx answer is sent again, marked `Idempotency-Replayed: true`. The key with another
    body answers 422 `idempotency_key_reused`; while the first still runs, 409 `idempotency_in_progress`.
    A request that failed frees its key.
    """

    _claimed: tuple[str, Kept] | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method != "POST" or HEADER not in request.headers:
            return
        key = cache_key(request, read_key(request))
        kept = Kept(fingerprint=fingerprint(request), status=None, content=b"", content_type="", location="")
        try:
            if shared.claim(key, kept, keep_seconds=RUNNING_SECONDS):
                self._claimed = key, kept
                return
            earlier: Kept | None = caches["default"].get(key)
        except shared.CACHE_ERRORS as error:
            logger.error("Idempotency keys are refused, the cache does not answer: %s", error)
            raise unavailable() from error
        refuse_or_replay(earlier, kept["fingerprint"])

    def handle_exception(self, exc: Exception) -> HttpResponseBase:  # type: ignore[override]
        if isinstance(exc, Replayed):
            return replay(exc.kept)
        return super().handle_exception(exc)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        final = super().finalize_response(request, response, *args, **kwargs)
        if self._claimed is None:
            return final
        key, kept = self._claimed
        self._claimed = None
        if isinstance(final, Response) and 200 <= final.status_code < 300:
            final.add_post_render_callback(lambda rendered: keep(key, kept, rendered, self.content_to_keep(rendered)))
        else:
            forget(key)
        return final

    def content_to_keep(self, rendered: Response) -> bytes:
        """What is sent when the key comes again; a view whose answer holds a secret keeps it out of the cache."""
        return rendered.content


def read_key(request: Request) -> str:
    key = request.headers[HEADER]
    if not (1 <= len(key) <= MAX_KEY_LENGTH and key.isascii() and key.isprintable()):
        message = f"From 1 to {MAX_KEY_LENGTH} printable characters are expected."
        raise ValidationError({HEADER: [ErrorDetail(message, code="invalid")]})
    return key


def cache_key(request: Request, key: str) -> str:
    who = f"user {request.user.pk}" if request.user.is_authenticated else f"address {client_address(request)}"
    return "idempotency:" + hashlib.sha256("\n".join((who, request.path, key)).encode()).hexdigest()


def fingerprint(request: Request) -> str:
    """The same for requests that say the same, whatever the order of their fields and parameters."""
    said: Any = request.data
    if request.query_params:
        said = [request.data, sorted(request.query_params.lists())]
    content = orjson.dumps(said, default=plain_or_digest, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    # Keyed, for a body may hold a password, and a plain hash of that in the cache could be guessed at leisure.
    return salted_hmac("cryptopredict.idempotency", content, algorithm="sha256").hexdigest()


def plain_or_digest(value: Any) -> Any:
    """Files and bytes by what they hold; a file is rewound, for the view to read."""
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    if isinstance(value, File):
        digest = hashlib.sha256()
        for chunk in value.chunks():
            digest.update(chunk)
        value.seek(0)
        return digest.hexdigest()
    return plain(value)


def refuse_or_replay(earlier: Kept | None, fingerprint: str) -> None:
    if earlier is not None and earlier["fingerprint"] != fingerprint:
        message = "This Idempotency-Key was used for another request."
        raise ApiProblem("idempotency_key_reused", message, status.HTTP_422_UNPROCESSABLE_ENTITY)
    if earlier is None or earlier["status"] is None:
        message = "The first request with this Idempotency-Key has not ended yet."
        retry = {"Retry-After": "1"}
        raise ApiProblem("idempotency_in_progress", message, status.HTTP_409_CONFLICT, headers=retry)
    raise Replayed(earlier)


def replay(kept: Kept) -> HttpResponse:
    response = HttpResponse(kept["content"], status=kept["status"], content_type=kept["content_type"])
    response["Idempotency-Replayed"] = "true"
    if kept["location"]:
        response["Location"] = kept["location"]
    return response


def keep(key: str, kept: Kept, rendered: Response, content: bytes) -> None:
    done: Kept = {
        **kept,
        "status": rendered.status_code,
        "content": content,
        "content_type": rendered.headers.get("Content-Type", ""),
        "location": rendered.headers.get("Location", ""),
    }
    try:
        caches["default"].set(key, done, KEPT_SECONDS)
    except shared.CACHE_ERRORS as error:
        logger.error("An answer could not be kept for its Idempotency-Key: %s", error)


def forget(key: str) -> None:
    try:
        caches["default"].delete(key)
    except shared.CACHE_ERRORS as error:
        logger.warning("An Idempotency-Key stays held until it runs out: %s", error)
