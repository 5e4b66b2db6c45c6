"""How a page answers a form that was refused."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def refuse(
    request: HttpRequest, template: str, context: dict[str, Any], wait_seconds: int | None = None
) -> HttpResponse:
    """The form again with its faults; 429 and the time to wait when the limit is used up."""
    return with_wait(render(request, template, context), wait_seconds)


def with_wait(response: HttpResponse, wait_seconds: int | None) -> HttpResponse:
    if wait_seconds:
        response.status_code = 429
        response["Retry-After"] = str(wait_seconds)
    return response
