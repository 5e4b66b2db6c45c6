"""Headers that every answer carries."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from kombu.exceptions import OperationalError as BrokerError

from cryptopredict.rest.errors import RETRY_AFTER_SECONDS, ApiProblem

# Plotly writes style attributes while it draws; scripts come from our own files only.
POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


# Features of the browser that no page uses; passkeys are for our own pages only.
FEATURES = (
    "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), "
    "payment=(), usb=(), publickey-credentials-create=(self), publickey-credentials-get=(self)"
)


class SecurityHeadersMiddleware:
    """Sends a Content-Security-Policy that allows no script but our own files, and a Permissions-Policy."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers.setdefault("Permissions-Policy", FEATURES)
        return response


class ApiCacheMiddleware:
    """Lets nobody keep an answer of the API that does not say itself how long it may be kept: refusals, and what is
    one person's own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if request.path.startswith("/api/v1/"):
            response.headers.setdefault("Cache-Control", "no-store")
        return response


class QueueUnavailableMiddleware:
    """Answers a page that could not queue a job, or have a password hashed, with 503 and a sentence, not a failure."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        is_refusal = isinstance(exception, ApiProblem) and exception.status_code == 503
        if not (is_refusal or isinstance(exception, BrokerError)):
            return None
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        return HttpResponse(str(exception), status=503, content_type="text/plain; charset=utf-8", headers=headers)
