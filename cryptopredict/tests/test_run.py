"""The one command: the whole site on a free port, from first start to its end, with nothing replaced."""

import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests

from cryptopredict.tests.processes import Installation, wait_for
from cryptopredict.tests.servers import free_port

pytestmark = pytest.mark.slow
FIRST_FORECASTS_SECONDS = 180
ENDING_SECONDS = 20
LIMIT_MB = 150


class Site:
    """`make run MARKET=sample` without make."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.port = free_port()
        self.installation = Installation(folder, PORT=str(self.port), **environment)
        self.said: list[str] = []
        self.process: subprocess.Popen[str] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> "Site":
        self.said = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cryptopredict.operations.run"],
            env=self.installation.environment,
            cwd=Path(__file__).resolve().parents[2],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        threading.Thread(target=self._listen, args=(self.process,), daemon=True).start()
        return self

    def _listen(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.said.append(line.rstrip())

    def text(self) -> str:
        return "\n".join(self.said)

    def wait_to_say(self, text: str, timeout_seconds: float = 60) -> None:
        try:
            wait_for(f"it says {text!r}", lambda: text in self.text(), timeout_seconds)
        except AssertionError as problem:
            raise AssertionError(f"{problem}\n{self.text()}") from None

    def get(self, path: str) -> requests.Response:
        return requests.get(f"{self.address}{path}", timeout=20)

    def answers(self) -> bool:
        try:
            return self.get("/api/v1/health/ready/").status_code == 200
        except requests.ConnectionError:
            return False

    def family(self) -> list[psutil.Process]:
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def program(self, *words: str) -> psutil.Process:
        """The program of this site whose command has these words; not its children, which have the same."""
        assert self.process is not None
        for child in psutil.Process(self.process.pid).children():
            if all(any(word in part for part in child.cmdline()) for word in words):
                return child
        raise AssertionError(f"no program runs with {words}")

    def end(self, number: signal.Signals) -> int:
        """Sends the signal to the starter alone and returns its exit status; every process must be gone."""
        assert self.process is not None
        wait_for("workers, which start behind the web, have their children", lambda: len(self.family()) >= 7)
        family = self.family()
        self.process.send_signal(number)
        status = self.process.wait(ENDING_SECONDS)
        assert [member.cmdline() for member in family if is_alive(member)] == []
        return status

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            family = self.family()
            self.process.kill()
            self.process.wait()
            for member in family:
                if is_alive(member):
                    member.kill()


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.kill()


def test_it_brings_the_whole_site_up_and_ends_every_process(site: Site) -> None:
    site.start()
    wait_for("the site answers from the first seconds on", site.answers, 40)
    answered_with = site.text()
    assert "first forecasts" not in answered_with
    assert re.search(r"Staff account.*: admin@localhost  password: \S{12,}", answered_with)
    assert site.get("/").status_code == 200

    site.wait_to_say("CryptoPredict is complete", FIRST_FORECASTS_SECONDS)
    said = re.search(r"first forecasts: (\d+) of (\d+) coins", site.text())
    assert said is not None
    assert int(said[2]) >= 25, "forecasts of at least 25 coins"
    page, coin = site.get("/"), site.get("/coins/bitcoin/")
    assert (page.status_code, coin.status_code) == (200, 200)
    assert "sample data" in page.text
    assert "sample data" in coin.text
    forecast = site.get("/api/v1/cryptocurrencies/bitcoin/forecast/").json()
    assert forecast["data_source"] == "sample data"
    assert len(forecast["horizons"]) >= 3

    web = [child for child in site.program("gunicorn").children() if is_alive(child)]
    assert len(web) == 1
    maps = {Path(entry.path).name for entry in web[0].memory_maps()}
    assert not [name for name in maps if "tensorflow" in name]
    assert web[0].memory_info().rss / 1e6 < LIMIT_MB

    assert site.end(signal.SIGINT) == 0

    began = time.monotonic()
    site.start()
    wait_for("it answers again", site.answers, 30)
    assert time.monotonic() - began < 20
    site.wait_to_say("CryptoPredict is complete", 10)
    assert "Staff account" not in site.text()
    again = site.get("/api/v1/cryptocurrencies/bitcoin/forecast/").json()
    assert again["issued_at"] == forecast["issued_at"], "the forecast that was frozen before the restart"
    assert site.end(signal.SIGTERM) == 0


def test_it_starts_a_killed_worker_again_and_pages_stay_up_without_their_upstream(site: Site) -> None:
    site.start()
    wait_for("the site answers", site.answers, 40)
    site.wait_to_say("a year of history:", 60)
    worker = site.program("worker", "ingest,forecasts")
    worker.kill()
    site.wait_to_say("worker was killed by signal 9; it starts again")
    site.wait_to_say("CryptoPredict is complete", FIRST_FORECASTS_SECONDS)

    site.program("markets.sample").kill()
    site.wait_to_say("sample-server was killed by signal 9")
    assert site.get("/coins/bitcoin/").status_code == 200
    assert site.get("/api/v1/cryptocurrencies/").status_code == 200


def test_it_refuses_a_second_start_on_the_same_data(site: Site) -> None:
    site.start()
    site.wait_to_say("CryptoPredict starts at")
    second = run_once(site.installation, PORT=str(free_port()))
    assert second.returncode == 1
    assert "runs already on the data in" in second.stderr


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"PORT": "http"}, "PORT must be a number, not 'http'."),
        ({"PORT": "70000"}, "PORT must lie between 1 and 65535"),
        ({"MARKET": "paper"}, "MARKET must be live, sample or replay"),
        ({"MARKET": "replay", "DATA": "/nowhere"}, "MARKET=replay needs DATA=<folder of CSV files>"),
    ],
)
def test_it_says_in_one_line_what_is_wrong_with_what_it_was_given(
    tmp_path: Path, environment: dict[str, str], message: str
) -> None:
    done = run_once(Installation(tmp_path, PORT=str(free_port())), **environment)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_it_says_which_port_is_taken_and_how_to_choose_another(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run_once(Installation(tmp_path, PORT=str(port)))
    assert done.returncode == 1
    assert f"Port {port} is taken: choose another, as in make run PORT={port + 1}." in done.stderr


def run_once(installation: Installation, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "cryptopredict.operations.run"],
        env={**installation.environment, **environment},
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        timeout=60,
    )
