"""Beat's scheduler: the one in the database, which also gives signs of life."""

import socket
import time
from typing import Any

from django.utils import timezone
from django_celery_beat.schedulers import DatabaseScheduler

from cryptopredict.operations import heartbeats
from cryptopredict.operations.models import Heartbeat


class Scheduler(DatabaseScheduler):
    """Gives a sign with a tick, so that a beat that hangs falls silent."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._started_at = timezone.now()
        self._signed_at = float("-inf")

    def tick(self, *args: Any, **kwargs: Any) -> Any:
        wait = super().tick(*args, **kwargs)
        if time.monotonic() - self._signed_at >= heartbeats.EVERY_SECONDS:
            self._signed_at = time.monotonic()
            heartbeats.survive(self._sign)
        # Beat sleeps as long as the next job is away, at most five seconds unless a setting says otherwise.
        return min(wait, heartbeats.EVERY_SECONDS)

    def _sign(self) -> None:
        heartbeats.give_sign(name=f"beat@{socket.gethostname()}", kind=Heartbeat.Kind.BEAT, started_at=self._started_at)
