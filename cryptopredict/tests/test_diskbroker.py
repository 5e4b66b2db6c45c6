"""The broker on local disk: order, acknowledgement, and what a killed worker leaves behind."""

import multiprocessing
import os
import signal
import subprocess
from pathlib import Path
from queue import Empty
from typing import Any, cast

import pytest
from kombu import Connection, Message

import cryptopredict.celery  # noqa: F401  (gives disk:// its name)
from cryptopredict.operations.diskbroker import Channel, Spool
from cryptopredict.tests.processes import Installation, lines, wait_for


def message(text: str) -> dict[str, Any]:
    return {"body": text, "properties": {"delivery_info": {}, "delivery_tag": text}}


def bodies(spool: Spool, queue: str, owner: str = "me") -> list[str]:
    taken = []
    while True:
        try:
            taken.append(spool.claim(queue, owner)[1]["body"])
        except Empty:
            return taken


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path)


class TestSpool:
    def test_it_hands_out_messages_in_the_order_they_came(self, spool: Spool) -> None:
        for number in range(25):
            spool.put("ingest", message(str(number)))
        assert bodies(spool, "ingest") == [str(number) for number in range(25)]

    def test_it_keeps_queues_apart(self, spool: Spool) -> None:
        spool.put("ingest", message("price"))
        spool.put("training", message("model"))
        assert (spool.size("ingest"), spool.size("training"), spool.size("unknown")) == (1, 1, 0)
        assert bodies(spool, "training") == ["model"]
        assert bodies(spool, "ingest") == ["price"]

    def test_it_puts_a_message_that_was_given_back_at_its_old_place(self, spool: Spool) -> None:
        for text in "abc":
            spool.put("ingest", message(text))
        path, first = spool.claim("ingest", "me")
        assert first["properties"]["delivery_info"]["redelivered"] is False
        spool.give_back(path)
        _, again = spool.claim("ingest", "me")
        assert again["body"] == "a"
        assert again["properties"]["delivery_info"]["redelivered"] is True
        assert bodies(spool, "ingest") == ["b", "c"]

    def test_it_leaves_alone_what_a_living_owner_claimed(self, spool: Spool) -> None:
        lock = spool.register("alive")
        spool.put("ingest", message("a"))
        spool.claim("ingest", "alive")
        assert spool.recover() == 0
        assert spool.size("ingest") == 0
        os.close(lock)

    def test_it_gives_back_what_a_dead_owner_had_claimed_and_forgets_the_owner(self, spool: Spool) -> None:
        for text in "ab":
            spool.put("ingest", message(text))
        lock = spool.register("dead")
        assert bodies(spool, "ingest", "dead") == ["a", "b"]
        os.close(lock)  # what the kernel does when a process ends
        assert spool.recover() == 2
        assert bodies(spool, "ingest") == ["a", "b"]
        assert list(spool.owners.glob("*.lock")) == []
        assert not (spool.unacked / "dead").exists()

    def test_it_sets_a_broken_message_aside_and_goes_on(self, spool: Spool) -> None:
        spool.put("ingest", message("a"))
        next((spool.ready / "ingest").iterdir()).write_text("{half a mess")
        spool.put("ingest", message("b"))
        assert bodies(spool, "ingest") == ["b"]
        assert len(list(spool.broken.iterdir())) == 1

    @pytest.mark.parametrize("name", ["../escape", "a/b", "", ".hidden"])
    def test_it_refuses_a_queue_name_that_leaves_its_folder(self, spool: Spool, name: str) -> None:
        with pytest.raises(ValueError, match="cannot name a queue"):
            spool.put(name, message("a"))

    @pytest.mark.slow
    def test_it_gives_each_message_to_one_of_several_processes(self, spool: Spool, tmp_path: Path) -> None:
        for number in range(200):
            spool.put("ingest", message(str(number)))
        with multiprocessing.get_context("spawn").Pool(3) as pool:
            shares = pool.starmap(_take_all, [(tmp_path, f"owner-{number}") for number in range(3)])
        taken = [text for share in shares for text in share]
        assert sorted(taken, key=int) == [str(number) for number in range(200)]


def _take_all(folder: Path, owner: str) -> list[str]:
    return bodies(Spool(folder), "ingest", owner)


class TestTransport:
    def channel(self, folder: Path) -> Channel:
        connection = Connection("disk://", transport_options={"folder": str(folder)})
        channel = cast(Channel, connection.channel())
        channel.queue_declare("ingest")
        return channel

    def publish(self, channel: Channel, text: str) -> None:
        channel.basic_publish(channel.prepare_message(text), exchange="", routing_key="ingest")

    def get(self, channel: Channel) -> Message:
        found = channel.basic_get("ingest")
        assert found is not None
        return cast(Message, found)

    def files(self, folder: Path) -> list[str]:
        return [path.relative_to(folder).parts[0] for path in folder.rglob("*.json")]

    def test_it_keeps_a_message_until_it_is_acknowledged(self, tmp_path: Path) -> None:
        channel = self.channel(tmp_path)
        self.publish(channel, "work")
        got = channel.basic_get("ingest")
        assert got is not None
        body: Any = got.body
        assert body == b"work"
        assert self.files(tmp_path) == ["unacked"]
        got.ack()
        assert self.files(tmp_path) == []

    def test_it_queues_a_rejected_message_again_only_when_asked(self, tmp_path: Path) -> None:
        channel = self.channel(tmp_path)
        self.publish(channel, "work")
        self.get(channel).requeue()
        assert self.files(tmp_path) == ["ready"]
        self.get(channel).reject()
        assert self.files(tmp_path) == []

    def test_it_puts_unacknowledged_messages_back_when_it_closes(self, tmp_path: Path) -> None:
        channel = self.channel(tmp_path)
        self.publish(channel, "work")
        channel.basic_get("ingest")
        channel.close()
        assert self.files(tmp_path) == ["ready"]
        assert list((tmp_path / "owners").glob("*.lock")) == []

    def test_it_purges_a_queue(self, tmp_path: Path) -> None:
        channel = self.channel(tmp_path)
        self.publish(channel, "a")
        self.publish(channel, "b")
        assert channel.queue_purge("ingest") == 2
        assert channel.basic_get("ingest") is None


