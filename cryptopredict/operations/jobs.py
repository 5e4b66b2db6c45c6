"""How every job runs: its deliveries are counted, and one that keeps killing its worker is quarantined."""

from typing import Any

from celery import Task
from celery.exceptions import Ignore
from celery.utils.log import get_task_logger
from django.db import InterfaceError, OperationalError

from cryptopredict.operations import runs

MAX_DELIVERIES = 3
DATABASE_PAUSE_SECONDS = 5
DATABASE_TRIES = 120  # ten minutes
logger = get_task_logger(__name__)


class Quarantined(Exception):
    """A job that was taken up three times without coming to an end; it does not run again."""


class Job(Task[Any, Any]):
    """The base class of all tasks.

    A broker delivers a job again when its worker died. A job that kills its worker would so be delivered for ever:
    after three deliveries it fails instead of running. A retry that the job asks for itself starts a new count.
    One that is delivered again although it succeeded, because its worker died before it could say so, is left out.
    While the database is away a job waits for it in its queue.
    """

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self.request.called_directly and not self.request.is_eager:
            deliveries = self._count_delivery(args, kwargs)
            if deliveries == 0:
                logger.warning("%s was delivered again after it had succeeded; it is left out", self.name)
                raise Ignore
            if deliveries > MAX_DELIVERIES:
                raise Quarantined(
                    f"{self.name} ended its worker {MAX_DELIVERIES} times; it was not run again. "
                    "Look at the worker's log, then queue it anew."
                )
        return super().__call__(*args, **kwargs)

    def _count_delivery(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
        try:
            return runs.record_delivery(str(self.request.id), self.name, args, kwargs)
        except (OperationalError, InterfaceError) as error:
            raise self.retry(exc=error, countdown=DATABASE_PAUSE_SECONDS, max_retries=DATABASE_TRIES) from error
