"""The jobs: what there is, what ran, what waits, and starting, calling off and repeating them."""

from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django_celery_beat.models import PeriodicTask
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from cryptopredict.operations import audit, control, heartbeats
from cryptopredict.operations.api import parameters, serializers
from cryptopredict.operations.api.staff import conflict, queued, read_body
from cryptopredict.operations.catalogue import describe_entry, describe_tasks
from cryptopredict.operations.health import job_problems
from cryptopredict.operations.models import Heartbeat, TaskRun
from cryptopredict.operations.progress import progress_of
from cryptopredict.operations.queues import BrokerUnavailable, read_queues
from cryptopredict.operations.scheduling import change_entry, schedule_entries
from cryptopredict.rest.errors import unavailable
from cryptopredict.rest.idempotency import IdempotentMixin
from cryptopredict.rest.query import ListQueryMixin
from cryptopredict.rest.staff import QueuedSerializer, StaffView
from markets.coingecko.budget import ScheduleDoesNotFit

TAGS = ["Tasks"]
API = audit.Channel.API


class TasksView(StaffView):
    @extend_schema(
        operation_id="list_tasks", summary="List the jobs there are", tags=TAGS, responses=serializers.TasksSerializer
    )
    def get(self, request: Request) -> Response:
        """The registered jobs with their arguments, queue and schedule."""
        return Response(serializers.TasksSerializer({"results": describe_tasks()}).data)


class TaskRunsView(IdempotentMixin, ListQueryMixin, StaffView, ListAPIView[TaskRun]):
    """Past and running jobs, newest first."""

    list_query_class = parameters.TaskRunQuery

    pagination_class = parameters.TaskRunPages
    serializer_class = serializers.TaskRunSerializer
    queryset = TaskRun.objects.all()

    def get_queryset(self) -> QuerySet[TaskRun]:
        runs = TaskRun.objects.select_related("queued_by").defer("traceback")
        return runs.filter(**{name: value for name, value in self.query.items() if value})

    @extend_schema(operation_id="list_task_runs", summary="List runs of jobs", tags=TAGS)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.get_queryset()) or []
        context = {"progress": progress_of(page)}
        return self.get_paginated_response(serializers.TaskRunSerializer(page, many=True, context=context).data)

    @extend_schema(
        operation_id="start_task",
        summary="Start a job",
        tags=TAGS,
        request=serializers.StartSerializer,
        responses={202: QueuedSerializer},
    )
    def post(self, request: Request) -> Response:
        """Starts a job by its name; 409 while the same one with the same arguments waits or runs."""
        body = read_body(request, serializers.StartSerializer)
        return queued(lambda: control.queue_task(**body, by=request.user, channel=API))


class TaskRunView(StaffView):
    @extend_schema(
        operation_id="get_task_run",
        summary="Read a run of a job",
        tags=TAGS,
        responses=serializers.TaskRunDetailSerializer,
    )
    def get(self, request: Request, task_id: str) -> Response:
        """State, progress, result and traceback of one run."""
        return Response(describe_run(find_run(task_id)))


class TaskCancelView(IdempotentMixin, StaffView):
    @extend_schema(
        operation_id="cancel_task_run",
        summary="Call a run off",
        tags=TAGS,
        request=serializers.ReasonSerializer,
        responses={202: serializers.TaskRunDetailSerializer},
    )
    def post(self, request: Request, task_id: str) -> Response:
        """Calls a job off: one that waits never runs, a running sync stops at its next step; 409 once it has ended."""
        body = read_body(request, serializers.ReasonSerializer)
        try:
            run = control.cancel_task(run=find_run(task_id), by=request.user, channel=API, **body)
        except control.WrongState as error:
            raise conflict(str(error)) from error
        return Response(describe_run(run), status=status.HTTP_202_ACCEPTED)


class TaskRetryView(IdempotentMixin, StaffView):
    @extend_schema(
        operation_id="retry_task_run",
        summary="Repeat a run",
        tags=TAGS,
        request=serializers.ReasonSerializer,
        responses={202: QueuedSerializer},
    )
    def post(self, request: Request, task_id: str) -> Response:
        """Queues a job that has ended once more, with the same arguments and a new id."""
        body = read_body(request, serializers.ReasonSerializer)
        run = find_run(task_id)
        return queued(lambda: control.retry_task(run=run, by=request.user, channel=API, **body))


class WorkersView(StaffView):
    @extend_schema(
        operation_id="list_workers", summary="List workers and beat", tags=TAGS, responses=serializers.WorkersSerializer
    )
    def get(self, request: Request) -> Response:
        """The workers and beat: alive, busy, version."""
        signs = heartbeats.signs_of_life()
        return Response({"problems": job_problems(signs), "results": describe_processes(signs)})


class QueuesView(StaffView):
    @extend_schema(operation_id="list_queues", summary="List queues", tags=TAGS, responses=serializers.QueuesSerializer)
    def get(self, request: Request) -> Response:
        """How many jobs wait in each queue, and since when."""
        try:
            found = read_queues()
        except BrokerUnavailable as error:
            raise unavailable(str(error)) from error
        return Response(serializers.QueuesSerializer({"results": found}).data)


class ScheduleView(StaffView):
    @extend_schema(
        operation_id="get_schedule", summary="Read the schedule", tags=TAGS, responses=serializers.ScheduleSerializer
    )
    def get(self, request: Request) -> Response:
        """Every entry of the schedule, with its last and its next run."""
        now = timezone.now()
        entries = [describe_entry(entry, now) for entry in schedule_entries()]
        return Response(serializers.ScheduleSerializer({"results": entries}).data)


class ScheduleEntryView(StaffView):
    @extend_schema(
        operation_id="update_schedule_entry",
        summary="Change an entry of the schedule",
        tags=TAGS,
        request=serializers.ScheduleChangeSerializer,
        responses=serializers.ScheduleEntrySerializer,
    )
    def patch(self, request: Request, name: str) -> Response:
        """Turns an entry on or off, or changes its period; refused, with the arithmetic, over the call budget."""
        entry = find_entry(name)
        body = read_body(request, serializers.ScheduleChangeSerializer)
        reason, detail = body.pop("reason"), dict(body)
        try:
            changed = change_entry(
                entry=entry,
                is_enabled=body.get("is_enabled"),
                period=body.get("period_seconds"),
                record=lambda: audit.record(
                    request.user, "schedule.change", entry.name, reason=reason, detail=detail, channel=API
                ),
            )
        except ScheduleDoesNotFit as error:
            field = "period_seconds" if "period_seconds" in body else "is_enabled"
            raise ValidationError({field: [ErrorDetail(str(error), code="over_budget")]}) from error
        return Response(serializers.ScheduleEntrySerializer(describe_entry(changed, timezone.now())).data)


def find_run(task_id: str) -> TaskRun:
    if "\x00" in task_id:
        raise Http404
    return get_object_or_404(TaskRun.objects.select_related("queued_by"), task_id=task_id)


def find_entry(name: str) -> PeriodicTask:
    if "\x00" in name:
        raise Http404
    entry: PeriodicTask = get_object_or_404(schedule_entries(), name=name)
    return entry


def describe_run(run: TaskRun) -> dict[str, Any]:
    context = {"progress": progress_of([run])}
    return dict(serializers.TaskRunDetailSerializer(run, context=context).data)


def describe_processes(signs: list[Heartbeat]) -> list[dict[str, Any]]:
    """Each worker and beat by its last sign."""
    context = {"now": timezone.now(), "silent_after": heartbeats.SILENT_AFTER}
    return list(serializers.HeartbeatSerializer(signs, many=True, context=context).data)
