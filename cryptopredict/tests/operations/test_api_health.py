"""The staff's health checks over HTTP."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.cache import caches
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import User
from cryptopredict.operations.api import health_serializers as serializers
from cryptopredict.operations.models import Heartbeat
from cryptopredict.tests.operations.conftest import client_of
from cryptopredict.tests.operations.test_api_sync import lose_state, open_breaker
from markets.models import Cryptocurrency, SyncRun
from markets.tests.api import assert_documented

HEALTH = "/api/v1/health/"
SHAPES = {
    "database/": serializers.DatabaseHealthSerializer,
    "cache/": serializers.CacheHealthSerializer,
    "workers/": serializers.WorkersHealthSerializer,
    "upstream/": serializers.UpstreamHealthSerializer,
    "system/": serializers.SystemHealthSerializer,
}


@pytest.fixture(autouse=True)
def _own_state(settings: Settings, tmp_path: Path) -> None:
    if not django_settings.REDIS_URL:
        settings.SHARED_STATE_PATH = tmp_path / "state.sqlite3"


@pytest.mark.django_db
@pytest.mark.parametrize("path", SHAPES)
def test_it_is_for_staff_only(alice: User, path: str) -> None:
    assert APIClient().get(HEALTH + path).status_code == 401
    assert client_of(alice).get(HEALTH + path).status_code == 403


@pytest.mark.parametrize(("path", "shape"), SHAPES.items())
def test_it_answers_what_it_documents_and_accepts_no_parameters(api: APIClient, path: str, shape: Any) -> None:
    answer = api.get(HEALTH + path)
    assert answer.status_code == 200
    assert_documented(answer.json(), shape())
    assert api.get(HEALTH + path, {"deep": 1}).status_code == 400


def test_it_is_cheap_for_those_who_ask_all_the_time(client: Client, db: None, django_assert_num_queries: Any) -> None:
    client.get(HEALTH + "ready/")
    with django_assert_num_queries(0):
        assert client.get(HEALTH + "live/").status_code == 200
    with django_assert_num_queries(1):
        assert client.get(HEALTH + "ready/").status_code == 200


def test_it_is_ready_while_coingecko_is_down(client: Client, db: None) -> None:
    open_breaker()
    assert client.get(HEALTH + "ready/").status_code == 200


def test_it_sees_that_coingecko_is_not_asked(api: APIClient) -> None:
    assert api.get(HEALTH + "upstream/").json()["status"] == "ok"
    open_breaker()
    SyncRun.objects.create(kind="prices", state="failed", finished_at=timezone.now())
    answer = api.get(HEALTH + "upstream/").json()
    assert (answer["status"], len(answer["problems"])) == ("problem", 2)
    assert answer["upstream"]["last_error"]["status"] == 503


def test_it_sees_that_the_shared_state_is_gone(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    lose_state(monkeypatch)
    answer = api.get(HEALTH + "upstream/").json()
    assert (answer["status"], answer["upstream"]) == ("problem", None)


def test_it_sees_a_cache_that_forgets(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert api.get(HEALTH + "cache/").json()["status"] == "ok"
    remember = caches["default"].get

    def forget(key: str, *args: Any, **options: Any) -> Any:
        return None if key.startswith("health:") else remember(key, *args, **options)

    monkeypatch.setattr(caches["default"], "get", forget)
    assert api.get(HEALTH + "cache/").json()["status"] == "problem"


def test_it_sees_workers_and_beat_that_fell_silent(api: APIClient) -> None:
    now = timezone.now()
    for kind in ("worker", "beat"):
        Heartbeat.objects.create(
            name=f"{kind}@a", kind=kind, host="a", pid=1, queues=["ingest"], started_at=now,
            at=now - timedelta(seconds=61),
        )  # fmt: skip
    answer = api.get(HEALTH + "workers/").json()
    assert answer["status"] == "problem"
    assert "Beat has given no sign of life since" in answer["problems"][0]
    assert "No worker of ingest has given a sign of life since" in answer["problems"][1]


def test_it_counts_rows_and_memory(api: APIClient) -> None:
    Cryptocurrency.objects.create(coingecko_id="a", symbol="a", name="A")
    answer = api.get(HEALTH + "system/").json()
    assert answer["rows"]["markets.Cryptocurrency"] == 1
    assert answer["memory_bytes"] > 10_000_000
    assert answer["versions"]["django"].startswith("5.2")