@pytest.mark.slow
class TestWorkers:
    """Real worker processes, killed for real."""

    def queue(self, installation: Installation, folder: Path, names: list[str], seconds: float) -> None:
        installation.queue("test.note", [[str(folder), name, seconds] for name in names])

    @pytest.mark.parametrize("pool", [["-P", "solo"], ["-P", "prefork", "-c", "2"], ["-P", "threads", "-c", "2"]])
    def test_it_does_every_job_although_the_worker_is_killed_in_mid_task(
        self, installation: Installation, tmp_path: Path, pool: list[str]
    ) -> None:
        names = [f"job-{number}" for number in range(6)]
        self.queue(installation, tmp_path, names, seconds=1.0)
        worker = installation.start_worker(*pool)
        wait_for("two jobs started", lambda: len(lines(tmp_path / "started")) >= 2, log=installation.log)
        worker.send_signal(signal.SIGKILL)
        worker.wait()

        installation.start_worker(*pool)
        wait_for("all jobs done", lambda: set(lines(tmp_path / "done")) == set(names), log=installation.log)
        done = lines(tmp_path / "done")
        again = [name for name in names if done.count(name) > 1]
        assert all(done.count(name) <= 2 for name in names)
        assert len(again) <= 2, "only a job that was running when its worker died may run again"
        wait_for("the spool is empty", lambda: not list(tmp_path.glob("var/*/broker/*/**/*.json")))

    def test_it_keeps_jobs_that_were_queued_while_no_worker_ran(
        self, installation: Installation, tmp_path: Path
    ) -> None:
        self.queue(installation, tmp_path, ["first", "second", "third"], seconds=0)
        installation.start_worker("-P", "solo")
        wait_for("all jobs done", lambda: len(lines(tmp_path / "done")) == 3, log=installation.log)
        assert lines(tmp_path / "done") == ["first", "second", "third"]

    def test_it_takes_over_from_a_killed_worker_without_disturbing_a_living_one(
        self, installation: Installation, tmp_path: Path
    ) -> None:
        self.queue(installation, tmp_path, ["long-1", "long-2"], seconds=6)
        first = installation.start_worker("-P", "solo", "-n", "first@here")
        wait_for("one job started", lambda: len(lines(tmp_path / "started")) == 1, log=installation.log)
        installation.start_worker("-P", "solo", "-n", "second@here")
        wait_for("both started", lambda: len(lines(tmp_path / "started")) == 2, log=installation.log)
        first.send_signal(signal.SIGKILL)
        first.wait()
        wait_for(
            "both done",
            lambda: set(lines(tmp_path / "done")) == {"long-1", "long-2"},
            log=installation.log,
        )
        assert sorted(lines(tmp_path / "started")) == ["long-1", "long-1", "long-2"]

    def test_it_runs_a_job_with_a_countdown_after_that_time(self, installation: Installation, tmp_path: Path) -> None:
        installation.queue("test.note", [[str(tmp_path), "later"]], countdown=6)
        installation.queue("test.note", [[str(tmp_path), "now"]])
        installation.start_worker("-P", "prefork", "-c", "1")
        wait_for("both done", lambda: len(lines(tmp_path / "done")) == 2, log=installation.log)
        assert lines(tmp_path / "done") == ["now", "later"]

    def test_it_leaves_no_pool_child_behind_when_the_worker_is_killed(
        self, installation: Installation, tmp_path: Path
    ) -> None:
        import psutil

        self.queue(installation, tmp_path, ["long"], seconds=30)
        worker = installation.start_worker("-P", "prefork", "-c", "2")
        wait_for("it started", lambda: bool(lines(tmp_path / "started")), log=installation.log)
        children = psutil.Process(worker.pid).children(recursive=True)
        assert children
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        wait_for("the children ended", lambda: not any(child.is_running() for child in children), 10)

    def test_it_ends_within_seconds_and_gives_its_job_back_when_told_to_twice(
        self, installation: Installation, tmp_path: Path
    ) -> None:
        self.queue(installation, tmp_path, ["long"], seconds=60)
        worker = installation.start_worker("-P", "prefork", "-c", "1")
        wait_for("it started", lambda: bool(lines(tmp_path / "started")), log=installation.log)
        worker.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            worker.wait(1)
        worker.send_signal(signal.SIGQUIT)
        worker.wait(10)
        wait_for("the job waits again", lambda: len(list(tmp_path.glob("var/*/broker/ready/ingest/*"))) == 1)
