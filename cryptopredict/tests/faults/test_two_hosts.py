"""Two hosts that share one PostgreSQL, one Redis and one upstream: one call limit, and no tick is doubled."""

import secrets
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from cryptopredict.tests.faults.conftest import Figure, fresh_database, migrate
from cryptopredict.tests.faults.site import Sample, Site, make_installation, most_in_window, slot
from cryptopredict.tests.servers import running_postgres, running_redis

pytestmark = [pytest.mark.netns, pytest.mark.minute]

LIMIT = 12
NEEDS_ROOT = (
    "This test makes two network namespaces: it needs Debian's iproute2 and root with the right to do so "
    "(docker run --cap-add NET_ADMIN --cap-add SYS_ADMIN). Leave it out with -m 'not netns'."
)


class Network:
    """A bridge of our own with two hosts on it, and nothing else: each host is a network namespace."""

    def __init__(self) -> None:
        tag = secrets.token_hex(3)
        self.bridge, self.hosts = f"cp{tag}", (f"cp{tag}a", f"cp{tag}b")
        part = 16 + secrets.randbelow(200)
        self.address, self.addresses = f"10.213.{part}.1", (f"10.213.{part}.2", f"10.213.{part}.3")

    def make(self) -> None:
        run("link", "add", self.bridge, "type", "bridge")
        run("addr", "add", f"{self.address}/24", "dev", self.bridge)
        run("link", "set", self.bridge, "up")
        for host, address in zip(self.hosts, self.addresses, strict=True):
            run("netns", "add", host)
            run("link", "add", f"{host}0", "type", "veth", "peer", "name", f"{host}1")
            run("link", "set", f"{host}0", "master", self.bridge, "up")
            run("link", "set", f"{host}1", "netns", host)
            run("-n", host, "addr", "add", f"{address}/24", "dev", f"{host}1")
            run("-n", host, "link", "set", f"{host}1", "up")
            run("-n", host, "link", "set", "lo", "up")

    def remove(self) -> None:
        for host in self.hosts:
            subprocess.run(["ip", "netns", "del", host], capture_output=True)
            subprocess.run(["ip", "link", "del", f"{host}0"], capture_output=True)
        subprocess.run(["ip", "link", "del", self.bridge], capture_output=True)


def run(*command: str) -> None:
    try:
        done = subprocess.run(["ip", *command], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.fail(NEEDS_ROOT, pytrace=False)
    if done.returncode:
        pytest.fail(f"{NEEDS_ROOT}\nip {' '.join(command)}: {done.stderr}", pytrace=False)


@contextmanager
def network() -> Iterator[Network]:
    made = Network()
    try:
        made.make()
        yield made
    finally:
        made.remove()


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[tuple[Network, Site]]:
    with ExitStack() as stack:
        net = stack.enter_context(network())
        postgres = stack.enter_context(running_postgres(net.address))
        redis = stack.enter_context(running_redis(net.address))
        sample = Sample(tmp_path / "sample.log", net.address)
        stack.callback(sample.stop)
        migrate(postgres)
        url = stack.enter_context(fresh_database(postgres))
        installation = make_installation(
            tmp_path, database_url=url, redis=redis, sample=sample, COINGECKO_CALLS_PER_MINUTE=str(LIMIT)
        )
        stack.callback(installation.stop)
        yield net, Site(installation, url, redis, sample)


def test_it_keeps_one_limit_and_doubles_no_tick_over_two_hosts(
    hosts: tuple[Network, Site], tmp_path: Path, figure: Figure
) -> None:
    net, site = hosts
    folders = []
    for host in net.hosts:
        site.installation.prefix = ("ip", "netns", "exec", host)
        site.start_worker("-n", f"{host}@%h", children=2, queues=f"ingest,{host}")
        folders.append(tmp_path / host)
        folders[-1].mkdir()
    site.installation.prefix = ()
    for host, folder in zip(net.hosts, folders, strict=True):
        job = site.send("test.note", str(folder), "ready", queue=host)
        assert site.wait_for_end(job) == "succeeded"
    # Both hosts begin the same ticks at once.
    for number in (3, 2, 1):
        jobs = [site.send("test.tick", slot(number).isoformat(), queue=host) for host in net.hosts]
        assert [site.wait_for_end(job) for job in jobs] == ["succeeded"] * 2
    site.assert_whole()
    assert [tick.at for tick in site.ticks()] == [slot(3), slot(2), slot(1)]
    assert site.runs()["succeeded"] == 3
    for host, folder in zip(net.hosts, folders, strict=True):
        for _ in range(2):
            site.send("test.ask", str(folder), LIMIT, queue=host)
    site.wait("the second window is used too", lambda: len(site.sample.times()) >= LIMIT + LIMIT // 2, 100)
    times = site.sample.times()
    most = most_in_window(times)
    assert LIMIT - 1 <= most <= LIMIT
    figure(
        f"R9 two hosts (network namespaces) of 2 processes each: {len(times)} calls, at most {most} in any 60 s "
        f"(limit {LIMIT}); 3 ticks begun by both, 3 stored, 0 double"
    )
