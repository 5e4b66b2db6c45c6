"""P8: reads and writes at 70 % of the load that saturates the site, while ticks and forecasts run."""

import itertools
import json
import statistics
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
from celery import Celery
from celery.utils import uuid
from kombu import Connection as Broker

from bench.http import Connection, request
from bench.load import Call, closed_load, open_load
from bench.measuring import RUNS, Result, at_most
from bench.people import bearer
from bench.servers import installation, own_database, start_ours
from cryptopredict.tests.processes import Installation, wait_for
from cryptopredict.tests.servers import accepts_connections, free_port

COINS, FORECAST = 1000, 200  # of a tick, and of those the coins that have the history that a forecast needs
HISTORY_DAYS = 200
USERS = 8
MESSAGES = Celery("bench")
BEHIND = ("nice", "-n", "10")  # what docker-compose.yml and `make run` give the worker; the upstream is elsewhere
SHARE = 0.7
SECONDS = 6.0
RAMP = (8, 16, 32)  # clients that each send their next call at once
READ_MS, WRITE_MS = 100, 200


def run() -> Iterator[Result]:
    with own_database("cryptopredict_bench_site"), installation(TRACKED_COINS=str(COINS)) as made:
        site = Site(made)
        mix = site.mix()
        reads, writes, errors = [], [], 0
        with site.work_in_background():
            most = max(site.throughput(mix, clients) for clients in RAMP)
            for _ in range(RUNS):
                taken = open_load(site.port, mix, rate=SHARE * most, seconds=SECONDS)
                errors += len(taken.errors)
                reads.append(taken.p99("read") * 1000)
                writes.append(taken.p99("write") * 1000)
                print(
                    f"   {SHARE * most:.0f}/s {reads[-1]:.0f} {writes[-1]:.0f} ms {taken.errors[:1]}", file=sys.stderr
                )
    load = f"p99 at {SHARE * most:.0f} calls/s"
    for id, what, limit, found in (("P8", "reads", READ_MS, reads), ("P8-writes", "writes", WRITE_MS, writes)):
        yield at_most(1, id=id, what=f"{what}, {load}", ours=statistics.median(found), reference=limit, unit="ms")
    yield none_of(errors, id="P8-errors", what=f"calls that failed, {load}")


def none_of(count: int, *, id: str, what: str) -> Result:
    return Result(id, what, count, 0, count, "none", count == 0, RUNS, "")


