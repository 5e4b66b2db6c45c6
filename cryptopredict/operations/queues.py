"""How many jobs wait in each queue, and how long the oldest has waited."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import redis
from django.conf import settings

from cryptopredict.operations.arguments import queue_of
from cryptopredict.operations.diskbroker import Spool
from cryptopredict.operations.models import TaskRun

REDIS_TIMEOUT_SECONDS = 0.5


class BrokerUnavailable(Exception):
    """The broker does not answer, so nobody knows what waits in it."""


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue: its messages in the broker, and the oldest run that waits in it."""

    name: str
    depth: int
    oldest_queued_at: datetime | None


def queue_names() -> list[str]:
    """Every queue that a route or the default leads to."""
    routes = settings.CELERY_TASK_ROUTES.values()
    return sorted({settings.CELERY_TASK_DEFAULT_QUEUE, *(route["queue"] for route in routes)})


def read_queues() -> list[Queue]:
    """Raises BrokerUnavailable."""
    names = queue_names()
    depths, oldest = broker_depths(names), _oldest()
    return [Queue(name, depth, oldest.get(name)) for name, depth in zip(names, depths, strict=True)]


def broker_depths(names: Sequence[str]) -> list[int]:
    """The number of messages in each queue that no worker has taken. Raises BrokerUnavailable."""
    try:
        if not settings.REDIS_URL:
            spool = Spool(Path(settings.BROKER_DIR))
            return [spool.size(name) for name in names]
        client = redis.Redis.from_url(
            settings.CELERY_BROKER_URL,
            socket_timeout=REDIS_TIMEOUT_SECONDS,
            socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
        )
        with client, client.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.llen(name)
            return [int(depth) for depth in pipeline.execute()]
    except (redis.RedisError, OSError) as error:
        raise BrokerUnavailable(f"The broker does not answer ({type(error).__name__}).") from error


def _oldest() -> dict[str, datetime]:
    waiting = TaskRun.objects.filter(state=TaskRun.State.QUEUED).order_by("-queued_at")
    found: dict[str, datetime] = defaultdict()
    for name, queue, queued_at in waiting.values_list("name", "queue", "queued_at").iterator():
        found[queue or queue_of(name)] = queued_at  # the last one is the oldest
    return found
