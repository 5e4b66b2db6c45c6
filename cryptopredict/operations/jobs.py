"""How every job runs: its deliveries are counted, and one that keeps killing its worker is quarantined."""

from typing import Any

from celery import Task
from celery.exceptions import Ignore

from cryptopredict.operations import runs

MAX_DELIVERIES = 3


class Quarantined(Exception):
    """A job that was taken up three times without coming to an end; it does not run again."""


class Job(Task[Any, Any]):
    """The base class of all tasks.

    A broker delivers a job again when its worker died. A job that kills its worker would so be delivered for ever:
    after three deliveries it fails instead of running. A retry that the job asks for itself starts a new count.
    """

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self.request.called_directly and not self.request.is_eager:
            deliveries = runs.record_delivery(str(self.request.id), self.name, args, kwargs)
            if runs.is_called_off(str(self.request.id)):
                raise Ignore
            if deliveries > MAX_DELIVERIES:
                raise Quarantined(
                    f"{self.name} ended its worker {MAX_DELIVERIES} times; it was not run again. "
                    "Look at the worker's log, then queue it anew."
                )
        return super().__call__(*args, **kwargs)
