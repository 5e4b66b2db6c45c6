"""Lets one run at a time do a kind of work, and lets a run that lost its turn write nothing more."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection, transaction
from django.db.models.functions import Now

from markets.models import Lease


class AlreadyRunning(Exception):
    """Another run holds the lease; the message says which and until when."""


class LeaseLost(Exception):
    """The lease ran out and another run took it: this one must stop, and its transaction must not commit."""


@dataclass(frozen=True)
class Turn:
    """One run's hold on a lease."""

    name: str
    token: int
    seconds: float

    def confirm(self) -> None:
        """Locks the lease for the rest of the transaction and extends it; raises LeaseLost when it is another's.

        Called inside the transaction that writes: whoever takes the lease over waits until that transaction ends.
        """
        lease = Lease.objects.select_for_update().annotate(clock=Now()).get(name=self.name)
        if lease.token != self.token:
            raise LeaseLost(f"Another run took over {self.name!r} while this one was held up.")
        lease.expires_at = lease.clock + timedelta(seconds=self.seconds)
        lease.save(update_fields=["expires_at"])


def drop_lost_connection() -> None:
    """Lets the next query open a new connection when this one broke; does nothing inside a transaction."""
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()


@contextmanager
def single_flight(name: str, *, holder: str, seconds: float) -> Iterator[Turn]:
    """Holds the lease `name` for as long as the body runs, for at most `seconds` after the last confirmation.

    The clock is the database's, which all hosts share. The same holder may take its own lease over at once: a job
    that is delivered again after its worker died. Raises AlreadyRunning while another holds it.
    """
    turn = Turn(name, _take(name, holder, seconds), seconds)
    try:
        yield turn
    finally:
        drop_lost_connection()  # its end may be what ended the body
        Lease.objects.filter(name=name, token=turn.token).update(expires_at=None, holder="")


def let_go(name: str, *, holder: str) -> None:
    """Frees a lease that this holder left behind: its worker was killed when the work was done, but not the lease."""
    Lease.objects.filter(name=name, holder=holder).update(expires_at=None, holder="")


def database_now() -> datetime:
    """The database's clock, which all hosts share: a host whose own clock is set wrong fills no wrong slot."""
    query = "SELECT clock_timestamp()" if connection.vendor == "postgresql" else "SELECT strftime('%Y-%m-%d %H:%M:%f')"
    with connection.cursor() as cursor:
        cursor.execute(query)
        clock = cursor.fetchone()[0]
    if isinstance(clock, datetime):
        return clock.astimezone(UTC)
    return datetime.fromisoformat(clock).replace(tzinfo=UTC)


def _take(name: str, holder: str, seconds: float) -> int:
    Lease.objects.get_or_create(name=name)
    with transaction.atomic():
        lease = Lease.objects.select_for_update().annotate(clock=Now()).get(name=name)
        clock: datetime = lease.clock
        if lease.expires_at is not None and lease.expires_at > clock and lease.holder != holder:
            raise AlreadyRunning(f"{name!r} is being done by {lease.holder} until {lease.expires_at:%H:%M:%S} UTC.")
        lease.token += 1
        lease.holder, lease.expires_at = holder[:100], clock + timedelta(seconds=seconds)
        lease.save(update_fields=["token", "holder", "expires_at"])
        return lease.token
