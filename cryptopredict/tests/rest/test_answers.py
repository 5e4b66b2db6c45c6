"""A public answer is made once for all who ask, and never given out when it is not true any more."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.cache import caches
from django.core.cache.backends.filebased import FileBasedCache
from django.utils import timezone
from pytest_django import Settings

from cryptopredict.rest import answers, shared
from cryptopredict.rest.answers import Answer, Clock, announce_change, shared_answer
from cryptopredict.tests.processes import Installation

CALLERS = 20


@pytest.fixture(autouse=True)
def kept_answers(small_views: None, settings: Settings) -> None:
    local = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    settings.CACHES = {"default": local, "answers": {**local, "LOCATION": "answers"}}
    caches["answers"].clear()


class Maker:
    """Makes numbered answers: the first, the second, and so on; the test says when a slow one may end."""

    def __init__(self, true_for: timedelta = timedelta(minutes=5)) -> None:
        self.count = 0
        self.true_for = true_for
        self.began, self.may_end = threading.Event(), threading.Event()
        self.may_end.set()

    def __call__(self, clock: Clock) -> bytes:
        self.count += 1
        number = self.count
        clock.is_past(clock.now + self.true_for)
        self.began.set()
        assert self.may_end.wait(10)
        return b"%d" % number


def ask(make: Callable[[Clock], bytes], **options: object) -> Answer:
    return shared_answer("prices", make, fresh_seconds=30, **options)  # type: ignore[arg-type]


def in_thread(make: Callable[[Clock], bytes]) -> "tuple[threading.Thread, list[Answer]]":
    found: list[Answer] = []
    thread = threading.Thread(target=lambda: found.append(ask(make)))
    thread.start()
    return thread, found


def test_it_makes_an_answer_once_until_the_data_change() -> None:
    make = Maker()
    assert [ask(make).content for _ in range(3)] == [b"1", b"1", b"1"]
    announce_change()
    assert [ask(make).content for _ in range(2)] == [b"2", b"2"]


def test_it_makes_an_answer_anew_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    make = Maker()
    ask(make)
    later = time.time() + 31
    monkeypatch.setattr(answers.time, "time", lambda: later)
    assert ask(make).content == b"2"


def test_it_makes_an_answer_anew_once_what_it_says_of_its_age_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    make = Maker(true_for=timedelta(seconds=10))
    assert 9 < ask(make).true_seconds <= 10
    later = time.time() + 11
    monkeypatch.setattr(answers.time, "time", lambda: later)
    assert ask(make).content == b"2"


def test_it_spares_the_body_to_who_has_it() -> None:
    make = Maker()
    etag = ask(make).etag
    caches["answers"].delete("prices:body")
    assert ask(make, held_etags={etag})[:2] == (etag, b"")
    assert make.count == 1


def test_many_callers_of_a_cold_answer_make_it_once() -> None:
    make = Maker()
    make.may_end.clear()
    with ThreadPoolExecutor(CALLERS) as callers:
        waiting = [callers.submit(ask, make) for _ in range(CALLERS)]
        assert make.began.wait(10)
        make.may_end.set()
        assert {one.result().content for one in waiting} == {b"1"}
    assert make.count == 1


def test_the_answer_before_is_given_out_while_the_next_one_is_made() -> None:
    make = Maker()
    ask(make)
    announce_change()
    make.began.clear()
    make.may_end.clear()
    thread, found = in_thread(make)
    assert make.began.wait(10)
    assert [ask(make).content for _ in range(CALLERS)] == [b"1"] * CALLERS
    make.may_end.set()
    thread.join()
    assert (found[0].content, ask(make).content, make.count) == (b"2", b"2", 2)


def test_the_answer_before_is_not_given_out_once_its_is_stale_has_turned(monkeypatch: pytest.MonkeyPatch) -> None:
    make = Maker(true_for=timedelta(seconds=10))
    ask(make)
    make.began.clear()
    make.may_end.clear()
    later = time.time() + 11
    monkeypatch.setattr(answers.time, "time", lambda: later)
    first, _ = in_thread(make)
    assert make.began.wait(10)
    second, found = in_thread(make)
    make.may_end.set()
    first.join()
    second.join()
    assert found[0].content != b"1"


def test_a_change_while_an_answer_is_made_leaves_it_out_of_date() -> None:
    make = Maker()

    def change_and_make(clock: Clock) -> bytes:
        content = make(clock)
        announce_change()
        return content

    assert ask(change_and_make).content == b"1"
    assert ask(make).content == b"2"


def test_a_failure_is_kept_from_nobody_and_keeps_nobody_waiting() -> None:
    def fail(clock: Clock) -> bytes:
        raise LookupError("no such coin")

    for _ in range(2):
        with pytest.raises(LookupError):
            ask(fail)
    assert ask(Maker()).content == b"1"


def test_it_does_not_wait_for_a_process_that_died(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "WAIT_SECONDS", 0.02)
    assert shared.claim("prices:lock", 1, keep_seconds=60)
    assert ask(Maker()).content == b"1"


def test_everybody_is_answered_while_the_cache_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*_: object, **__: object) -> None:
        raise OSError("the cache is down")

    for method in ("get", "get_many", "set", "add"):
        monkeypatch.setattr(caches["answers"], method, down)
    make = Maker()
    assert [ask(make).content for _ in range(2)] == [b"1", b"2"]
    announce_change()


def test_a_clock_remembers_the_first_moment_that_changes_what_it_said() -> None:
    now = timezone.now()
    clock = Clock(now)
    minute = timedelta(minutes=1)
    assert clock.is_past(now - minute)
    assert clock.true_until is None
    assert not clock.is_past(now + 3 * minute)
    assert not clock.is_past(now + 2 * minute)
    assert clock.true_until == now + 2 * minute


def test_all_who_meet_an_empty_cache_on_disk_agree_on_the_version(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_disk = {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache"}
    settings.CACHES = {name: {**on_disk, "LOCATION": str(tmp_path / name)} for name in ("default", "answers")}
    has_key = FileBasedCache.has_key

    def slow_has_key(*arguments: Any, **options: Any) -> bool:
        found = has_key(*arguments, **options)
        time.sleep(0.02)  # for the others to find nothing either
        return found

    monkeypatch.setattr(FileBasedCache, "has_key", slow_has_key)
    with ThreadPoolExecutor(CALLERS) as callers:
        versions = set(callers.map(lambda _: answers._look("prices")[0], range(CALLERS)))
    assert len(versions) == 1


ONE_PROCESS = """
import sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import django
django.setup()
from cryptopredict.rest.answers import shared_answer

