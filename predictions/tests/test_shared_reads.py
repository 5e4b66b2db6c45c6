"""The hot reads of the API: from the cache until a tick, a forecast or anybody's write changes what they say."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework_simplejwt.tokens import AccessToken

from accounts.models import User
from cryptopredict.rest import answers
from markets.api import views
from markets.ingest import Slot, write_slots
from markets.models import Cryptocurrency, Interval, PriceData
from markets.services import untrack_coins
from markets.tests.api import API
from markets.tests.world import World
from predictions.tests.ledger import make_fan, make_model

READS = {
    "list": "cryptocurrencies/",
    "coin": "cryptocurrencies/bitcoin/",
    "latest": "cryptocurrencies/bitcoin/prices/latest/",
    "latest of many": "prices/latest/?ids=bitcoin,ethereum",
    "global": "cryptocurrencies/global/",
    "movers": "cryptocurrencies/movers/",
    "prices": "cryptocurrencies/bitcoin/prices/?range=30d",
    "forecast": "cryptocurrencies/bitcoin/forecast/",
}
DAY = timedelta(days=1)


@pytest.fixture
def market(db: None, shared_answers: None) -> Cryptocurrency:
    return make_market()


@pytest.fixture
def committed_market(transactional_db: None, shared_answers: None) -> Cryptocurrency:
    """One whose changes are committed, and so announced."""
    return make_market()


def make_market() -> Cryptocurrency:
    """Two coins with a month of days, one of them with a forecast."""
    figures: dict[str, Any] = {"price_usd": 60_000.5, "price_at": timezone.now(), "change_24h_percent": 2.0}
    bitcoin, ether = (
        Cryptocurrency.objects.create(coingecko_id=id, symbol=id[:3], name=id, is_tracked=True, **figures)
        for id in ("bitcoin", "ethereum")
    )
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    for coin in (bitcoin, ether):
        days = [Slot(today - day * DAY, 1.0, 3.0, 0.5, 2.0, None, None, 1) for day in range(1, 31)]
        write_slots(coin_id=coin.pk, interval=Interval.DAY, slots=days)
    make_fan(bitcoin, make_model())
    return bitcoin


def get(path: str, **headers: str) -> Any:
    return Client().get(f"{API}{path}", headers=headers)


@pytest.mark.usefixtures("market")
@pytest.mark.parametrize("path", READS.values(), ids=READS.keys())
class TestEachRead:
    def test_it_asks_the_database_nothing_the_second_time(self, path: str) -> None:
        first = get(path)
        with CaptureQueriesContext(connection) as queries:
            second = get(path)
        assert (first.status_code, second.status_code, len(queries)) == (200, 200, 0)
        assert (second.content, second["ETag"]) == (first.content, first["ETag"])

    def test_it_answers_304_without_reading_even_the_kept_answer(self, path: str) -> None:
        etag = get(path)["ETag"]
        assert bodies()
        caches["answers"].delete_many(bodies())
        with CaptureQueriesContext(connection) as queries:
            again = get(path, If_None_Match=f'"other", W/{etag}')
        assert (again.status_code, again.content, len(queries)) == (304, b"", 0)
        assert again["ETag"] == etag
        assert "public" in again["Cache-Control"]

    def test_a_strange_condition_never_gets_an_empty_answer(self, path: str) -> None:
        first = get(path)
        again = get(path, If_None_Match=f"x{first['ETag']}")
        assert (again.status_code, again.content) == (200, first.content)

    def test_it_keeps_nothing_of_the_user_and_tells_proxies_not_to_keep_the_users_answer(self, path: str) -> None:
        user = User.objects.create_user("alice@example.com", "correct horse battery", name="Alice")
        own = get(path, Authorization=f"Bearer {AccessToken.for_user(user)}")
        public = get(path)
        assert own.status_code == 200
        assert own.content == public.content
        assert "private" in own["Cache-Control"]
        assert "public" in public["Cache-Control"]
        assert "Cookie" not in public.get("Vary", "")
        assert not public.cookies


def test_a_change_is_served_at_once(committed_market: Cryptocurrency) -> None:
    before = {name: get(path) for name, path in READS.items()}
    now = timezone.now()
    Cryptocurrency.objects.update(price_usd=61_000.0, price_at=now, market_cap_usd=1e9, change_24h_percent=3.0)
    PriceData.objects.filter(at__gte=now - 3 * DAY).update(close=2.5)
    make_fan(committed_market, make_model("lstm-2", state="retired"), horizons=(1,))
    for name, path in READS.items():
        again = get(path, If_None_Match=before[name]["ETag"])
        assert (again.status_code, again.content != before[name].content) == (200, True), name


def bodies() -> list[str]:
    return [f"{name}:body" for name in _names]


_names: set[str] = set()


@pytest.fixture(autouse=True)
def _note_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which answers were kept in this test."""
    _names.clear()
    store = answers._store

    def note(name: str, *rest: Any) -> Any:
        _names.add(name)
        return store(name, *rest)

    monkeypatch.setattr(answers, "_store", note)


