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
# PostgreSQL's codes for a server that shuts down, crashed or starts; none at all when the line just broke.
CONNECTION_LOST = {None, "57P01", "57P02", "57P03"}
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
                logger.warning("%s was delivered again after it had ended; it is left out", self.name)
                raise Ignore
            if runs.is_called_off(str(self.request.id)):
                raise Ignore
            if deliveries > MAX_DELIVERIES:
                raise Quarantined(
                    f"{self.name} ended its worker {MAX_DELIVERIES} times; it was not run again. "
                    "Look at the worker's log, then queue it anew."
                )
            try:
                return super().__call__(*args, **kwargs)
            except (OperationalError, InterfaceError) as error:
                if is_connection_lost(error):
                    raise self._wait_for_database(error) from error
                raise
        return super().__call__(*args, **kwargs)

    def _count_delivery(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
        try:
            return runs.record_delivery(str(self.request.id), self.name, args, kwargs)
        except (OperationalError, InterfaceError) as error:
            raise self._wait_for_database(error) from error

    def _wait_for_database(self, error: Exception) -> Exception:
        """Queues the job once more, a little later, under its own id: it takes over what leases it holds."""
        return self.retry(exc=error, countdown=DATABASE_PAUSE_SECONDS, max_retries=DATABASE_TRIES, throw=False)


def is_connection_lost(error: Exception) -> bool:
    """Whether it speaks of the connection, not of the statement: a time-out or a full disk is the job's own failure."""
    return isinstance(error, InterfaceError) or getattr(error.__cause__, "pgcode", "") in CONNECTION_LOST
