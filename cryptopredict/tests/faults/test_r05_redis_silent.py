"""R5: Redis accepts and never answers: reads come from the database, publishing gives up soon, sign-in is refused."""

import json
import statistics
import time
from collections.abc import Callable

import pytest
import requests

from cryptopredict.tests.faults.conftest import Figure, MakeSite
from cryptopredict.tests.faults.site import Site
from cryptopredict.tests.servers import RedisServer, free_port

READS = (
    "/",
    "/status/",
    "/coins/{coin}/",
    "/api/v1/cryptocurrencies/",
    "/api/v1/cryptocurrencies/{coin}/prices/latest/",
    "/api/v1/predictions/track-record/",
    "/api/v1/predictions/verify/",
    "/api/v1/health/ready/",
)
ROUNDS = 25
SLOWEST_READ_SECONDS = 0.5
SLOWEST_PUBLISH_SECONDS = 0.5


Fault = tuple[Callable[[RedisServer], None], Callable[[RedisServer], None]]


@pytest.mark.parametrize(
    "fault", [(RedisServer.freeze, RedisServer.thaw), (RedisServer.kill, RedisServer.start)], ids=["silent", "gone"]
)
def test_it_answers_reads_from_the_database_and_refuses_what_needs_redis(
    make_site: MakeSite, fault: Fault, figure: Figure
) -> None:
    site = make_site(API_RATE_ANONYMOUS="100000/min")
    site.start_worker()
    assert site.wait_for_end(site.send("markets.sync_all_prices")) == "succeeded"
    site.installation.run("manage.py", "collectstatic", "--skip-checks", "--no-input", "--verbosity", "0")
    site.installation.evaluate(
        "from django.contrib.auth import get_user_model\n"
        "get_user_model().objects.create_superuser('alice@example.org', 'a-long-password-of-alice')"
    )
    coin = site.one("SELECT coingecko_id FROM markets_cryptocurrency WHERE is_tracked ORDER BY id LIMIT 1")
    port = free_port()
    site.installation.start_web(port, "--workers", "1", "--threads", "4")
    origin = f"http://127.0.0.1:{port}"
    session = requests.Session()
    paths = [path.format(coin=coin) for path in READS]

    def answers() -> bool:
        try:
            return session.get(f"{origin}/api/v1/health/ready/", timeout=10).ok
        except requests.ConnectionError:
            return False

    site.wait("the site answers", answers)
    assert {path: session.get(origin + path, timeout=10).status_code for path in paths} == dict.fromkeys(paths, 200)
    sign_in = {"email": "alice@example.org", "password": "a-long-password-of-alice"}
    assert session.post(f"{origin}/api/v1/auth/token/", json=sign_in, timeout=10).status_code == 200
    begin, end = fault
    begin(site.redis)
    times = []
    for _ in range(ROUNDS):
        for path in paths:
            began_at = time.monotonic()
            answer = session.get(origin + path, timeout=10)
            times.append(time.monotonic() - began_at)
            assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text[:300]}"
    refused = session.post(f"{origin}/api/v1/auth/token/", json=sign_in, timeout=10)
    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "unavailable"
    publishing = publish_in_vain(site)
    assert max(publishing) <= SLOWEST_PUBLISH_SECONDS
    p99 = statistics.quantiles(times, n=100)[98]
    assert p99 <= SLOWEST_READ_SECONDS
    end(site.redis)
    back = site.wait(
        "sign-in works again",
        lambda: session.post(f"{origin}/api/v1/auth/token/", json=sign_in, timeout=10).status_code == 200,
        15,
    )
    name = "silent" if begin is RedisServer.freeze else "gone"
    figure(
        f"R5 Redis {name}: {len(times)} reads, all 200, p99 {p99 * 1000:.0f} ms (limit 500); publishing "
        f"gave up after {max(publishing) * 1000:.0f} ms (limit 500) with QueueUnavailable, sign-in 503, "
        f"works again after {back:.1f} s"
    )


def publish_in_vain(site: Site) -> list[float]:
    """The seconds that a web process is held up by a job it cannot queue, several times over; and nothing stays."""
    code = """
import json, time
from celery import current_app
from cryptopredict.operations.broker import QueueUnavailable
from cryptopredict.celery import app
from django.test import Client
from markets.tasks import sync_all_prices
times = []
for _ in range(5):
    began_at = time.monotonic()
    try:
        sync_all_prices.delay()
    except QueueUnavailable as error:
        times.append(time.monotonic() - began_at)
print(json.dumps(times))
"""
    times: list[float] = json.loads(site.installation.evaluate(code).splitlines()[-1])
    assert len(times) == 5
    waiting = "SELECT count(*) FROM operations_taskrun WHERE state = 'queued' AND name = 'markets.sync_all_prices'"
    assert site.one(waiting) == 0, "a job that could not be queued must not seem to wait"
    return times
