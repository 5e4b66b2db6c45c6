"""What the health checks answer: the shapes that OpenAPI shows."""

from typing import Any

from rest_framework import serializers

from cryptopredict.operations.api.serializers import HeartbeatSerializer, SyncRunSerializer, UpstreamSerializer


class HealthSerializer(serializers.Serializer[Any]):
    """All is well."""

    status = serializers.ChoiceField(choices=["ok"])


class CheckSerializer(serializers.Serializer[Any]):
    """What was looked at: `problem` when anything is wrong with it."""

    status = serializers.ChoiceField(choices=["ok", "problem"])
    problems = serializers.ListField(child=serializers.CharField())


class DatabaseHealthSerializer(CheckSerializer):
    """The database."""

    vendor = serializers.CharField()
    version = serializers.CharField()
    size_bytes = serializers.IntegerField()
    latency_ms = serializers.FloatField()


class CacheHealthSerializer(CheckSerializer):
    """Cache and broker."""

    cache = serializers.CharField()
    latency_ms = serializers.FloatField()
    broker = serializers.CharField()
    waiting = serializers.IntegerField(allow_null=True, help_text="Jobs that wait in all queues.")


class WorkersHealthSerializer(CheckSerializer):
    """Workers and beat by their signs of life."""

    processes = HeartbeatSerializer(many=True)


class UpstreamHealthSerializer(CheckSerializer):
    """CoinGecko as this site sees it; nobody is asked for this."""

    upstream = UpstreamSerializer(allow_null=True)
    last_price_sync = SyncRunSerializer(allow_null=True)


class SystemHealthSerializer(CheckSerializer):
    """This process and its computer."""

    version = serializers.CharField()
    versions = serializers.DictField(child=serializers.CharField())
    market = serializers.CharField()
    pid = serializers.IntegerField()
    started_at = serializers.DateTimeField()
    uptime_seconds = serializers.IntegerField()
    memory_bytes = serializers.IntegerField(allow_null=True)
    disk_free_bytes = serializers.IntegerField()
    disk_total_bytes = serializers.IntegerField()
    rows = serializers.DictField(child=serializers.IntegerField())
