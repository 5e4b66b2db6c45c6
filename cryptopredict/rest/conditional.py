"""ETag, Cache-Control and 304 for answers that many clients poll."""

import hashlib
from collections.abc import Callable
from functools import wraps
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.http import HttpResponse, HttpResponseBase
from django.utils.cache import get_conditional_response, patch_cache_control
from django.utils.http import parse_etags
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cryptopredict.rest.answers import Clock, etag_of, shared_answer
from cryptopredict.rest.renderers import OrjsonRenderer

GetMethod = Callable[..., HttpResponseBase]


def conditional(*, max_age_seconds: int) -> Callable[[GetMethod], GetMethod]:
    """Decorates an APIView's `get`: its 200 may be cached so long, and is not sent again to who has it."""

    def decorate(method: GetMethod) -> GetMethod:
        @wraps(method)
        def get(view: APIView, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
            return make_conditional(request, method(view, request, *args, **kwargs), max_age_seconds)

        get.max_age_seconds = max_age_seconds  # type: ignore[attr-defined]  # the OpenAPI document reads it
        return get

    return decorate


class ConditionalMixin(APIView):
    """Makes every GET of a view conditional."""

    max_age_seconds: int = 30

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        final = super().finalize_response(request, response, *args, **kwargs)
        if request.method not in {"GET", "HEAD"}:
            return final
        return make_conditional(request, final, self.max_age_seconds)


class SharedMixin(ConditionalMixin):
    """For public reads that are the same for everybody: one caller's answer serves all until the data change."""

    # Parameters with so many values that hardly two callers give the same: such answers are not kept.
    free_parameters: ClassVar[frozenset[str]] = frozenset()

    def share(self, request: Request, find: Callable[[Clock], Any]) -> HttpResponse:
        """The answer to this address: `find` is asked for its data unless they are kept already."""
        if self.free_parameters.intersection(request.query_params):
            return Response(find(Clock()))
        renderer = OrjsonRenderer()
        answer = shared_answer(
            address_of(request),
            lambda clock: renderer.render(find(clock)),
            fresh_seconds=self.max_age_seconds,
            held_etags={etag.removeprefix("W/") for etag in parse_etags(request.headers.get("If-None-Match", ""))},
        )
        response = HttpResponse(answer.content, content_type=renderer.media_type)
        max_age_seconds = max(0, min(self.max_age_seconds, int(answer.true_seconds)))
        return with_headers(request, response, answer.etag, max_age_seconds)


def address_of(request: Request) -> str:
    """What an answer is kept by: its address, in which the links to other pages begin, whatever its user."""
    parameters = urlencode(sorted(request.query_params.items()))
    whole = request.build_absolute_uri(f"{request.path}?{parameters}")
    return hashlib.sha256(whole.encode()).hexdigest()


def make_conditional(request: Request, response: HttpResponseBase, max_age_seconds: int) -> HttpResponseBase:
    """Adds the headers once the body is rendered; other answers than 200 and streams are left as they are."""
    if not isinstance(response, Response) or response.status_code != 200:
        return response

    def add_headers(rendered: Response) -> HttpResponse:
        return with_headers(request, rendered, etag_of(rendered.content), max_age_seconds)

    response.add_post_render_callback(add_headers)
    return response


def with_headers(request: Request, response: HttpResponse, etag: str, max_age_seconds: int) -> HttpResponse:
    """The response with its tag and age, or the 304 or 412 that the request's conditions call for."""
    response["ETag"] = etag
    # A request that names its user is answered for that user only.
    scope = "private" if request.headers.get("Authorization") else "public"
    patch_cache_control(response, max_age=max_age_seconds, **{scope: True})
    return get_conditional_response(request._request, etag=etag, response=response) or response
