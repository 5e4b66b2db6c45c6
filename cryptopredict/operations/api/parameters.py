"""The GET parameters of the operations' lists."""

from rest_framework import serializers

from cryptopredict.operations.models import TaskRun
from cryptopredict.rest.pagination import Cursor
from cryptopredict.rest.query import QuerySerializer
from markets.models import SyncRun


class SyncRunPages(Cursor):
    ordering = ("-started_at", "-id")


class TaskRunPages(Cursor):
    ordering = ("-queued_at", "-id")


class SyncRunQuery(QuerySerializer):
    pagination_class = SyncRunPages

    kind = serializers.ChoiceField(choices=SyncRun.Kind.values, required=False)
    state = serializers.ChoiceField(choices=SyncRun.State.values, required=False)
    task_id = serializers.CharField(max_length=64, required=False, help_text="Only the run of this job.")


class TaskRunQuery(QuerySerializer):
    pagination_class = TaskRunPages

    name = serializers.CharField(max_length=120, required=False, help_text="The job's name.")
    state = serializers.ChoiceField(choices=TaskRun.State.values, required=False)
