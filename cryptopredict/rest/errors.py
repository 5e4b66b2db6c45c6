"""One shape for every error of the API: a stable code, a sentence, and the fields at fault."""

import logging
from collections.abc import Iterator, Sequence
from typing import Any, TypedDict

from django.core.exceptions import PermissionDenied, RequestDataTooBig, ValidationError
from django.core.signals import got_request_exception
from django.db import InterfaceError, OperationalError
from django.http import Http404
from kombu.exceptions import OperationalError as BrokerError
from rest_framework import exceptions, status
from rest_framework.fields import get_error_detail
from rest_framework.response import Response
from rest_framework.settings import api_settings

logger = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 5  # what a client is told when the database or the cache does not answer


class FieldError(TypedDict):
    """One fault of one field; `field` is empty when the fault is the request's as a whole."""

    field: str
    code: str
    message: str


class ApiProblem(exceptions.APIException):
    """An error with a code of its own, for faults that no field and no standard exception describes."""

    def __init__(
        self,
        code: str,
        message: str,
        status: int = status.HTTP_400_BAD_REQUEST,
        fields: Sequence[FieldError] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail=message, code=code)
        self.code = code
        self.status_code = status
        self.fields = list(fields)
        self.headers = headers or {}


def unavailable(message: str = "The service cannot answer this just now; try again shortly.") -> ApiProblem:
    """A 503: something the request depends on is down, and nothing was changed."""
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return ApiProblem("unavailable", message, status.HTTP_503_SERVICE_UNAVAILABLE, headers=headers)


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response:
    """Turns any exception of a view into the error shape; an unexpected one is logged and answers 500."""
    problem = as_api_exception(exc)
    if problem is None:
        return unexpected(exc, context)
    return Response(
        body(problem_code(problem), problem_message(problem), problem_fields(problem)),
        status=problem.status_code,
        headers=problem_headers(problem),
    )


def body(code: str, message: str, fields: Sequence[FieldError] = ()) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "fields": list(fields)}}


def as_api_exception(exc: Exception) -> exceptions.APIException | None:
    """The exception that decides status and code; None when `exc` is a fault of our own."""
    match exc:
        case exceptions.APIException():
            return exc
        case Http404():
            return exceptions.NotFound(*exc.args)
        case PermissionDenied():
            return exceptions.PermissionDenied(*exc.args)
        case ValidationError():
            return exceptions.ValidationError(get_error_detail(exc))
        case RequestDataTooBig():
            return ApiProblem("too_large", "The request is too large.", 413)
        case OperationalError() | InterfaceError():
            logger.error("The database does not answer: %s", exc)
            return unavailable()
        case BrokerError():
            logger.error("The broker does not answer: %s", exc)
            return unavailable("The queue of jobs does not answer just now; try again shortly.")
    return None


def unexpected(exc: Exception, context: dict[str, Any]) -> Response:
    request = context.get("request")
    logger.error("%s failed", getattr(request, "path", "A request"), exc_info=exc)
    # Error reporters and Django's test client listen to the signal; an answered 500 must not hide from them.
    got_request_exception.send(sender=None, request=getattr(request, "_request", None))
    message = "Something went wrong on our side. The error was recorded."
    return Response(body("internal_error", message), status=status.HTTP_500_INTERNAL_SERVER_ERROR)


def problem_code(problem: exceptions.APIException) -> str:
    if isinstance(problem, ApiProblem):
        return problem.code
    if isinstance(problem, exceptions.ValidationError):
        return "invalid"
    detail = problem.detail
    if isinstance(detail, dict) and "code" in detail:  # simplejwt: {"detail": ..., "code": ...}
        return str(detail["code"])
    codes = problem.get_codes()
    return codes if isinstance(codes, str) else str(problem.default_code)


def problem_message(problem: exceptions.APIException) -> str:
    if isinstance(problem, exceptions.ValidationError):
        return "The request is not valid: each fault is listed in fields."
    wait = getattr(problem, "wait", None)
    if wait is not None:
        return f"Too many requests. Try again in {int(wait)} seconds."
    detail = problem.detail
    return str(detail["detail"] if isinstance(detail, dict) and "detail" in detail else detail)


def problem_fields(problem: exceptions.APIException) -> list[FieldError]:
    if isinstance(problem, ApiProblem):
        return problem.fields
    if isinstance(problem, exceptions.ValidationError):
        return list(field_errors(problem.detail))
    return []


def problem_headers(problem: exceptions.APIException) -> dict[str, str]:
    headers = dict(getattr(problem, "headers", {}))
    if auth_header := getattr(problem, "auth_header", None):
        headers["WWW-Authenticate"] = auth_header
    if (wait := getattr(problem, "wait", None)) is not None:
        headers["Retry-After"] = str(int(wait))
    return headers


def field_errors(detail: Any, path: str = "") -> Iterator[FieldError]:
    """Flattens a validation error: names are joined by dots, list places count from 0 (`rows.3.quantity`)."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            yield from field_errors(inner, path if is_whole(name) else join(path, name))
    elif isinstance(detail, list | tuple):
        for place, inner in enumerate(detail):
            nested = isinstance(inner, dict | list)
            yield from field_errors(inner, join(path, place) if nested else path)
    else:
        yield {"field": path, "code": str(getattr(detail, "code", "invalid")), "message": str(detail)}


def is_whole(name: object) -> bool:
    return name in {api_settings.NON_FIELD_ERRORS_KEY, "__all__"}


def join(path: str, name: object) -> str:
    return f"{path}.{name}" if path else str(name)
