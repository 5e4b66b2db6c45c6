"""ETag, Cache-Control and 304 for answers that many clients poll."""

import hashlib
from collections.abc import Callable
from functools import wraps
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import get_conditional_response, patch_cache_control
from django.utils.http import parse_etags
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cryptopredict.rest import answers
from cryptopredict.rest.renderers import OrjsonRenderer
from cryptopredict.rest.shared import CACHE_ERRORS
from cryptopredict.rest.throttling import count_anonymous, write_headers

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

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """The view, before which stands what this process remembers of its answers."""
        view = super().as_view(**initkwargs)
        sample = cls(**initkwargs)
        sample.setup(HttpRequest())  # from here on it answers HEAD too
        allow = ", ".join(sample.allowed_methods)

        @wraps(view)
        def remembering(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            return remembered_response(request, cls.max_age_seconds, allow) or view(request, *args, **kwargs)

        return remembering

    def share(self, request: Request, find: Callable[[answers.Clock], Any]) -> HttpResponse:
        """The answer to this address: `find` is asked for its data unless they are kept already."""
        if self.free_parameters.intersection(request.query_params):
            return Response(find(answers.Clock()))
        renderer = OrjsonRenderer()
        answer = answers.shared_answer(
            address_of(request._request),
            lambda clock: renderer.render(find(clock)),
            fresh_seconds=self.max_age_seconds,
            held_etags={etag.removeprefix("W/") for etag in parse_etags(request.headers.get("If-None-Match", ""))},
        )
        return response_of(request._request, answer, self.max_age_seconds)


def remembered_response(request: HttpRequest, max_age_seconds: int, allow: str) -> HttpResponse | None:
    """What the view would answer, without the way there, when the process remembers it and it is still true.

    None leaves it to the view, whatever the reason: a call of a known user or by another method, an answer that is
    asked for in another form, is not remembered or out of date, a client that calls too often, a cache that is down.
    """
    if request.method != "GET" or "Authorization" in request.headers:
        return None
    if request.headers.get("Accept", "*/*") not in {"*/*", OrjsonRenderer.media_type}:
        return None
    if any(len(values) > 1 for _, values in request.GET.lists()):  # the view refuses these
        return None
    name = address_of(request)
    if not answers.is_remembered(name):
        return None
    try:
        allowance, version = count_anonymous(request, alias=answers.ALIAS, name=answers.VERSION_KEY)
    except CACHE_ERRORS:
        return None
    answer = answers.remembered(name, version)
    if answer is None or not allowance.is_allowed:
        return None
    response = response_of(request, answer, max_age_seconds)
    response["Allow"] = allow  # as from every view of the API
    write_headers(response.headers, allowance)
    return response


def response_of(request: HttpRequest, answer: answers.Answer, max_age_seconds: int) -> HttpResponse:
    response = HttpResponse(answer.content, content_type=OrjsonRenderer.media_type)
    return with_headers(request, response, answer.etag, max(0, min(max_age_seconds, int(answer.true_seconds))))


def address_of(request: HttpRequest) -> str:
    """What an answer is kept by: its address, in which the links to other pages begin, whatever its user."""
    parameters = urlencode(sorted(request.GET.items()))
    whole = request.build_absolute_uri(f"{request.path}?{parameters}")
    return hashlib.sha256(whole.encode()).hexdigest()


def make_conditional(request: Request, response: HttpResponseBase, max_age_seconds: int) -> HttpResponseBase:
    """Adds the headers once the body is rendered; other answers than 200 and streams are left as they are."""
    if not isinstance(response, Response) or response.status_code != 200:
        return response

    def add_headers(rendered: Response) -> HttpResponse:
        return with_headers(request._request, rendered, answers.etag_of(rendered.content), max_age_seconds)

    response.add_post_render_callback(add_headers)
    return response


def with_headers(request: HttpRequest, response: HttpResponse, etag: str, max_age_seconds: int) -> HttpResponse:
    """The response with its tag and age, or the 304 or 412 that the request's conditions call for."""
    response["ETag"] = etag
    # A request that names its user is answered for that user only.
    scope = "private" if request.headers.get("Authorization") else "public"
    patch_cache_control(response, max_age=max_age_seconds, **{scope: True})
    return get_conditional_response(request, etag=etag, response=response) or response
