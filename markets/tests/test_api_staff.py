"""What staff do with coins over HTTP, and the market as a whole."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken

from cryptopredict.operations.models import AuditEntry, TaskRun
from markets.api.global_views import GlobalSerializer
from markets.models import Cryptocurrency, PriceData
from markets.tests.api import API, ask, assert_documented, count_queries, faults

COINS = f"{API}cryptocurrencies/"


def client_of(**options: Any) -> APIClient:
    user = get_user_model().objects.create_user("someone@example.org", "correct horse battery", **options)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {AccessToken.for_user(user)}")
    return client


@pytest.fixture
def staff(db: None) -> APIClient:
    return client_of(is_staff=True)


@pytest.fixture
def bitcoin(db: None) -> Cryptocurrency:
    return Cryptocurrency.objects.create(coingecko_id="bitcoin", symbol="btc", name="Bitcoin", is_tracked=True)


def codes(answer: Any) -> list[tuple[str, str]]:
    return [(fault["field"], fault["code"]) for fault in answer.json()["error"]["fields"]]


@pytest.mark.parametrize(("method", "path"), [("post", ""), ("patch", "bitcoin/"), ("delete", "bitcoin/")])
def test_others_may_read_only(bitcoin: Cryptocurrency, method: str, path: str) -> None:
    assert getattr(APIClient(), method)(COINS + path).status_code == 401
    assert getattr(client_of(), method)(COINS + path).status_code == 403
    assert APIClient().get(COINS + path).status_code == 200
    bitcoin.refresh_from_db()
    assert bitcoin.is_tracked


class TestAdd:
    def test_it_queues_the_job_that_asks_coingecko(self, staff: APIClient) -> None:
        answer = staff.post(COINS, {"id": "newcoin"})
        run = TaskRun.objects.get()
        assert answer.status_code == 202
        assert answer.json()["url"] == f"{API}tasks/runs/{run.task_id}/"
        assert (run.name, run.arguments["kwargs"]) == (
            "markets.sync_specific_cryptocurrency",
            {"coingecko_id": "newcoin"},
        )
        assert not Cryptocurrency.objects.exists(), "it is CoinGecko that says whether there is such a coin"
        entry = AuditEntry.objects.get()
        assert (entry.action, entry.target) == ("coin.add", "newcoin")

    def test_it_takes_effect_once_with_one_idempotency_key(self, staff: APIClient) -> None:
        answers = [staff.post(COINS, {"id": "newcoin"}, headers={"Idempotency-Key": "k"}) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [202, 202]
        assert TaskRun.objects.count() == 1

    def test_it_refuses_a_coin_that_is_tracked_or_on_its_way(self, staff: APIClient, bitcoin: Cryptocurrency) -> None:
        assert staff.post(COINS, {"id": "bitcoin"}).json()["error"]["code"] == "conflict"
        staff.post(COINS, {"id": "newcoin"})
        again = staff.post(COINS, {"id": "newcoin"})
        assert (again.status_code, again.json()["error"]["code"]) == (409, "already_active")

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            ({}, [("id", "required")]),
            ({"id": ""}, [("id", "blank")]),
            ({"id": "../x"}, [("id", "invalid")]),
            ({"id": "a b"}, [("id", "invalid")]),
            ({"id": "x" * 151}, [("id", "max_length")]),
            ({"id": "x", "is_tracked": True}, [("is_tracked", "unknown_field")]),
        ],
    )
    def test_it_names_what_is_wrong(self, staff: APIClient, body: dict[str, Any], expected: Any) -> None:
        answer = staff.post(COINS, body)
        assert (answer.status_code, codes(answer)) == (400, expected)
        assert not TaskRun.objects.exists()


class TestTracking:
    def test_it_stops_tracking_and_keeps_the_history(self, staff: APIClient, bitcoin: Cryptocurrency) -> None:
        PriceData.objects.create(coin=bitcoin, interval="1d", at=timezone.now(), open=1, high=1, low=1, close=1)
        for _ in range(2):
            assert staff.delete(f"{COINS}bitcoin/").status_code == 204
        bitcoin.refresh_from_db()
        assert not bitcoin.is_tracked
        assert PriceData.objects.count() == 1
        assert AuditEntry.objects.get().action == "coin.untrack", "the second changed nothing"

    def test_it_changes_what_is_tracked_and_says_why(self, staff: APIClient, bitcoin: Cryptocurrency) -> None:
        answer = staff.patch(f"{COINS}bitcoin/", {"is_tracked": False, "reason": "too thin"})
        assert (answer.status_code, answer.json()["is_tracked"]) == (200, False)
        assert staff.patch(f"{COINS}bitcoin/", {"is_tracked": True}).json()["is_tracked"] is True
        found = list(AuditEntry.objects.order_by("pk").values_list("action", "target", "reason"))
        assert found == [("coin.untrack", "bitcoin", "too thin"), ("coin.track", "bitcoin", "")]

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            ({}, [("is_tracked", "required")]),
            ({"is_tracked": "perhaps"}, [("is_tracked", "invalid")]),
            ({"is_tracked": True, "price_usd": 1}, [("price_usd", "unknown_field")]),
        ],
    )
    def test_it_names_what_is_wrong(
        self, staff: APIClient, bitcoin: Cryptocurrency, body: dict[str, Any], expected: Any
    ) -> None:
        answer = staff.patch(f"{COINS}bitcoin/", body)
        assert (answer.status_code, codes(answer)) == (400, expected)

    def test_it_does_not_track_what_coingecko_no_longer_lists(self, staff: APIClient) -> None:
        Cryptocurrency.objects.create(coingecko_id="gone", symbol="g", name="Gone", is_listed=False)
        answer = staff.patch(f"{COINS}gone/", {"is_tracked": True})
        assert (answer.status_code, codes(answer)) == (400, [("is_tracked", "not_listed")])

    def test_it_knows_no_unknown_coin(self, staff: APIClient) -> None:
        assert staff.patch(f"{COINS}nonesuch/", {"is_tracked": True}).status_code == 404
        assert staff.delete(f"{COINS}nonesuch/").status_code == 404


@pytest.mark.django_db
class TestGlobal:
    def add(self, name: str, **columns: Any) -> None:
        values = {"price_usd": 1.0, "price_at": timezone.now(), **columns}
        Cryptocurrency.objects.create(coingecko_id=name, symbol=name, name=name, **values)

    def test_it_adds_up_our_own_rows_and_says_so(self) -> None:
        self.add("bitcoin", market_cap_usd=600.0, volume_24h_usd=10.0)
        self.add("ethereum", market_cap_usd=200.0, volume_24h_usd=5.0)
        self.add("unknown")
        self.add("gone", market_cap_usd=1e9, is_listed=False)
        self.add("priceless", price_usd=None, price_at=None, market_cap_usd=1e9)
        answer = ask("cryptocurrencies/global/")
        assert_documented(answer, GlobalSerializer())
        assert (answer["coins"], answer["total_market_cap_usd"], answer["total_volume_24h_usd"]) == (3, 800.0, 15.0)
        assert [(coin["id"], coin["percent"]) for coin in answer["dominance"]] == [
            ("bitcoin", 75.0),
            ("ethereum", 25.0),
        ]
        assert (answer["is_stale"], answer["data_source"]) == (False, "sample data")
        assert "Added up from the coins that this site lists" in answer["basis"]

    def test_it_says_how_old_it_is_and_that_nothing_is_known(self) -> None:
        answer = ask("cryptocurrencies/global/")
        assert (answer["coins"], answer["total_market_cap_usd"], answer["as_of"], answer["is_stale"]) == (
            0, None, None, True,
        )  # fmt: skip
        self.add("bitcoin", price_at=timezone.now() - timedelta(minutes=11))
        assert ask("cryptocurrencies/global/")["is_stale"] is True

    def test_it_is_not_sent_twice_to_who_has_it(self) -> None:
        self.add("bitcoin", market_cap_usd=1.0)
        first = APIClient().get(f"{COINS}global/")
        assert first["Cache-Control"] == "max-age=30, public"
        assert APIClient().get(f"{COINS}global/", headers={"If-None-Match": first["ETag"]}).status_code == 304

    def test_it_accepts_no_parameters_and_asks_twice_for_any_number_of_coins(self) -> None:
        assert faults("cryptocurrencies/global/", currency="eur") == [("currency", "unknown_parameter")]
        for i in range(20):
            self.add(f"coin-{i}", market_cap_usd=1.0)
        assert count_queries("cryptocurrencies/global/") == 2
        assert len(ask("cryptocurrencies/global/")["dominance"]) == 10
