"""The pages for staff under /ops/."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.utils import timezone
from django_celery_beat.models import PeriodicTask
from pytest_django import Settings

from accounts.models import User
from cryptopredict.operations import board
from cryptopredict.operations.models import AuditEntry, Heartbeat, TaskRun
from cryptopredict.operations.scheduling import seed_schedule
from cryptopredict.tests.operations.test_api_sync import count_queries, lose_state, open_breaker
from cryptopredict.tests.test_site_pages import Outline
from markets.models import Cryptocurrency, DataFault, PriceData, SyncRun
from markets.upstream import build_client

READ = ("/ops/", "/ops/tasks/", "/ops/tasks/1/", "/ops/quality/", "/ops/coins/", "/ops/audit/")
WRITE = (
    "/ops/breaker/reset/", "/ops/tasks/start/", "/ops/tasks/1/cancel/", "/ops/tasks/1/retry/", "/ops/coins/add/",
    "/ops/coins/bitcoin/sync/", "/ops/coins/bitcoin/track/",
)  # fmt: skip
NOW = datetime(2026, 3, 10, 12, 2, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _own_state(settings: Settings, tmp_path: Path) -> None:
    if not django_settings.REDIS_URL:
        settings.SHARED_STATE_PATH = tmp_path / "state.sqlite3"


@pytest.fixture
def bitcoin(db: None) -> Cryptocurrency:
    return Cryptocurrency.objects.create(
        coingecko_id="bitcoin", symbol="btc", name="Bitcoin", is_tracked=True, price_usd=1.0, price_at=timezone.now()
    )


def add_run(task_id: str = "1", **columns: Any) -> TaskRun:
    return TaskRun.objects.create(task_id=task_id, **{"name": "markets.sync_all_prices", "state": "failed", **columns})


def html_of(client: Client, address: str, status: int = 200) -> str:
    answer = client.get(address)
    assert answer.status_code == status, address
    return answer.content.decode()


@pytest.fixture
def busy(bitcoin: Cryptocurrency, staff_user: User) -> None:
    """One of everything that a page can show."""
    seed_schedule()
    run = add_run(state="running", started_at=timezone.now(), queued_by=staff_user, arguments={"args": ["bitcoin"]})
    SyncRun.objects.create(kind="history", task_id=run.task_id, done=3, total=9, calls=3)
    add_run("2", traceback="Traceback …", result="ValueError: <no>")
    Heartbeat.objects.create(
        name="worker@host", kind="worker", host="host", pid=1, queues=["ingest"], busy_with=["1"],
        started_at=timezone.now(), at=timezone.now(),
    )  # fmt: skip
    at = timezone.now()
    DataFault.objects.create(coin=bitcoin, interval="1h", kind="gap", start_at=at, end_at=at + timedelta(hours=1))
    AuditEntry.objects.create(actor="a@example.org", action="task.run", detail={"task_id": "1"}, channel="api")


@pytest.mark.django_db
class TestAccess:
    @pytest.mark.parametrize("address", READ)
    def test_it_lets_nobody_but_staff_read(self, client: Client, alice: User, address: str) -> None:
        answer = client.get(address)
        assert (answer.status_code, answer["Location"]) == (302, f"/sign-in/?next={address}")
        client.force_login(alice)
        assert client.get(address).status_code == 403

    @pytest.mark.parametrize("address", WRITE)
    def test_it_lets_nobody_but_staff_act(
        self, client: Client, alice: User, bitcoin: Cryptocurrency, address: str
    ) -> None:
        add_run()
        assert client.post(address).status_code == 302
        client.force_login(alice)
        assert client.post(address).status_code == 403
        assert not AuditEntry.objects.exists()
        assert TaskRun.objects.count() == 1

    @pytest.mark.parametrize("address", WRITE)
    def test_it_acts_on_a_post_with_a_csrf_token_only(self, pages: Client, staff_user: User, address: str) -> None:
        assert pages.get(address).status_code == 405 or address == "/ops/tasks/start/"
        careful = Client(enforce_csrf_checks=True)
        careful.force_login(staff_user)
        assert careful.post(address).status_code == 403

    def test_it_shows_the_way_to_staff_only(self, client: Client, pages: Client, alice: User) -> None:
        assert "Operations" in html_of(pages, "/method/")
        client.force_login(alice)
        assert "Operations" not in html_of(client, "/method/")


class TestFrame:
    @pytest.mark.usefixtures("busy")
    @pytest.mark.parametrize("address", READ)
    def test_it_can_be_steered_by_keyboard_and_ear(self, pages: Client, address: str) -> None:
        answer = pages.get(address)
        outline = Outline(answer.content.decode())
        assert answer["Cache-Control"] == "no-store"
        assert len(outline.all("h1")) == 1
        ids = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
        assert len(ids) == len(set(ids))
        labelled = {attributes.get("for") for attributes in outline.all("label")}
        for field in outline.all("input", "select", "textarea"):
            assert field.get("type") == "hidden" or field.get("id") in labelled, field
        assert all("scope" in attributes for attributes in outline.all("th"))
        assert len(outline.all("table")) == len(outline.all("caption"))
        assert not any("onclick" in attributes for _, attributes in outline.tags)

    @pytest.mark.parametrize("address", [address for address in READ if address != "/ops/tasks/1/"])
    def test_it_says_what_to_do_while_there_is_nothing(self, pages: Client, address: str) -> None:
        assert html_of(pages, address)

    @pytest.mark.parametrize(
        "address",
        ["/ops/tasks/?state=odd", "/ops/coins/?tracked=odd", "/ops/audit/?channel=odd", "/ops/audit/?page=x"],
    )
    def test_it_refuses_an_address_that_makes_no_sense(self, pages: Client, address: str) -> None:
        assert "asks for something we do not have" in html_of(pages, address, 400)

    @pytest.mark.parametrize("address", ["/ops/audit/?page=2", "/ops/tasks/nonesuch/", "/ops/tasks/%00/"])
    def test_it_knows_no_unknown_row_or_page(self, pages: Client, address: str) -> None:
        html_of(pages, address, 404)


class TestOverview:
    def test_it_shows_what_there_is_to_look_at(self, pages: Client) -> None:
        now = timezone.now()
        Heartbeat.objects.create(
            name="worker@h", kind="worker", host="h", pid=1, queues=["ingest"], started_at=now,
            at=now - timedelta(minutes=2),
        )  # fmt: skip
        html = html_of(pages, "/ops/")
        assert "No worker of ingest has given a sign of life" in html
        assert ">silent<" in html

    def test_it_stands_while_the_shared_state_is_gone(self, pages: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        lose_state(monkeypatch)
        html = html_of(pages, "/ops/")
        assert "The shared state is gone." in html
        assert "cannot be read just now" in html

    def test_it_offers_to_reset_an_open_breaker(self, pages: Client) -> None:
        assert "Reset the breaker" not in html_of(pages, "/ops/")
        open_breaker()
        assert "Reset the breaker" in html_of(pages, "/ops/")
        pages.post("/ops/breaker/reset/", {"reason": "the key was renewed"})
        assert build_client().status()["breaker"]["state"] == "closed"
        entry = AuditEntry.objects.get()
        assert (entry.action, entry.reason, entry.channel) == ("breaker.reset", "the key was renewed", "page")

    def test_it_changes_nothing_when_the_breaker_cannot_be_reset(
        self, pages: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from markets.coingecko.errors import StateUnavailable

        def lost(self: Any) -> None:
            raise StateUnavailable("The shared state is gone.")

        monkeypatch.setattr("markets.coingecko.client.CoinGeckoClient.reset_breaker", lost)
        assert "Nothing was changed" in pages.post("/ops/breaker/reset/", follow=True).content.decode()
        assert not AuditEntry.objects.exists()


class TestTasks:
    def test_it_runs_a_job_now_once(self, pages: Client, staff_user: User) -> None:
        answer = pages.post("/ops/tasks/start/", {"name": "markets.sync_all_prices"})
        run = TaskRun.objects.get()
        assert answer["Location"] == f"/ops/tasks/{run.task_id}/"
        assert run.queued_by == staff_user
        again = pages.post("/ops/tasks/start/", {"name": "markets.sync_all_prices"}, follow=True)
        assert "waits or runs already" in again.content.decode()
        assert TaskRun.objects.count() == AuditEntry.objects.count() == 1

    @pytest.mark.parametrize("name", ["os.system", "markets.sync_specific_cryptocurrency", ""])
    def test_it_runs_nothing_else(self, pages: Client, name: str) -> None:
        assert "notice-error" in pages.post("/ops/tasks/start/", {"name": name}, follow=True).content.decode()
        assert not TaskRun.objects.exists()

    def test_it_cancels_and_repeats_with_a_reason(self, pages: Client) -> None:
        run = add_run(state="queued")
        pages.post("/ops/tasks/1/cancel/", {"reason": "not now"})
        run.refresh_from_db()
        assert run.state == "cancelled"
        assert "nothing to cancel" in pages.post("/ops/tasks/1/cancel/", follow=True).content.decode()
        pages.post("/ops/tasks/1/retry/", {"reason": "x" * 400})
        assert TaskRun.objects.filter(state="queued").count() == 1
        found = list(AuditEntry.objects.order_by("pk").values_list("action", "reason", "channel"))
        assert found == [("task.cancel", "not now", "page"), ("task.retry", "x" * 300, "page")]

    @pytest.mark.usefixtures("busy")
    def test_it_shows_progress_as_a_count_and_refreshes_only_while_something_moves(self, pages: Client) -> None:
        html = html_of(pages, "/ops/tasks/")
        assert "3 of 9" in html
        assert 'hx-trigger="every 3s"' in html
        assert 'hx-trigger="every 3s"' not in html_of(pages, "/ops/tasks/?state=failed")
        assert "3 of 9" in html_of(pages, "/ops/tasks/1/")

    @pytest.mark.usefixtures("busy")
    def test_it_shows_a_traceback_to_staff_as_text(self, pages: Client) -> None:
        html = html_of(pages, "/ops/tasks/2/")
        assert "Traceback …" in html
        assert "ValueError: &lt;no&gt;" in html

    def test_it_asks_as_often_for_many_runs_as_for_one(self, pages: Client, staff_user: User) -> None:
        add_run("0", queued_by=staff_user)
        few = count_queries(lambda: html_of(pages, "/ops/tasks/"))
        for i in range(1, 40):
            add_run(str(i), queued_by=staff_user)
            SyncRun.objects.create(kind="prices", task_id=str(i), done=1, total=2)
        seed_schedule()
        PeriodicTask.objects.exclude(task="markets.sync_all_prices").delete()
        assert count_queries(lambda: html_of(pages, "/ops/tasks/")) == few


class TestCoins:
    def test_it_stops_and_starts_the_tracking_of_a_coin(self, pages: Client, bitcoin: Cryptocurrency) -> None:
        for word in ("no", "no", "yes"):
            pages.post("/ops/coins/bitcoin/track/", {"is_tracked": word})
            bitcoin.refresh_from_db()
            assert bitcoin.is_tracked is (word == "yes")
        found = list(AuditEntry.objects.order_by("pk").values_list("action", "target"))
        assert found == [("coin.untrack", "bitcoin"), ("coin.track", "bitcoin")]

    def test_it_adds_and_syncs_coins(self, pages: Client, bitcoin: Cryptocurrency) -> None:
        pages.post("/ops/coins/bitcoin/sync/")
        pages.post("/ops/coins/add/", {"coingecko_id": "newcoin"})
        runs = [run.arguments["kwargs"]["coingecko_id"] for run in TaskRun.objects.order_by("pk")]
        assert runs == ["bitcoin", "newcoin"]
        for wrong in ("", "../x", "bitcoin"):
            answer = pages.post("/ops/coins/add/", {"coingecko_id": wrong}, follow=True)
            assert "notice-error" in answer.content.decode()
        assert TaskRun.objects.count() == 2

    def test_it_finds_coins_by_what_the_address_asks(self, pages: Client, bitcoin: Cryptocurrency) -> None:
        Cryptocurrency.objects.create(coingecko_id="ether", symbol="eth", name="Ether")
        html = html_of(pages, "/ops/coins/?q=eth&tracked=no")
        assert "Ether" in html
        assert "Bitcoin" not in html

    def test_it_asks_as_often_for_many_coins_as_for_one(self, pages: Client, bitcoin: Cryptocurrency) -> None:
        few = {address: count_queries(lambda a=address: html_of(pages, a)) for address in READ[3:5]}  # type: ignore[misc]
        for i in range(30):
            coin = Cryptocurrency.objects.create(coingecko_id=f"c{i}", symbol="c", name=f"C{i}", is_tracked=True)
            DataFault.objects.create(
                coin=coin, interval="1h", kind="gap", start_at=NOW, end_at=NOW + timedelta(hours=1)
            )
        many = {address: count_queries(lambda a=address: html_of(pages, a)) for address in READ[3:5]}  # type: ignore[misc]
        assert many == few


class TestQuality:
    def test_it_counts_sound_slots_against_those_that_passed_in_one_query(
        self, bitcoin: Cryptocurrency, django_assert_num_queries: Any
    ) -> None:
        Cryptocurrency.objects.update(created_at=NOW - timedelta(hours=1))
        start = NOW.replace(minute=0)
        for i in range(12):
            self.add_slot(bitcoin, "5m", start - timedelta(minutes=5 * (i + 1)), is_quarantined=i == 0)
        self.add_slot(bitcoin, "5m", start, is_quarantined=False)  # not over yet
        for i in range(360):
            self.add_slot(bitcoin, "1h", start - timedelta(hours=i + 1))
        with django_assert_num_queries(1):
            (row,) = [board.describe(coin, NOW) for coin in board.coverage_board(now=NOW)]
        fine, hours, days = row.coverage
        assert (fine.slots, fine.expected, fine.percent) == (11, 11, 100.0)
        assert (hours.slots, hours.expected, hours.percent) == (360, 720, 50.0)
        assert (days.slots, days.expected, days.percent) == (0, 364, 0.0)
        assert (row.quarantined, row.open_faults) == (1, 0)

    def test_it_never_rounds_up_to_all(self) -> None:
        assert board.Coverage(9_999, 10_000).percent == 99.9
        assert board.Coverage(0, 0).percent is None

    def add_slot(self, coin: Cryptocurrency, interval: str, at: datetime, is_quarantined: bool = False) -> None:
        PriceData.objects.create(
            coin=coin, interval=interval, at=at, open=1, high=1, low=1, close=1, is_quarantined=is_quarantined
        )


class TestAudit:
    def test_it_finds_entries_by_what_the_address_asks(self, pages: Client) -> None:
        for actor, action in (("a@example.org", "task.run"), ("b@example.org", "coin.track")):
            AuditEntry.objects.create(actor=actor, action=action, channel="api")
        html = html_of(pages, "/ops/audit/?actor=B@&action=coin&channel=api")
        assert "b@example.org" in html
        assert "a@example.org" not in html

    def test_it_asks_as_often_for_many_entries_as_for_one(self, pages: Client) -> None:
        AuditEntry.objects.create(actor="a", action="x", channel="api")
        few = count_queries(lambda: html_of(pages, "/ops/audit/"))
        for _ in range(60):
            AuditEntry.objects.create(actor="a", action="x", channel="api")
        assert count_queries(lambda: html_of(pages, "/ops/audit/")) == few


def test_the_public_status_page_shows_signs_of_life_without_hosts(client: Client, db: None) -> None:
    at = timezone.now()
    Heartbeat.objects.create(name="worker@secret-host", kind="worker", host="secret-host", pid=1, started_at=at, at=at)
    html = html_of(client, "/status/")
    assert ">alive<" in html
    assert "secret-host" not in html