folder, here, all_callers = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])

def note(name):
    with (folder / name).open("a") as file:
        file.write("1\\n")

def wait_for(name, number):
    deadline = time.monotonic() + 40
    while len((folder / name).read_text().split()) < number:
        assert time.monotonic() < deadline, name
        time.sleep(0.01)

def make(clock):
    note("made")
    wait_for("asked", all_callers)  # the others wait by now, in both processes
    return b"the answer"

def ask(_):
    note("asked")
    return shared_answer("prices", make, fresh_seconds=30).content

note("ready")
wait_for("ready", 2)  # however long the other process takes to begin
with ThreadPoolExecutor(here) as callers:
    assert set(callers.map(ask, range(here))) == {b"the answer"}
"""


def ask_from_two_processes(tmp_path: Path, **environment: str) -> int:
    """How often an answer was made that ten threads in each of two processes asked for at once."""
    site = Installation(tmp_path, **environment)
    command = [sys.executable, "-c", ONE_PROCESS, str(tmp_path), str(CALLERS // 2), str(CALLERS)]
    running = [site.start(*command) for _ in range(2)]
    try:
        assert [process.wait(60) for process in running] == [0, 0], site.log.read_text()
    except subprocess.TimeoutExpired:
        pytest.fail(site.log.read_text())
    finally:
        site.stop()
    return len((tmp_path / "made").read_text().split())


@pytest.mark.slow
def test_two_processes_make_an_answer_once_with_the_cache_on_disk(tmp_path: Path) -> None:
    assert ask_from_two_processes(tmp_path) == 1


@pytest.mark.slow
def test_two_processes_make_an_answer_once_with_redis(tmp_path: Path, redis_url: str) -> None:
    redis.Redis.from_url(redis_url).flushdb()
    assert ask_from_two_processes(tmp_path, REDIS_URL=redis_url) == 1