class Site:
    """The whole product in a database of its own: two web processes, a worker with two children, and its upstream."""

    def __init__(self, made: Installation) -> None:
        self.made = made
        upstream = free_port()
        made.environment |= {"SAMPLE_SERVER_URL": f"http://127.0.0.1:{upstream}/api/v3"}
        options = ["--port", str(upstream), "--coins", str(COINS), "--calls-per-minute", "100000"]
        made.prefix = BEHIND
        made.start(sys.executable, "-m", "markets.sample", *options)
        made.migrate()
        wait_for("the upstream answers", lambda: accepts_connections(upstream), log=made.log)
        made.start_worker("-c", "2", queues="ingest,forecasts")
        made.prefix = ()
        self.port = start_ours(made, workers=2)
        self.job("markets.sync_all_prices", "SELECT count(*) FROM markets_pricedata", 1)
        self.job("markets.discover_new_cryptocurrencies", "SELECT count(*) FROM markets_cryptocurrency", COINS)
        self.ask("UPDATE markets_cryptocurrency SET is_tracked = true")
        self.ask(HISTORY, [FORECAST, HISTORY_DAYS])
        made.evaluate("from predictions.registry import install_starter_model; install_starter_model()")
        made.evaluate(f"from bench.people import addresses; addresses({USERS})")
        self.tick_and_forecast()  # all coins have a price now, and some a forecast

    def ask(self, sql: str, values: list[object] | None = None) -> list[tuple[object, ...]]:
        connection = psycopg2.connect(self.made.environment["DATABASE_URL"])
        with connection, connection.cursor() as cursor:
            cursor.execute(sql, values)
            found = cursor.fetchall() if cursor.description else []
        connection.close()
        return found

    def queue(self, name: str, queue: str) -> None:
        """Puts a job on a queue as a message, without the product's code."""
        job = MESSAGES.amqp.as_task_v2(uuid(), name)
        with Broker(self.made.environment["REDIS_URL"]) as broker:
            broker.Producer(serializer="json").publish(
                job.body, exchange="", routing_key=queue, headers=job.headers, **job.properties
            )

    def job(self, name: str, count: str, expected: int) -> None:
        """Queues a job and waits until there are as many rows as it is to write."""
        self.queue(name, "ingest")
        wait_for(name, lambda: int(str(self.ask(count)[0][0])) >= expected, 90, self.made.log)

    @contextmanager
    def work_in_background(self) -> Iterator[None]:
        """One tick of all coins and one issue of forecasts after the other, for as long as the block lasts."""
        stop, failed, done = threading.Event(), list[AssertionError](), itertools.count()

        def work() -> None:
            try:
                while not stop.is_set():
                    self.tick_and_forecast()
                    next(done)
            except AssertionError as error:
                failed.append(error)

        worker = threading.Thread(target=work)
        worker.start()
        try:
            yield
        finally:
            stop.set()
            worker.join()
        if failed:
            raise failed[0]
        print(f"   {next(done)} ticks and issues of forecasts ran meanwhile", file=sys.stderr)

    def tick_and_forecast(self) -> None:
        """Queues both at once; returns when both are done."""
        ticks, forecasts = self._done()
        self.ask(AGAIN)
        self.queue("markets.sync_all_prices", "ingest")
        self.queue("predictions.issue_forecasts", "forecasts")
        wait_for("the tick", lambda: self._done()[0] > ticks, 60, self.made.log)
        wait_for("the forecasts", lambda: self._done()[1] >= forecasts + FORECAST, 60, self.made.log)

    def throughput(self, mix: list[Call], clients: int) -> float:
        """Calls per second that so many clients get through."""
        taken = closed_load(self.port, mix, clients=clients, seconds=SECONDS)
        if taken.errors:
            raise RuntimeError(f"{len(taken.errors)} calls failed under load: {taken.errors[0]}")
        return taken.calls / SECONDS

    def _done(self) -> tuple[int, int]:
        ((ticks, forecasts),) = self.ask(DONE)
        return int(str(ticks)), int(str(forecasts))

    def mix(self) -> list[Call]:
        """Nine reads for each write: of everybody's pages, and of people's own."""
        line = Connection(self.port)
        people = [{"Authorization": bearer(line, email)} for email in emails()]
        portfolios = [self._portfolio(line, person) for person in people]
        ranked = self.ask(
            "SELECT coingecko_id FROM markets_cryptocurrency WHERE price_usd > 0 ORDER BY market_cap_rank"
        )
        coins = [str(row[0]) for row in ranked]
        line.close()

        def public(path: str) -> Call:
            return Call("read", lambda number: request("GET", path.format(coin=coins[number % FORECAST])))

        def own(path: str) -> Call:
            def message(number: int) -> bytes:
                who = number // 20 % USERS
                return request("GET", path.format(portfolio=portfolios[who]), headers=people[who])

            return Call("read", message)

        def buy(number: int) -> bytes:
            who = number // 20 % USERS
            body = {"coin": coins[number % FORECAST], "kind": "buy", "quantity": "0.5", "unit_price_usd": "10"}
            path = f"/api/v1/portfolios/{portfolios[who]}/transactions/"
            return request("POST", path, json.dumps(body).encode(), people[who])

        def watch(number: int) -> bytes:
            return request(
                "PUT", f"/api/v1/watchlist/{coins[number % FORECAST]}/", headers=people[number // 20 % USERS]
            )

        api = "/api/v1/"
        coin = f"{api}cryptocurrencies/{{coin}}/"
        reads = [
            public(f"{api}cryptocurrencies/?page_size=50"), public(coin), public(f"{coin}prices/?range=90d"),
            public(f"{coin}forecast/"), public(f"{api}cryptocurrencies/movers/"),
            public(f"{api}predictions/?page_size=20"),
            own(f"{api}portfolios/{{portfolio}}/transactions/?page_size=20"), own(f"{api}portfolios/"),
            own(f"{api}watchlist/?page_size=50"),
        ]  # fmt: skip
        writes = Call("write", buy, frozenset({201})), Call("write", watch, frozenset({200, 201}))
        return [*reads, writes[0], *reads, writes[1]]

    def _portfolio(self, line: Connection, person: dict[str, str]) -> int:
        answer = line.send(request("POST", "/api/v1/portfolios/", b'{"name": "Bench"}', person))
        return int(json.loads(answer.body)["id"])


def emails() -> list[str]:
    return [f"bench-{number}@example.com" for number in range(USERS)]


DONE = """
SELECT (SELECT count(*) FROM markets_syncrun WHERE kind = 'prices' AND state = 'succeeded'),
       (SELECT count(*) FROM predictions_prediction)
"""
# The same slot once more, and one more version of the model, which then has issued nothing yet.
AGAIN = """
UPDATE markets_syncrun SET slot_at = NULL WHERE kind = 'prices';
UPDATE predictions_trainedmodel SET state = 'retired' WHERE state = 'serving';
INSERT INTO predictions_trainedmodel (
    version, state, origin, frequency, created_at, promoted_at, window_start_on, cutoff_on, code_revision, folder,
    manifest_sha256, dataset_sha256, artefacts, reference, coins, rows, metrics, done, total, reason, problem)
SELECT 'again-' || id, 'serving', origin, frequency, now(), now(), window_start_on, cutoff_on,
    code_revision, folder, manifest_sha256, dataset_sha256, artefacts, reference, coins, rows, metrics, 0, 0, '', ''
FROM predictions_trainedmodel ORDER BY id DESC LIMIT 1
"""
HISTORY = """
INSERT INTO markets_pricedata (coin_id, interval, at, open, high, low, close, samples)
SELECT coin.id, '1d', day, price, price, price, price, 1
FROM (SELECT id, price_usd FROM markets_cryptocurrency WHERE price_usd > 0 ORDER BY market_cap_rank LIMIT %s) coin
CROSS JOIN generate_series(1, %s) back
CROSS JOIN LATERAL (SELECT date_trunc('day', now(), 'UTC') - back * interval '1 day' AS day,
    coin.price_usd * exp(0.05 * sin(back * 1.7 + coin.id) + 0.02 * sin(back * 0.31 * coin.id)) AS price) made
ON CONFLICT DO NOTHING
"""
