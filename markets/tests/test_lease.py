"""The lease: one holder at a time, and no write by one that lost it."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.db.models import F

from markets.lease import AlreadyRunning, LeaseLost, single_flight
from markets.models import Lease

pytestmark = pytest.mark.django_db


def run_out() -> None:
    """What the passing of time does to a lease that nobody confirms."""
    Lease.objects.update(expires_at=F("expires_at") - timedelta(hours=1))


def test_it_lets_one_run_in_at_a_time() -> None:
    with single_flight("prices", holder="a", seconds=60):
        with pytest.raises(AlreadyRunning, match="a until"), single_flight("prices", holder="b", seconds=60):
            pass
        with single_flight("history", holder="b", seconds=60):
            pass
    with single_flight("prices", holder="b", seconds=60):
        pass


def test_it_refuses_the_write_of_a_holder_whose_lease_was_taken_over() -> None:
    with single_flight("prices", holder="a", seconds=60) as slow:
        run_out()
        with single_flight("prices", holder="b", seconds=60) as quick:
            with pytest.raises(LeaseLost), transaction.atomic():
                slow.confirm()
            with transaction.atomic():
                quick.confirm()


def test_it_does_not_give_a_lease_back_that_is_another_holders_by_now() -> None:
    with single_flight("prices", holder="a", seconds=60):
        run_out()
        taken = single_flight("prices", holder="b", seconds=60)
        taken.__enter__()
    assert Lease.objects.get().holder == "b"
    with pytest.raises(AlreadyRunning), single_flight("prices", holder="c", seconds=60):
        pass
    taken.__exit__(None, None, None)


def test_it_extends_a_lease_that_is_confirmed() -> None:
    with single_flight("prices", holder="a", seconds=60) as turn:
        Lease.objects.update(expires_at=F("expires_at") - timedelta(seconds=50))
        before = Lease.objects.get().expires_at
        with transaction.atomic():
            turn.confirm()
        after = Lease.objects.get().expires_at
    assert before is not None
    assert after is not None
    assert after - before > timedelta(seconds=40)


def test_it_lets_the_same_job_take_its_lease_over_when_it_is_delivered_again() -> None:
    with single_flight("prices", holder="job-1", seconds=60) as first:
        with single_flight("prices", holder="job-1", seconds=60) as again, transaction.atomic():
            again.confirm()
        with pytest.raises(LeaseLost), transaction.atomic():
            first.confirm()
