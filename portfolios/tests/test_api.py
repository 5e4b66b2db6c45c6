"""The API of portfolios and the watchlist: who may see what, what is refused, what comes back."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User
from markets.models import Cryptocurrency, Interval, PriceData
from portfolios import services
from portfolios.models import Portfolio, Transaction, WatchlistItem
from portfolios.tests.conftest import api_client, rows

Book = Callable[..., Transaction]
ROOT = "/api/v1/portfolios/"


@pytest.fixture
def api(alice: User) -> APIClient:
    return api_client(alice)


@pytest.fixture
def ledger(savings: Portfolio) -> str:
    return f"{ROOT}{savings.pk}/transactions/"


def buy(**more: Any) -> dict[str, Any]:
    body = {"coin": "bitcoin", "kind": "buy", "quantity": "1", "unit_price_usd": "100"}
    return {**body, "occurred_at": "2026-01-05T10:00:00Z", **more}


def iso(moment: datetime | None) -> str:
    assert moment is not None
    return moment.isoformat().replace("+00:00", "Z")


def faults(answer: Any, status: int = 400) -> dict[str, str]:
    assert answer.status_code == status, answer.content
    return {one["field"]: one["code"] for one in answer.json()["error"]["fields"]}


def test_it_creates_reads_renames_and_deletes_a_portfolio(api: APIClient) -> None:
    made = api.post(ROOT, {"name": " Long term "})
    assert made.status_code == 201
    body = made.json()
    assert body["name"] == "Long term"
    url = f"{ROOT}{body['id']}/"
    assert api.get(url).json() == body
    assert api.get(ROOT).json()["results"] == [body]
    assert api.patch(url, {"name": "Later"}).json()["name"] == "Later"
    assert api.patch(url, {}).json()["name"] == "Later"
    assert api.delete(url).status_code == 204
    assert api.get(url).status_code == 404


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        ({}, {"name": "required"}),
        ({"name": ""}, {"name": "blank"}),
        ({"name": None}, {"name": "null"}),
        ({"name": "x" * 81}, {"name": "max_length"}),
        ({"name": "a\0b"}, {"name": "null_characters_not_allowed"}),
        ({"name": "savings"}, {"name": "unique"}),
        ({"name": "Fine", "owner": 2}, {"owner": "unknown_field"}),
        ({"name": "Fine", "id": 2}, {"id": "unknown_field"}),
        ([], {"": "invalid"}),
    ],
)
def test_it_refuses_a_bad_portfolio(api: APIClient, savings: Portfolio, body: Any, codes: dict[str, str]) -> None:
    assert faults(api.post(ROOT, body)) == codes
    assert list(Portfolio.objects.values_list("name", flat=True)) == ["Savings"]


def test_it_adds_reads_changes_and_deletes_a_transaction(api: APIClient, ledger: str, bitcoin: Any) -> None:
    made = api.post(ledger, buy(quantity="0.50", fee_usd="1.5", note="first"))
    assert made.status_code == 201, made.content
    body = made.json()
    assert {**body, "id": 0, "created_at": ""} == {
        "id": 0,
        "coin": "bitcoin",
        "kind": "buy",
        "quantity": "0.5",
        "unit_price_usd": "100",
        "fee_usd": "1.5",
        "occurred_at": "2026-01-05T10:00:00Z",
        "note": "first",
        "created_at": "",
    }
    url = f"{ledger}{body['id']}/"
    assert api.get(url).json() == body
    assert api.get(ledger).json()["results"] == [body]
    changed = api.patch(url, {"quantity": "0.75", "kind": "transfer_in", "unit_price_usd": None}).json()
    assert changed == {**body, "quantity": "0.75", "kind": "transfer_in", "unit_price_usd": None}
    assert api.get(url).json() == changed
    assert api.delete(url).status_code == 204
    assert rows() == {}


def test_it_takes_now_and_the_latest_price_when_they_are_not_named(
    api: APIClient, ledger: str, bitcoin: Cryptocurrency
) -> None:
    made = api.post(ledger, {"coin": "bitcoin", "kind": "buy", "quantity": "2"}).json()
    assert made["unit_price_usd"] == "60000"
    assert abs(timezone.now() - datetime.fromisoformat(made["occurred_at"])) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("more", "codes"),
    [
        ({"coin": "nosuch"}, {"coin": "does_not_exist"}),
        ({"coin": "BTC"}, {"coin": "does_not_exist"}),
        ({"coin": None}, {"coin": "null"}),
        ({"coin": {"id": 1}}, {"coin": "does_not_exist"}),
        ({"kind": "gift"}, {"kind": "invalid_choice"}),
        ({"quantity": "0"}, {"quantity": "min_value"}),
        ({"quantity": "-1"}, {"quantity": "min_value"}),
        ({"quantity": "one"}, {"quantity": "invalid"}),
        ({"quantity": "NaN"}, {"quantity": "invalid"}),
        ({"quantity": "1e400"}, {"quantity": "invalid"}),
        ({"quantity": 2}, {"quantity": "invalid"}),
        ({"quantity": True}, {"quantity": "invalid"}),
        ({"quantity": "1234567890.123456"}, {"quantity": "max_digits"}),
        ({"unit_price_usd": "-1"}, {"unit_price_usd": "min_value"}),
        ({"unit_price_usd": None}, {"unit_price_usd": "required"}),
        ({"fee_usd": "-1"}, {"fee_usd": "min_value"}),
        ({"fee_usd": None}, {"fee_usd": "null"}),
        ({"occurred_at": "2999-01-01T00:00:00Z"}, {"occurred_at": "future"}),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, {"occurred_at": "overflow"}),
        ({"occurred_at": "2008-12-31T00:00:00Z"}, {"occurred_at": "min_value"}),
        ({"occurred_at": "yesterday"}, {"occurred_at": "invalid"}),
        ({"note": "x" * 201}, {"note": "max_length"}),
        ({"note": "a\0b"}, {"note": "null_characters_not_allowed"}),
        ({"portfolio": 3}, {"portfolio": "unknown_field"}),
        ({"kind": "sell"}, {"quantity": "oversold"}),
        ({"quantity": "0", "coin": "nosuch", "kind": "x"}, {"coin": "does_not_exist", "kind": "invalid_choice"}),
    ],
)
def test_it_refuses_a_bad_transaction_and_keeps_the_ledger(
    api: APIClient, ledger: str, bitcoin: Any, more: dict[str, Any], codes: dict[str, str]
) -> None:
    assert faults(api.post(ledger, buy(**more))) == codes
    assert rows() == {}


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        ({"quantity": "0.5"}, {"quantity": "oversold"}),
        ({"occurred_at": "2026-02-01T00:00:00Z"}, {"quantity": "oversold"}),
        ({"coin": "ethereum"}, {"quantity": "oversold"}),
        ({"quantity": "0"}, {"quantity": "min_value"}),
        ({"unit_price_usd": None}, {"unit_price_usd": "required"}),
        ({"occurred_at": "2999-01-01T00:00:00Z"}, {"occurred_at": "future"}),
        ({"unknown": 1}, {"unknown": "unknown_field"}),
    ],
)
def test_it_refuses_a_bad_change_and_keeps_the_ledger(
    api: APIClient, ledger: str, bitcoin: Any, ether: Any, change: dict[str, Any], codes: dict[str, str]
) -> None:
    bought = api.post(ledger, buy()).json()
    api.post(ledger, buy(kind="sell", occurred_at="2026-01-06T00:00:00Z"))
    before = rows()
    assert len(before) == 2
    assert faults(api.patch(f"{ledger}{bought['id']}/", change)) == codes
    assert rows() == before


def test_it_refuses_to_delete_what_a_later_sell_needs(api: APIClient, ledger: str, bitcoin: Any) -> None:
    bought = api.post(ledger, buy()).json()
    api.post(ledger, buy(kind="sell", occurred_at="2026-01-06T00:00:00Z"))
    assert faults(api.delete(f"{ledger}{bought['id']}/")) == {"": "oversold"}
    assert len(rows()) == 2


def test_it_adds_a_transaction_once_for_one_idempotency_key(api: APIClient, ledger: str, bitcoin: Any) -> None:
    first = api.post(ledger, buy(), headers={"Idempotency-Key": "k1"})
    again = api.post(ledger, buy(), headers={"Idempotency-Key": "k1"})
    other = api.post(ledger, buy(quantity="2"), headers={"Idempotency-Key": "k1"})
    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 422)
    assert again.json() == first.json()
    assert len(rows()) == 1


def test_it_lists_transactions_newest_first_by_coin_and_kind_in_pages(
    api: APIClient, ledger: str, book: Book, ether: Cryptocurrency
) -> None:
    old, new = book("buy", "3", 5), book("sell", "1", 1)
    middle = book("buy", "1", 3, coin=ether)

    def ids(query: str) -> list[int]:
        return [row["id"] for row in api.get(f"{ledger}?{query}").json()["results"]]

    assert ids("") == [new.pk, middle.pk, old.pk]
    assert ids("coin=ethereum") == [middle.pk]
    assert ids("kind=buy&coin=bitcoin") == [old.pk]
    assert ids("page=2&page_size=2") == [old.pk]
    assert faults(api.get(f"{ledger}?coin=nosuch&kind=x")) == {"coin": "does_not_exist", "kind": "invalid_choice"}
    assert faults(api.get(f"{ledger}?colour=red")) == {"colour": "unknown_parameter"}
    assert faults(api.get(f"{ledger}?page_size=251")) == {"page_size": "max_value"}
    assert api.get(f"{ledger}?page=9").status_code == 404


def test_it_values_a_portfolio(
    api: APIClient, savings: Portfolio, book: Book, bitcoin: Cryptocurrency, unpriced: Cryptocurrency
) -> None:
    book("buy", "2", 9, "40000")
    book("sell", "0.5", 5, "50000", fee_usd=1)
    body = api.get(f"{ROOT}{savings.pk}/valuation/").json()
    (holding,) = body["holdings"]
    assert body["as_of"] == iso(bitcoin.price_at)
    assert (body["is_stale"], body["is_partial"], body["data_source"]) == (False, False, "sample data")
    assert (body["value_usd"], body["cost_basis_usd"], body["cost_method"]) == ("90000", "60000", "fifo")
    assert (body["unrealised_usd"], body["unrealised_percent"], body["realised_usd"]) == ("30000", 50.0, "4999")
    assert (body["change_24h_usd"], body["change_24h_percent"]) == ("18000", 25.0)
    assert (holding["coin"], holding["quantity"], holding["price_usd"]) == ("bitcoin", "1.5", "60000")
    assert holding["allocation"] == 1.0

    book("transfer_in", "7", 1, None, coin=unpriced)
    body = api.get(f"{ROOT}{savings.pk}/valuation/").json()
    unknown = body["holdings"][1]
    names = ("price_usd", "price_at", "value_usd", "cost_basis_usd", "unrealised_usd", "allocation")
    assert [unknown[name] for name in names] == [None] * 6
    assert (body["value_usd"], body["is_partial"], body["is_cost_partial"], body["is_stale"]) == (
        "90000",
        True,
        True,
        True,
    )


def test_it_values_a_portfolio_of_the_largest_numbers(api: APIClient, savings: Portfolio, book: Book) -> None:
    for day in (1, 2, 3):
        book("buy", "99999999999999900000", day, "99999999999999900000")
    body = api.get(f"{ROOT}{savings.pk}/valuation/").json()
    assert body["cost_basis_usd"] == str(3 * 99999999999999900000**2)


def test_it_values_a_portfolio_at_a_moment(
    api: APIClient, savings: Portfolio, book: Book, bitcoin: Cryptocurrency, ago: Callable[[float], datetime]
) -> None:
    book("buy", "2", 9, "10")
    slot_at = ago(6)
    PriceData.objects.create(
        coin=bitcoin, interval=Interval.DAY, at=slot_at, open=25.0, high=25.0, low=25.0, close=25.0
    )
    url = f"{ROOT}{savings.pk}/valuation/"
    body = api.get(url, {"at": ago(4).isoformat()}).json()
    assert body["value_usd"] == "50"
    assert body["as_of"] == iso(slot_at + timedelta(days=1))
    assert faults(api.get(url, {"at": "2999-01-01T00:00:00Z"})) == {"at": "future"}
    assert faults(api.get(url, {"at": "then"})) == {"at": "invalid"}
    assert faults(api.get(url, {"when": "now"})) == {"when": "unknown_parameter"}


def test_it_watches_and_unwatches(api: APIClient, bitcoin: Cryptocurrency, ether: Cryptocurrency) -> None:
    assert api.put("/api/v1/watchlist/bitcoin/").status_code == 201
    assert api.put("/api/v1/watchlist/bitcoin/").status_code == 200
    assert api.put("/api/v1/watchlist/ethereum/").status_code == 201
    body = api.get("/api/v1/watchlist/").json()
    assert [row["id"] for row in body["results"]] == ["ethereum", "bitcoin"]
    last = body["results"][1]
    assert (last["price_usd"], last["is_stale"], last["data_source"]) == (60000.0, False, "sample data")
    assert last["as_of"] == iso(bitcoin.price_at)
    for _ in range(2):
        assert api.delete("/api/v1/watchlist/bitcoin/").status_code == 204
    assert list(WatchlistItem.objects.values_list("coin__coingecko_id", flat=True)) == ["ethereum"]


@pytest.mark.parametrize("coin", ["nosuch", "BITCOIN", "a%00b"])
def test_it_knows_no_such_coin_to_watch(api: APIClient, bitcoin: Cryptocurrency, coin: str) -> None:
    assert api.put(f"/api/v1/watchlist/{coin}/").status_code == 404
    assert api.delete(f"/api/v1/watchlist/{coin}/").status_code == 404
    assert WatchlistItem.objects.count() == 0


def test_it_refuses_one_coin_too_many_to_watch(
    api: APIClient, bitcoin: Cryptocurrency, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "MAX_WATCHED", 0)
    assert faults(api.put("/api/v1/watchlist/bitcoin/")) == {"": "limit"}


def every_operation(portfolio: Portfolio, entry: Transaction) -> list[tuple[str, str, Any]]:
    own = f"{ROOT}{portfolio.pk}/"
    one = f"{own}transactions/{entry.pk}/"
    return [
        ("get", own, None),
        ("patch", own, {"name": "Taken"}),
        ("delete", own, None),
        ("get", f"{own}transactions/", None),
        ("post", f"{own}transactions/", buy()),
        ("post", f"{own}transactions/", {}),
        ("get", one, None),
        ("patch", one, {"quantity": "9"}),
        ("delete", one, None),
        ("get", f"{own}valuation/", None),
    ]


def test_it_hides_what_is_alices_from_bob_and_from_charlie(
    book: Book, savings: Portfolio, alice: User, bob: User, bitcoin: Cryptocurrency
) -> None:
    entry = book("buy", "1", 1)
    services.watch_coin(user=alice, coin=bitcoin)
    before = rows()
    for method, url, body in every_operation(savings, entry):
        assert getattr(api_client(bob), method)(url, body).status_code == 404, (method, url)
        assert getattr(api_client(None), method)(url, body).status_code == 401, (method, url)
    for url in (ROOT, "/api/v1/watchlist/"):
        assert api_client(bob).get(url).json()["results"] == []
        assert api_client(None).get(url).status_code == 401
    assert api_client(None).post(ROOT, {"name": "x"}).status_code == 401
    assert api_client(None).put("/api/v1/watchlist/bitcoin/").status_code == 401
    api_client(bob).delete("/api/v1/watchlist/bitcoin/")
    assert WatchlistItem.objects.filter(user=alice).exists()
    assert rows() == before
    assert Portfolio.objects.get().name == "Savings"


def test_it_does_not_reach_a_transaction_through_another_portfolio(api: APIClient, book: Book, alice: User) -> None:
    entry = book("buy", "1", 1)
    other = services.create_portfolio(owner=alice, name="Other")
    assert api.get(f"{ROOT}{other.pk}/transactions/{entry.pk}/").status_code == 404
    assert api.delete(f"{ROOT}{other.pk}/transactions/{entry.pk}/").status_code == 404
    assert len(rows()) == 1


@pytest.mark.parametrize("pk", ["0", "99999999999999999999999"])
def test_it_answers_404_for_a_number_that_no_portfolio_has(api: APIClient, pk: str) -> None:
    assert api.get(f"{ROOT}{pk}/").status_code == 404
    assert api.get(f"{ROOT}{pk}/valuation/").status_code == 404


def test_it_offers_no_put_on_portfolios_and_transactions(api: APIClient, book: Book, savings: Portfolio) -> None:
    entry = book("buy", "1", 1)
    assert api.put(f"{ROOT}{savings.pk}/", {"name": "x"}).status_code == 405
    assert api.put(f"{ROOT}{savings.pk}/transactions/{entry.pk}/", buy()).status_code == 405


def test_it_describes_itself_without_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    from drf_spectacular.drainage import GENERATOR_STATS
    from drf_spectacular.generators import SchemaGenerator

    from portfolios.api.urls import urlpatterns

    GENERATOR_STATS.reset()
    document = SchemaGenerator(patterns=urlpatterns).get_schema(public=True)
    assert "Warning" not in capsys.readouterr().err
    assert not GENERATOR_STATS
    assert set(document["paths"]) == {
        "/portfolios/",
        "/portfolios/{portfolio_id}/",
        "/portfolios/{portfolio_id}/transactions/",
        "/portfolios/{portfolio_id}/transactions/{transaction_id}/",
        "/portfolios/{portfolio_id}/valuation/",
        "/watchlist/",
        "/watchlist/{coin_id}/",
    }
    transactions = document["paths"]["/portfolios/{portfolio_id}/transactions/"]
    assert {one["name"] for one in transactions["get"]["parameters"]} == {
        "portfolio_id",
        "coin",
        "kind",
        "page",
        "page_size",
    }
    assert {one["name"] for one in transactions["post"]["parameters"]} == {"portfolio_id", "Idempotency-Key"}
