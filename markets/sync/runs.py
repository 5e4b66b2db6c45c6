"""The record of a sync run from start to end, and the step at which it notices that it must stop."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from markets.coingecko.schemas import Rejected
from markets.lease import AlreadyRunning, Turn, drop_lost_connection, single_flight
from markets.models import RejectedPoint, SyncRun

ABANDONED_AFTER = timedelta(minutes=40)  # longer than any job's time limit
LEASE_SECONDS = 240.0  # longer than one call may take, its wait for a free place and its retries included
KEPT_REJECTS = 200


class Cancelled(Exception):
    """Staff asked for the run to stop."""


@dataclass
class Tally:
    """What one run counted; copied to its SyncRun row."""

    calls: int = 0
    rows_written: int = 0
    rows_stale: int = 0
    rejected: list[tuple[str, Rejected]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def reject(self, coingecko_id: str, rejected: Iterable[Rejected]) -> None:
        self.rejected += [(coingecko_id, one) for one in rejected]


@dataclass
class Step:
    """A running sync: its row, its counts, and its turn."""

    run: SyncRun
    tally: Tally
    turn: Turn

    def begin(self, total: int) -> None:
        """Notes how many steps there are."""
        self.advance(0, total)

    def advance(self, done: int, total: int | None = None) -> None:
        """Saves the progress and keeps the turn; raises Cancelled, or LeaseLost when another run took over."""
        run, tally = self.run, self.tally
        run.done, run.total = done, run.total if total is None else total
        run.calls, run.rows_written = tally.calls, tally.rows_written
        with transaction.atomic():
            self.turn.confirm()
            run.save(update_fields=["done", "total", "calls", "rows_written"])
        if SyncRun.objects.filter(pk=run.pk, is_cancel_requested=True).exists():
            raise Cancelled("Staff stopped this run.")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """A transaction that commits only while this run still has its turn."""
        with transaction.atomic():
            self.turn.confirm()
            yield


@contextmanager
def single_run(
    kind: SyncRun.Kind, tally: Tally, *, task_id: str = "", lease: str = "", slot_at: datetime | None = None
) -> Iterator[Step]:
    """One run of a kind at a time, recorded; raises AlreadyRunning while another one goes on."""
    holder = task_id or f"run-{timezone.now().timestamp():.6f}"
    with (
        single_flight(lease or kind.value, holder=holder, seconds=LEASE_SECONDS) as turn,
        recorded_run(kind, tally, task_id=task_id, slot_at=slot_at) as run,
    ):
        yield Step(run, tally, turn)


@contextmanager
def recorded_run(
    kind: SyncRun.Kind, tally: Tally, *, task_id: str = "", slot_at: datetime | None = None
) -> Iterator[SyncRun]:
    """Keeps a SyncRun from start to end; an error ends it as failed and goes on to the caller."""
    now = timezone.now()
    _close_abandoned(kind, task_id, now)
    run = SyncRun.objects.create(kind=kind, task_id=task_id, slot_at=slot_at)
    try:
        yield run
    except Cancelled as stop:
        _finish(run, tally, SyncRun.State.CANCELLED, str(stop))
        return
    except BaseException as error:
        drop_lost_connection()  # a run that lost its connection is told of over a new one
        _finish(run, tally, SyncRun.State.FAILED, str(error) or type(error).__name__)
        raise
    state = SyncRun.State.PARTIAL if tally.problems else SyncRun.State.SUCCEEDED
    _finish(run, tally, state, "\n".join(tally.problems))


def _close_abandoned(kind: SyncRun.Kind, task_id: str, now: datetime) -> None:
    """A run that a dead worker left open is closed, at once if this is the same job delivered again."""
    left = SyncRun.objects.running().filter(kind=kind)
    abandoned = left.filter(started_at__lt=now - ABANDONED_AFTER)
    if task_id:
        abandoned |= left.filter(task_id=task_id)
    abandoned.update(state=SyncRun.State.FAILED, finished_at=now, problem="The worker stopped before the run ended.")


def _finish(run: SyncRun, tally: Tally, state: SyncRun.State, problem: str) -> None:
    run.state, run.problem, run.finished_at = state, problem, timezone.now()
    run.calls, run.rows_written, run.rows_rejected = tally.calls, tally.rows_written, len(tally.rejected)
    run.rows_stale = tally.rows_stale
    with transaction.atomic():
        try:
            with transaction.atomic():
                run.save()
        except IntegrityError:
            # Another run has succeeded for this slot in the meantime; what this one wrote is the same slot's.
            run.state, run.problem = SyncRun.State.PARTIAL, "Another run was faster with this slot."
            run.save()
        RejectedPoint.objects.bulk_create(
            RejectedPoint(run=run, coingecko_id=coin[:150], reason=one.reason[:200], value=str(one.what)[:500])
            for coin, one in tally.rejected[:KEPT_REJECTS]
        )


__all__ = ["AlreadyRunning", "Cancelled", "Step", "Tally", "recorded_run", "single_run"]
