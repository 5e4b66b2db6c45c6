"""The product with one more view, which only gives out bytes: what the same server can do at best."""

import functools
import os
from pathlib import Path

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.urls import include, path

BYTES_IN = "BENCH_BYTES_IN"  # the environment's name for the file that holds the bytes


@functools.cache
def kept_bytes() -> bytes:
    return Path(os.environ[BYTES_IN]).read_bytes()


def give_bytes(request: HttpRequest) -> HttpResponse:
    return HttpResponse(kept_bytes(), content_type="application/json")


def not_modified(request: HttpRequest) -> HttpResponse:
    return HttpResponseNotModified()


urlpatterns = [
    path("bench/bytes/", give_bytes),
    path("bench/304/", not_modified),
    path("", include("cryptopredict.urls")),
]