def version() -> str | None:
    found: str | None = caches["answers"].get(answers.VERSION_KEY)
    return found


def insert_by_hand(coin: Cryptocurrency) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE markets_cryptocurrency SET price_usd = 7 WHERE id = %s", [coin.pk])


WRITES: dict[str, Callable[[Cryptocurrency], object]] = {
    "a saved row": lambda coin: coin.save(),
    "many rows at once": lambda coin: Cryptocurrency.objects.update(is_listed=False),
    "what staff do": lambda coin: untrack_coins(coins=Cryptocurrency.objects.all()),
    "slots from a sync": lambda coin: write_slots(
        coin_id=coin.pk,
        interval=Interval.HOUR,
        slots=[Slot(datetime(2026, 1, 1, tzinfo=UTC), 1.0, 1.0, 1.0, 1.0, None, None, 1)],
    ),
    "a clean-up": lambda coin: PriceData.objects.filter(coin=coin).delete(),
    "statements of one's own": insert_by_hand,
    "a new model": lambda coin: make_model("lstm-9", state="candidate"),
}


def test_every_way_of_writing_is_noticed(committed_market: Cryptocurrency) -> None:
    for name, write in WRITES.items():
        get(READS["list"])
        before = version()
        write(committed_market)
        assert version() != before, name


def test_reads_and_writes_elsewhere_or_rolled_back_change_nothing(committed_market: Cryptocurrency) -> None:
    get(READS["list"])
    before = version()
    list(Cryptocurrency.objects.all())
    User.objects.create_user("bob@example.com", "correct horse battery")
    fail_after_saving(committed_market)
    assert (before is not None, version()) == (True, before)


def test_a_write_after_a_savepoint_that_was_rolled_back_is_noticed(committed_market: Cryptocurrency) -> None:
    get(READS["list"])
    before = version()
    with transaction.atomic():
        fail_after_saving(committed_market)
        committed_market.save()
        assert version() == before  # nobody can read it yet
    assert version() != before


def fail_after_saving(coin: Cryptocurrency) -> None:
    with suppress(LookupError), transaction.atomic():
        coin.save()
        raise LookupError


def test_a_tick_is_served_at_once(transactional_db: None, shared_answers: None, tmp_path: Path) -> None:
    start = datetime(2026, 3, 4, 12, tzinfo=UTC)
    world = World(tmp_path, start=start, coins=3)
    try:
        world.tick(start)
        coin = Cryptocurrency.objects.order_by("market_cap_rank").values_list("coingecko_id", flat=True)[0]
        path = f"cryptocurrencies/{coin}/prices/latest/"
        first = get(path).json()
        assert get(path).json() == first
        world.tick(start + timedelta(minutes=5))
        second = get(path).json()
    finally:
        world.server.stop()
    assert second["as_of"] > first["as_of"]
    assert second["price_usd"] != first["price_usd"]


def test_twenty_requests_at_once_work_a_cold_answer_out_once(
    committed_market: Cryptocurrency, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    answer = views.coin_answer

    def counted(*rest: Any) -> dict[str, Any]:
        made.append(1)
        return answer(*rest)

    monkeypatch.setattr(views, "coin_answer", counted)

    def ask(_: int) -> bytes:
        try:
            content: bytes = get(READS["coin"]).content
        finally:
            connection.close()
        return content

    with ThreadPoolExecutor(20) as callers:
        contents = set(callers.map(ask, range(20)))
    assert (len(contents), len(made)) == (1, 1)


def test_http_caches_drop_an_answer_when_its_is_stale_turns(market: Cryptocurrency) -> None:
    soon = timezone.now() - market.fresh_for + timedelta(seconds=10)
    Cryptocurrency.objects.filter(pk=market.pk).update(price_at=soon)
    response = get(READS["coin"])
    assert response.json()["is_stale"] is False
    assert 5 <= int(response["Cache-Control"].split("max-age=")[1].split(",")[0]) <= 10


@pytest.mark.usefixtures("market")
def test_other_parameters_and_other_hosts_are_other_answers() -> None:
    page = get("cryptocurrencies/?page_size=1").json()
    assert page["next"].startswith("http://testserver/")
    there = Client(SERVER_NAME="localhost").get(f"{API}cryptocurrencies/?page_size=1").json()
    assert there["next"].startswith("http://localhost/")
    assert get("cryptocurrencies/?page_size=2").json()["next"] is None


@pytest.mark.usefixtures("market")
@pytest.mark.parametrize("path", ["cryptocurrencies/?q=bit", "cryptocurrencies/bitcoin/prices/?start=2026-01-01"])
def test_what_hardly_two_ask_for_is_not_kept(path: str) -> None:
    assert get(path).status_code == 200
    assert bodies() == []


def test_an_error_is_not_kept(market: Cryptocurrency) -> None:
    assert get("cryptocurrencies/newcoin/").status_code == 404
    Cryptocurrency.objects.create(coingecko_id="newcoin", symbol="new", name="New")
    assert get("cryptocurrencies/newcoin/").status_code == 200
