"""The client of an installation, and what it takes for a sign that the shared state was lost."""

from pathlib import Path

import pytest
from pytest_django import Settings

from markets.models import SyncRun
from markets.upstream import build_client

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def state_on_disk(settings: Settings, tmp_path: Path) -> None:
    settings.REDIS_URL, settings.SHARED_STATE_PATH = "", tmp_path / "state.sqlite3"


def held_seconds() -> float:
    return float(build_client().status()["limiter"]["held_seconds"])


def test_it_does_not_take_another_process_first_run_on_a_new_site_for_lost_state() -> None:
    build_client()  # of the other process, which then records its run before it calls
    SyncRun.objects.create(kind=SyncRun.Kind.PRICES)
    assert held_seconds() == 0


def test_it_holds_all_calls_for_a_window_when_the_state_was_lost_while_a_run_went_on(settings: Settings) -> None:
    build_client()
    SyncRun.objects.create(kind=SyncRun.Kind.PRICES)
    settings.SHARED_STATE_PATH.unlink()
    assert 50 < held_seconds() <= 60


def test_it_counts_the_months_calls_from_the_record_when_the_state_was_lost(settings: Settings) -> None:
    SyncRun.objects.create(kind=SyncRun.Kind.PRICES, calls=7)
    assert build_client().credits_spent() == 7
