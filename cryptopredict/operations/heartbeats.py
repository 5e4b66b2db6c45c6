"""Signs of life: each worker and beat writes one about every 15 seconds, and others read who fell silent."""

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils import timezone

from cryptopredict.operations.models import Heartbeat

logger = logging.getLogger(__name__)

EVERY_SECONDS = 15.0
SILENT_AFTER = timedelta(seconds=60)
KEEP = timedelta(days=1)

# A fork waits until a sign is written: the child must not inherit a connection in mid-sentence.
_writing = threading.Lock()
os.register_at_fork(before=_writing.acquire, after_in_parent=_writing.release, after_in_child=_writing.release)


def give_sign(
    *, name: str, kind: Heartbeat.Kind, started_at: datetime, queues: Iterable[str] = (), busy_with: Iterable[str] = ()
) -> None:
    """Writes one process's sign of life over its last one. Raises DatabaseError."""
    sign = Heartbeat(
        name=name[:200],
        kind=kind,
        host=socket.gethostname()[:200],
        pid=os.getpid(),
        version=str(settings.SPECTACULAR_SETTINGS["VERSION"]),
        queues=sorted(queues),
        busy_with=sorted(busy_with),
        started_at=started_at,
        at=timezone.now(),
    )
    Heartbeat.objects.bulk_create(
        [sign],
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=["kind", "host", "pid", "version", "queues", "busy_with", "started_at", "at"],
    )


class Pulse(threading.Thread):
    """Gives a worker's signs from a thread of its own, whatever its main loop is busy with.

    Not a timer of the worker's: with a solo pool that stands still for as long as a job takes. A main loop that
    hangs is seen by the jobs that wait for it.
    """

    def __init__(self, name: str, queues: Iterable[str], every_seconds: float = EVERY_SECONDS) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self.worker, self.queues, self.every_seconds = name, tuple(queues), every_seconds
        self.started_at = timezone.now()
        self._ended = threading.Event()

    def run(self) -> None:
        while True:
            with _writing:
                survive(self._sign)
            if self._ended.wait(self.every_seconds):
                return

    def end(self) -> None:
        self._ended.set()

    def _sign(self) -> None:
        from celery.worker import state  # a web process never needs it

        busy = [str(request.id) for request in tuple(state.active_requests)]
        give_sign(
            name=self.worker,
            kind=Heartbeat.Kind.WORKER,
            started_at=self.started_at,
            queues=self.queues,
            busy_with=busy,
        )


def survive(sign: Callable[[], None]) -> None:
    """Tries to give a sign; a database that is gone costs that sign and nothing else."""
    try:
        sign()
    except Exception as error:  # whatever it is, a sign of life must not end a life
        logger.warning("no sign of life could be written: %s", error)
    finally:
        try:
            connection.close()  # none is kept over a fork or an outage
        except Exception as error:
            logger.warning("the connection for signs of life was not closed: %s", error)


_pulses: list[Pulse] = []


def start_pulse(sender: Any, **_: Any) -> None:
    """Receives Celery's worker_ready, in the worker's main process."""
    pulse = Pulse(sender.hostname, sender.app.amqp.queues.consume_from)
    _pulses.append(pulse)
    pulse.start()


def stop_pulse(**_: Any) -> None:
    while _pulses:
        _pulses.pop().end()


def signs_of_life() -> list[Heartbeat]:
    """The last sign of every worker and beat."""
    return list(Heartbeat.objects.all())


def silent_workers(signs: Iterable[Heartbeat], now: datetime) -> dict[str, datetime]:
    """The queues that only silent workers serve, each with the last sign of one; empty without any worker known."""
    last: dict[str, datetime] = {}
    for sign in signs:
        if sign.kind == Heartbeat.Kind.WORKER:
            last |= {queue: max(sign.at, last.get(queue, sign.at)) for queue in sign.queues}
    return {queue: at for queue, at in last.items() if now - at > SILENT_AFTER}


def last_beat(signs: Iterable[Heartbeat]) -> datetime | None:
    """When any beat gave its last sign."""
    return max((sign.at for sign in signs if sign.kind == Heartbeat.Kind.BEAT), default=None)


def forget_silent(now: datetime) -> int:
    """Deletes the signs of processes that have been gone for a day; returns how many."""
    deleted, _ = Heartbeat.objects.filter(at__lt=now - KEEP).delete()
    return deleted
