"""How jobs reach the broker: a publisher gives up soon and says so, a worker looks for a lost broker untiringly."""

from typing import Any

from celery import Celery
from celery.app.amqp import AMQP
from celery.utils.dispatch import Signal
from kombu import Connection
from kombu.exceptions import OperationalError
from kombu.utils.uuid import uuid

RECONNECT_SECONDS = 2  # the longest pause between two looks for a broker that is gone
# What a publisher grants the broker; one more try, at once, is for a connection that died with a restart.
PUBLISHER_OPTIONS = {
    "socket_timeout": 0.15,
    "socket_connect_timeout": 0.15,
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0,
    "interval_max": 0,
}

job_not_queued = Signal(name="job_not_queued", providing_args=["task_id", "reason"])


class QueueUnavailable(OperationalError):
    """A job could not be queued, because the broker does not answer."""


class SteadyConnection(Connection):
    """kombu waits ever longer between its tries, up to half a minute; a broker that is back is wanted at once."""

    def ensure_connection(self, *args: Any, **options: Any) -> Any:
        options.setdefault("interval_max", RECONNECT_SECONDS)
        return super().ensure_connection(*args, **options)


class SteadyAMQP(AMQP):
    Connection = SteadyConnection


class Application(Celery):
    """Celery with the time-outs that a web page, and a worker after an outage, need."""

    amqp_cls = "cryptopredict.operations.broker:SteadyAMQP"

    def connection_for_write(self, url: str | None = None, **options: Any) -> Any:
        if str(self.conf.broker_url).startswith("redis"):
            options["transport_options"] = {**PUBLISHER_OPTIONS, **(options.get("transport_options") or {})}
        return super().connection_for_write(url, **options)

    def send_task(
        self, name: str, args: Any = None, kwargs: Any = None, *positional: Any, **options: Any
    ) -> Any:  # fmt: skip
        """Queues a job, as every way to queue one does in the end; raises QueueUnavailable within half a second.

        A broker that froze may still take the job in once it wakes, so it is at most put off, never half done.
        """
        options["task_id"] = options.get("task_id") or uuid()
        try:
            return super().send_task(name, args, kwargs, *positional, **options)
        except OperationalError as error:
            reason = "The queue of jobs does not answer just now; nothing was started."
            job_not_queued.send(sender=self, task_id=options["task_id"], reason=reason)
            raise QueueUnavailable(reason) from error
