"""A message broker for one computer: each queued job is a file, and no crash loses one.

    <folder>/ready/<queue>/<order>.<deliveries>.json    waits for a worker
    <folder>/unacked/<owner>/<queue>/<same name>        taken by a worker that has not acknowledged it yet
    <folder>/owners/<owner>.lock                        locked for as long as that worker lives

Every step is one rename within the folder, so a message is in one place only. A worker's lock ends with its
process, however that ends; any worker then puts the dead one's messages back, and each is delivered again.
A forked pool child keeps its parent's lock alive: a message comes back only when nothing can still be at it.
"""

import contextlib
import fcntl
import itertools
import json
import logging
import os
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.transport import virtual

logger = logging.getLogger(__name__)

QUEUE_NAME = re.compile(r"[A-Za-z0-9_@-][A-Za-z0-9._@-]*")
_published = itertools.count()


class Spool:
    """The folder of messages: put, claim, finish, give back, and recovery of what the dead had claimed."""

    def __init__(self, folder: Path) -> None:
        self.ready, self.unacked, self.owners = folder / "ready", folder / "unacked", folder / "owners"
        self.broken, self.draft = folder / "broken", folder / "draft"
        for path in (self.ready, self.unacked, self.owners, self.broken, self.draft):
            path.mkdir(parents=True, exist_ok=True)

    def put(self, queue: str, message: dict[str, Any]) -> None:
        """Queues a message; when this returns it is on disk, whole, behind all that were put before it."""
        # The clock orders messages of different processes, the counter those of one.
        order = f"{time.time_ns():020d}-{next(_published):08d}-{secrets.token_hex(4)}"
        draft = self.draft / order
        with draft.open("w", encoding="utf-8") as file:
            json.dump(message, file)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(self.folder_of(queue) / f"{order}.0.json")

    def claim(self, queue: str, owner: str) -> tuple[Path, dict[str, Any]]:
        """Takes the oldest message for an owner; raises queue.Empty when there is none."""
        target = self.unacked / owner / queue
        for name in self._waiting(queue):
            order, deliveries, _ = name.split(".")
            claimed = target / f"{order}.{int(deliveries) + 1}.json"
            target.mkdir(parents=True, exist_ok=True)
            try:
                (self.ready / queue / name).rename(claimed)
            except FileNotFoundError:
                continue  # another worker was faster
            try:
                message: dict[str, Any] = json.loads(claimed.read_text(encoding="utf-8"))
            except ValueError:
                logger.error("a broken message of queue %s was set aside: %s", queue, claimed.name)
                claimed.rename(self.broken / claimed.name)
                continue
            message["properties"]["delivery_info"]["redelivered"] = int(deliveries) > 0
            return claimed, message
        raise Empty

    def give_back(self, claimed: Path) -> None:
        """Puts a claimed message back to its place in its queue."""
        with contextlib.suppress(FileNotFoundError):  # acknowledged in the meantime
            claimed.rename(self.folder_of(claimed.parent.name) / claimed.name)

    def size(self, queue: str) -> int:
        return len(self._waiting(queue))

    def purge(self, queue: str) -> int:
        """Deletes what waits in a queue and returns how many messages that were."""
        count = 0
        for name in self._waiting(queue):
            with contextlib.suppress(FileNotFoundError):
                (self.ready / queue / name).unlink()
                count += 1
        return count

    def register(self, owner: str) -> int:
        """Locks an owner's file for the life of this process and returns the open descriptor."""
        with self._exclusively():
            descriptor = os.open(self.owners / f"{owner}.lock", os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return descriptor

    def recover(self) -> int:
        """Puts back whatever dead owners had claimed; returns how many messages that were."""
        with self._exclusively():
            return sum(self._recover_one(lock) for lock in sorted(self.owners.glob("*.lock")))

    def _recover_one(self, lock: Path) -> int:
        descriptor = os.open(lock, os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0  # its owner lives
        else:
            folder = self.unacked / lock.stem
            claimed = sorted(folder.glob("*/*.json"))
            for path in claimed:
                self.give_back(path)
            for path in [*folder.glob("*"), folder]:
                with contextlib.suppress(FileNotFoundError):
                    path.rmdir()
            lock.unlink()
            return len(claimed)
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def _exclusively(self) -> Iterator[None]:
        """One process at a time makes or removes owners."""
        with (self.owners / "guard").open("w") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            yield

    def _waiting(self, queue: str) -> list[str]:
        try:
            return sorted(name for name in os.listdir(self.ready / queue) if name.endswith(".json"))
        except FileNotFoundError:
            return []

    def folder_of(self, queue: str) -> Path:
        """Where a queue's messages wait; made when it is new."""
        if not QUEUE_NAME.fullmatch(queue):
            raise ValueError(f"{queue!r} cannot name a queue.")
        folder = self.ready / queue
        folder.mkdir(exist_ok=True)
        return folder


class QoS(virtual.QoS):
    """Keeps a claimed message's file until the message is acknowledged."""

    channel: "Channel"

    def ack(self, delivery_tag: str) -> None:
        self.channel.finish(delivery_tag)
        super().ack(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        if not requeue:
            self.channel.finish(delivery_tag)
        super().reject(delivery_tag, requeue=requeue)


class Channel(virtual.Channel):
    """One process's way to the spool. Direct exchanges only: there is no remote control in this mode."""

    QoS = QoS
    RECOVER_EVERY_SECONDS = 5.0

    def __init__(self, connection: Any, **kwargs: Any) -> None:
        super().__init__(connection, **kwargs)
        self.spool = Spool(Path(connection.client.transport_options["folder"]))
        self._claimed: dict[str, Path] = {}
        self._owner = ""
        self._owner_lock: int | None = None
        self._recovered_at = float("-inf")

    def finish(self, delivery_tag: str) -> None:
        """Forgets a message that was worked off or refused for good."""
        path = self._claimed.pop(delivery_tag, None)
        if path is not None:
            path.unlink(missing_ok=True)

    def _put(self, queue: str, message: dict[str, Any], **kwargs: Any) -> None:
        self.spool.put(queue, message)

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:
        self._recover_now_and_then()
        if self._owner_lock is None:
            self._owner = f"{os.getpid()}-{secrets.token_hex(4)}"
            self._owner_lock = self.spool.register(self._owner)
        path, message = self.spool.claim(queue, self._owner)
        self._claimed[message["properties"]["delivery_tag"]] = path
        return message

    def _recover_now_and_then(self) -> None:
        now = time.monotonic()
        if now - self._recovered_at >= self.RECOVER_EVERY_SECONDS:
            self._recovered_at = now
            count = self.spool.recover()
            if count:
                logger.warning("%s jobs of a worker that ended in mid-task were queued again", count)

    def _restore(self, message: Any) -> None:
        path = self._claimed.pop(message.delivery_tag, None)
        if path is not None:
            self.spool.give_back(path)

    def _size(self, queue: str) -> int:
        return self.spool.size(queue)

    def _purge(self, queue: str) -> int:
        return self.spool.purge(queue)

    def _has_queue(self, queue: str, **kwargs: Any) -> bool:
        return (self.spool.ready / queue).is_dir()

    def _new_queue(self, queue: str, **kwargs: Any) -> None:
        self.spool.folder_of(queue)

    def close(self) -> None:
        """Puts back what was not acknowledged, then gives up the owner's lock."""
        super().close()
        if self._owner_lock is not None:
            os.close(self._owner_lock)
            self._owner_lock = None
            self.spool.recover()


class Transport(virtual.Transport):
    """Celery's broker address ``disk://``; the folder is the transport option ``folder``."""

    Channel = Channel
    default_port = 0
    driver_type = "disk"
    driver_name = "disk"
    polling_interval = 0.5
    implements = virtual.Transport.implements.extend(asynchronous=False, exchange_type=frozenset(["direct"]))

    def driver_version(self) -> str:
        return "1"
