"""What the endpoints for staff share: reading a body, queueing a job, and the answers of refusals."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from django.http import HttpRequest
from rest_framework import status
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from cryptopredict.operations import audit, control
from cryptopredict.operations.api.serializers import run_url
from cryptopredict.operations.arguments import BadArguments, NotRunnable
from cryptopredict.operations.models import TaskRun
from cryptopredict.rest.errors import ApiProblem, FieldError, unavailable
from cryptopredict.rest.staff import QueuedSerializer


def read_body(request: Request, serializer_class: type[Serializer[Any]]) -> dict[str, Any]:
    """The validated body; ValidationError (400) with every fault."""
    serializer = serializer_class(data=request.data)
    serializer.is_valid(raise_exception=True)
    return cast(dict[str, Any], serializer.validated_data)


def queued(start: Callable[[], TaskRun]) -> Response:
    """Queues a job and answers 202 with its address, or with the refusal."""
    try:
        run = start()
    except NotRunnable as error:
        raise ValidationError({"name": [ErrorDetail(str(error), code="not_runnable")]}) from error
    except BadArguments as error:
        faults = {f"arguments.{name}": [ErrorDetail(text, code="invalid")] for name, text in error.faults.items()}
        raise ValidationError(faults) from error
    except control.AlreadyActive as error:
        raise already_active(error) from error
    except control.WrongState as error:
        raise conflict(str(error)) from error
    except control.BrokerDown as error:
        raise unavailable(str(error)) from error
    answer = {"task_id": run.task_id, "name": run.name, "state": run.state, "url": run_url(run)}
    return Response(QueuedSerializer(answer).data, status=status.HTTP_202_ACCEPTED, headers={"Location": answer["url"]})


def already_active(error: control.AlreadyActive) -> ApiProblem:
    """A 409 that names the run which is there already."""
    fields: list[FieldError] = [{"field": "task_id", "code": "already_active", "message": error.run.task_id}]
    return ApiProblem("already_active", str(error), status.HTTP_409_CONFLICT, fields, {"Location": run_url(error.run)})


def conflict(message: str) -> ApiProblem:
    return ApiProblem("conflict", message, status.HTTP_409_CONFLICT)


class ApiServices:
    """The operations' side of cryptopredict.rest.staff: for the endpoints of the other apps."""

    def record(
        self, request: Request | HttpRequest, action: str, target: str, *, reason: str, detail: Mapping[str, Any]
    ) -> None:
        channel = audit.Channel.API if isinstance(request, Request) else audit.Channel.PAGE
        audit.record(request.user, action, target, reason=reason, detail=detail, channel=channel)

    def queue(self, request: Request, name: str, arguments: Mapping[str, Any], *, action: str, target: str) -> Response:
        return queued(
            lambda: control.queue_task(
                name=name,
                arguments=arguments,
                by=request.user,
                channel=audit.Channel.API,
                action=action,
                target=target,
            )
        )
