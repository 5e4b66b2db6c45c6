"""The sync over HTTP."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import User
from cryptopredict.operations.api import serializers
from cryptopredict.operations.models import AuditEntry, TaskRun
from cryptopredict.operations.scheduling import seed_schedule
from cryptopredict.tests.operations.conftest import client_of
from markets.coingecko.errors import StateUnavailable, UpstreamUnavailable
from markets.models import Cryptocurrency, PriceData, RejectedPoint, SyncRun
from markets.tests.api import assert_documented
from markets.upstream import build_client

SYNC = "/api/v1/sync/"
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
START = {
    "prices/": "markets.sync_all_prices",
    "history/": "markets.sync_historical_data",
    "discover/": "markets.discover_new_cryptocurrencies",
    "cleanup/": "markets.cleanup_old_data",
}
READ = ("status/", "runs/", "runs/1/", "budget/", "breaker/")
WRITE = (*START, "coins/bitcoin/", "coins/bitcoin/backfill/", "breaker/reset/")


@pytest.fixture(autouse=True)
def _own_state(settings: Settings, tmp_path: Path) -> None:
    if not django_settings.REDIS_URL:
        settings.SHARED_STATE_PATH = tmp_path / "state.sqlite3"


@pytest.fixture
def bitcoin(db: None) -> Cryptocurrency:
    return Cryptocurrency.objects.create(coingecko_id="bitcoin", symbol="btc", name="Bitcoin", is_tracked=True)


def codes(answer: Any) -> list[tuple[str, str]]:
    return [(fault["field"], fault["code"]) for fault in answer.json()["error"]["fields"]]


def open_breaker() -> None:
    breaker = build_client()._breaker
    for _ in range(5):
        breaker.record_failure(breaker.admit(), UpstreamUnavailable("down", status=503))


@pytest.mark.django_db
@pytest.mark.parametrize(("method", "path"), [*(("get", path) for path in READ), *(("post", path) for path in WRITE)])
def test_it_is_for_staff_only(alice: User, method: str, path: str) -> None:
    assert getattr(APIClient(), method)(SYNC + path).status_code == 401
    assert getattr(client_of(alice), method)(SYNC + path).status_code == 403
    assert not TaskRun.objects.exists()


class TestStart:
    @pytest.mark.parametrize(("path", "task"), START.items())
    def test_it_queues_a_job_and_says_where_to_look(self, api: APIClient, path: str, task: str) -> None:
        answer = api.post(SYNC + path)
        run = TaskRun.objects.get()
        assert (answer.status_code, run.name, run.state) == (202, task, "queued")
        body = answer.json()
        assert body["task_id"] == run.task_id
        assert answer["Location"] == body["url"] == f"/api/v1/tasks/runs/{run.task_id}/"
        assert answer["Cache-Control"] == "no-store"
        assert api.get(body["url"]).json()["state"] == "queued"
        assert AuditEntry.objects.get().action == f"sync.{path.strip('/')}"

    def test_it_answers_409_with_the_one_that_waits_already(self, api: APIClient) -> None:
        first = api.post(SYNC + "prices/").json()["task_id"]
        second = api.post(SYNC + "prices/")
        assert second.status_code == 409
        error = second.json()["error"]
        assert (error["code"], error["fields"][0]["message"]) == ("already_active", first)
        assert TaskRun.objects.count() == AuditEntry.objects.count() == 1

    def test_it_takes_effect_once_with_one_idempotency_key(self, api: APIClient) -> None:
        answers = [api.post(SYNC + "prices/", headers={"Idempotency-Key": "k"}) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [202, 202]
        assert answers[0].json() == answers[1].json()
        assert TaskRun.objects.count() == 1

    def test_it_accepts_no_parameters(self, api: APIClient) -> None:
        answer = api.post(SYNC + "prices/?fast=1")
        assert (answer.status_code, codes(answer)) == (400, [("fast", "unknown_parameter")])

    def test_it_syncs_one_coin(self, api: APIClient, bitcoin: Cryptocurrency) -> None:
        assert api.post(SYNC + "coins/bitcoin/").status_code == 202
        run = TaskRun.objects.get()
        assert (run.name, run.arguments["kwargs"]) == (
            "markets.sync_specific_cryptocurrency",
            {"coingecko_id": "bitcoin"},
        )
        assert AuditEntry.objects.get().target == "bitcoin"

    @pytest.mark.parametrize("path", ["coins/nonesuch/", "coins/nonesuch/backfill/", "coins/%00/"])
    def test_it_knows_no_unknown_coin(self, api: APIClient, path: str) -> None:
        assert api.post(SYNC + path, {"start": "2026-01-01", "end": "2026-01-02"}).status_code == 404

    @pytest.mark.parametrize(
        ("body", "faults"),
        [
            ({}, [("start", "required"), ("end", "required")]),
            ({"start": "yesterday", "end": "2026-01-02"}, [("start", "invalid")]),
            ({"start": "2026-01-01", "end": "2026-01-02", "fast": 1}, [("fast", "unknown_field")]),
            ({"start": "2026-01-03", "end": "2026-01-02"}, [("start", "start_after_end")]),
            ({"start": "2999-01-01", "end": "2999-01-02"}, [("end", "in_future")]),
        ],
    )
    def test_it_names_what_is_wrong_with_a_backfill(
        self, api: APIClient, bitcoin: Cryptocurrency, body: dict[str, Any], faults: list[tuple[str, str]]
    ) -> None:
        answer = api.post(SYNC + "coins/bitcoin/backfill/", body)
        assert (answer.status_code, codes(answer)) == (400, faults)
        assert not TaskRun.objects.exists()


class TestRuns:
    def add(self, count: int) -> None:
        for i in range(count):
            SyncRun.objects.create(
                kind="history", state="failed" if i else "succeeded", started_at=AT + timedelta(minutes=i),
                finished_at=AT + timedelta(minutes=i, seconds=90), calls=i, task_id=str(i),
            )  # fmt: skip

    def test_it_lists_runs_newest_first(self, api: APIClient) -> None:
        self.add(3)
        answer = api.get(SYNC + "runs/", {"page_size": 2}).json()
        assert_documented(answer["results"], serializers.SyncRunSerializer(many=True))
        assert [run["calls"] for run in answer["results"]] == [2, 1]
        assert answer["results"][0]["duration_seconds"] == 90.0
        assert [run["calls"] for run in api.get(answer["next"]).json()["results"]] == [0]

    def test_it_filters(self, api: APIClient) -> None:
        self.add(3)
        assert len(api.get(SYNC + "runs/", {"state": "failed", "kind": "history"}).json()["results"]) == 2
        assert api.get(SYNC + "runs/", {"kind": "prices"}).json()["results"] == []
        assert [run["calls"] for run in api.get(SYNC + "runs/", {"task_id": "1"}).json()["results"]] == [1]
        wrong = api.get(SYNC + "runs/?state=odd&colour=red")
        assert wrong.status_code == 400
        assert codes(wrong) == [("state", "invalid_choice"), ("colour", "unknown_parameter")]

    def test_it_asks_as_often_for_many_runs_as_for_one(self, api: APIClient) -> None:
        self.add(1)
        few = count_queries(lambda: api.get(SYNC + "runs/"))
        self.add(30)
        assert count_queries(lambda: api.get(SYNC + "runs/")) == few

    def test_it_shows_what_one_run_refused(self, api: APIClient) -> None:
        self.add(1)
        run = SyncRun.objects.get()
        RejectedPoint.objects.create(run=run, coingecko_id="bitcoin", reason="not a number", value="NaN")
        answer = api.get(f"{SYNC}runs/{run.pk}/").json()
        assert_documented(answer, serializers.SyncRunDetailSerializer())
        assert answer["rejected"][0]["value"] == "NaN"
        assert api.get(f"{SYNC}runs/{run.pk + 1}/").status_code == 404


class TestState:
    def test_it_shows_the_sync_in_one_look(self, api: APIClient, bitcoin: Cryptocurrency) -> None:
        seed_schedule()
        other = Cryptocurrency.objects.create(coingecko_id="b", symbol="b", name="B", is_tracked=True)
        for coin, at in ((bitcoin, AT), (bitcoin, AT - timedelta(hours=1)), (other, AT - timedelta(hours=5))):
            PriceData.objects.create(coin=coin, interval="1h", at=at, open=1, high=1, low=1, close=1)
        SyncRun.objects.create(kind="prices", state="failed", finished_at=timezone.now(), problem="upstream is down")
        SyncRun.objects.create(kind="history")
        answer = api.get(SYNC + "status/").json()
        assert_documented(answer, serializers.SyncStatusSerializer())
        assert answer["problems"] == ["upstream is down"]
        hours = next(row for row in answer["freshness"] if row["interval"] == "1h")
        assert hours["newest_at"] == "2026-03-01T12:00:00Z"
        assert hours["oldest_at"] == "2026-03-01T07:00:00Z"
        assert [row["coins_without"] for row in answer["freshness"]] == [2, 0, 2]
        assert [run["kind"] for run in answer["last_runs"]] == ["history", "prices"]
        assert {entry["task"] for entry in answer["next_runs"]} == {*START.values(), "markets.check_data_quality"}
        assert all(entry["next_run_at"] for entry in answer["next_runs"])
        assert answer["upstream"]["breaker"]["state"] == "closed"

    def test_it_shows_what_it_can_while_the_shared_state_is_gone(
        self, api: APIClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lose_state(monkeypatch)
        answer = api.get(SYNC + "status/")
        assert (answer.status_code, answer.json()["upstream"]) == (200, None)
        assert answer.json()["problems"] == ["The shared state is gone."]

    @pytest.mark.parametrize(("method", "path"), [("get", "budget/"), ("get", "breaker/"), ("post", "breaker/reset/")])
    def test_it_answers_503_for_what_lies_in_the_shared_state_alone(
        self, api: APIClient, monkeypatch: pytest.MonkeyPatch, method: str, path: str
    ) -> None:
        lose_state(monkeypatch)
        assert getattr(api, method)(SYNC + path).status_code == 503
        assert not AuditEntry.objects.exists()

    def test_it_shows_the_budget_with_what_the_schedule_will_use(self, api: APIClient) -> None:
        before = api.get(SYNC + "budget/").json()["budget"]["spent"]
        build_client()._budget.spend()
        answer = api.get(SYNC + "budget/").json()
        assert_documented(answer, serializers.BudgetSerializer())
        assert answer["budget"]["spent"] == before + 1
        assert answer["plan"]["calls_per_month"] > 8000
        assert "calls in 31 days" in answer["plan"]["arithmetic"]
        assert answer["plan"]["tiers"]
        assert answer["plan"]["degrades"]

    def test_it_resets_the_breaker_for_all_processes_and_notes_why(self, api: APIClient) -> None:
        open_breaker()
        assert api.get(SYNC + "breaker/").json()["state"] == "open"
        answer = api.post(SYNC + "breaker/reset/", {"reason": "the key was renewed"})
        assert (answer.status_code, answer.json()["state"]) == (200, "closed")
        assert_documented(answer.json(), serializers.BreakerSerializer())
        assert answer.json()["last_error"]["status"] == 503, "what happened stays known"
        build_client()._breaker.admit()
        entry = AuditEntry.objects.get()
        assert (entry.action, entry.reason, entry.detail) == (
            "breaker.reset",
            "the key was renewed",
            {"was": "open"},
        )

    def test_it_refuses_a_reason_that_is_too_long(self, api: APIClient) -> None:
        answer = api.post(SYNC + "breaker/reset/", {"reason": "x" * 301})
        assert (answer.status_code, codes(answer)) == (400, [("reason", "max_length")])


def lose_state(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*args: Any, **options: Any) -> None:
        raise StateUnavailable("The shared state is gone.")

    monkeypatch.setattr("markets.coingecko.client.CoinGeckoClient.status", lost)


def count_queries(ask: Callable[[], object]) -> int:
    with CaptureQueriesContext(connection) as queries:
        ask()
    return len(queries)
