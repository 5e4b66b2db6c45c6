"""R8: daylight-saving changes, leap days, a clock stepped by an hour: a UTC day has exactly 288 slots."""

import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cryptopredict.tests.faults.conftest import Figure
from cryptopredict.tests.faults.site import Site
from markets.models import PriceData, SyncRun
from markets.tests.world import World

FIVE_MINUTES = timedelta(minutes=5)
SLOTS_A_DAY = 288
DAYS = {
    "clocks-forward": datetime(2026, 3, 29, tzinfo=UTC),
    "clocks-back": datetime(2026, 10, 25, tzinfo=UTC),
    "leap-day": datetime(2028, 2, 29, tzinfo=UTC),
}


@pytest.fixture
def memory_folder() -> Iterator[Path]:
    """A folder in memory where there is one: thousands of small commits need not wait for a disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The time zone of this process, as the operating system has it."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield "Europe/Berlin"
    monkeypatch.undo()
    time.tzset()


def assert_a_whole_day(start: datetime) -> None:
    stored = PriceData.objects.filter(interval="5m").between(start, start + timedelta(days=1))
    slots = sorted(set(stored.values_list("at", flat=True)))
    assert slots == [start + number * FIVE_MINUTES for number in range(SLOTS_A_DAY)]
    per_coin = {coin: stored.filter(coin=coin).count() for coin in set(stored.values_list("coin", flat=True))}
    assert set(per_coin.values()) == {SLOTS_A_DAY}
    succeeded = SyncRun.objects.filter(kind="prices", state="succeeded", slot_at__gte=start)
    assert succeeded.filter(slot_at__lt=start + timedelta(days=1)).count() == SLOTS_A_DAY


@pytest.mark.django_db
@pytest.mark.parametrize("day", DAYS)
def test_it_fills_288_slots_on_every_kind_of_day(memory_folder: Path, zone: str, day: str, figure: Figure) -> None:
    start = DAYS[day]
    world = World(memory_folder, start=start, coins=3)
    try:
        for number in range(SLOTS_A_DAY):
            world.tick(start + number * FIVE_MINUTES + timedelta(seconds=7 + number % 200))
    finally:
        world.server.stop()
    assert_a_whole_day(start)
    figure(f"R8 {day} {start:%Y-%m-%d} with the system in {zone}: {SLOTS_A_DAY} slots (288 wanted)")


@pytest.mark.django_db
def test_it_fills_288_slots_although_the_clock_was_stepped_by_an_hour(memory_folder: Path, figure: Figure) -> None:
    start = datetime(2026, 6, 1, tzinfo=UTC)
    world = World(memory_folder, start=start, coins=3)
    times = [start + number * FIVE_MINUTES + timedelta(seconds=3) for number in range(SLOTS_A_DAY)]
    back = times[:120] + times[108:200]  # at ten o'clock it is nine again
    forward = [at + timedelta(hours=1) for at in times[200:204]]  # for 20 minutes it is an hour too late
    try:
        repeated = [world.tick(at) for at in back + forward + times[200:]]
    finally:
        world.server.stop()
    skipped = sum(run is None for run in repeated)
    assert_a_whole_day(start)
    figure(f"R8 clock stepped back and forward by an hour: {skipped} repeated ticks left out, 288 slots")


def test_it_stores_utc_slots_from_processes_in_another_time_zone(site: Site, figure: Figure) -> None:
    zone = "Asia/Kathmandu"  # 5:45 hours off: no slot of local hours could pass for one of UTC
    site.start_worker(TZ=zone)
    before = datetime.now(UTC)
    assert site.wait_for_end(site.send("markets.sync_all_prices")) == "succeeded"
    (tick,) = site.ticks()
    assert before - FIVE_MINUTES <= tick.at <= datetime.now(UTC)
    assert tick.at.timestamp() % 300 == 0
    figure(f"R8 worker in {zone}: its tick is the UTC slot {tick.at:%H:%M}")
