"""ETag, Cache-Control and 304 for answers that many clients poll."""

import hashlib
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpResponseBase
from django.utils.cache import get_conditional_response, patch_cache_control
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

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


def make_conditional(request: Request, response: HttpResponseBase, max_age_seconds: int) -> HttpResponseBase:
    """Adds the headers once the body is rendered; other answers than 200 and streams are left as they are."""
    if not isinstance(response, Response) or response.status_code != 200:
        return response

    def add_headers(rendered: Response) -> HttpResponseBase | None:
        etag = f'"{hashlib.sha256(rendered.content).hexdigest()[:32]}"'
        rendered["ETag"] = etag
        # A request that names its user is answered for that user only.
        scope = "private" if request.headers.get("Authorization") else "public"
        patch_cache_control(rendered, max_age=max_age_seconds, **{scope: True})
        return get_conditional_response(request._request, etag=etag, response=rendered)

    response.add_post_render_callback(add_headers)
    return response
