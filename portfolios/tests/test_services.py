"""Changes of ledgers, portfolios and watchlists: each is whole or is refused and leaves nothing."""

import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils import timezone

from accounts.models import User
from markets.models import Cryptocurrency
from portfolios import services
from portfolios.models import Portfolio, Transaction, WatchlistItem
from portfolios.tests.conftest import PASSWORD, rows

Book = Callable[..., Transaction]
Ago = Callable[[float], datetime]


def refused(action: Callable[[], Any]) -> dict[str, list[str]]:
    """The codes by field of a refusal, after which everything is as before; fails when nothing is refused."""
    before = rows()
    with pytest.raises(ValidationError) as caught:
        action()
    assert rows() == before
    error = caught.value
    faults = error.error_dict if hasattr(error, "error_dict") else {"": error.error_list}
    return {field: [str(one.code) for one in errors] for field, errors in faults.items()}


def test_it_keeps_what_was_entered_exactly(book: Book, ago: Ago) -> None:
    added = book("buy", "0.000000000000000001", 3, "12345678901.2345", fee_usd=Decimal("0.01"), note="first")
    stored = Transaction.objects.get(pk=added.pk)
    assert stored.quantity == Decimal("0.000000000000000001")
    assert stored.unit_price_usd == Decimal("12345678901.2345")
    assert stored.fee_usd == Decimal("0.01")
    assert stored.occurred_at == ago(3)
    assert stored.note == "first"


@pytest.mark.parametrize("kind", ["sell", "transfer_out", "fee"])
def test_it_refuses_to_take_out_more_than_is_held(book: Book, kind: str) -> None:
    book("buy", "1", 2)
    assert refused(lambda: book(kind, "1.00000000000001", 1)) == {"quantity": ["oversold"]}
    book(kind, "1", 1)


def test_it_refuses_a_sell_before_the_buy_that_covers_it(book: Book) -> None:
    book("buy", "1", 2)
    assert refused(lambda: book("sell", "1", 3)) == {"quantity": ["oversold"]}


def test_it_refuses_a_back_dated_sell_that_a_later_one_cannot_stand(book: Book) -> None:
    book("buy", "2", 9)
    book("sell", "2", 1)
    assert refused(lambda: book("sell", "1", 5)) == {"quantity": ["oversold"]}


def test_it_says_what_would_oversell_when_and_by_how_much(book: Book, ago: Ago) -> None:
    book("buy", "2", 9)
    with pytest.raises(ValidationError) as caught:
        book("sell", "2.5", 4)
    (message,) = caught.value.messages
    assert message == (f"2.5 bitcoin would go out on {ago(4):%Y-%m-%d at %H:%M:%S} UTC, when only 2 would be held.")


def test_it_refuses_edits_that_would_oversell_a_later_moment(book: Book, ether: Any, ago: Ago) -> None:
    bought = book("buy", "2", 9)
    book("sell", "2", 4)
    change = services.change_transaction
    assert refused(lambda: change(entry=bought, quantity=Decimal("1.5"))) == {"quantity": ["oversold"]}
    assert refused(lambda: change(entry=bought, occurred_at=ago(3))) == {"quantity": ["oversold"]}
    assert refused(lambda: change(entry=bought, kind="transfer_out")) == {"quantity": ["oversold"]}
    assert refused(lambda: change(entry=bought, coin=ether)) == {"quantity": ["oversold"]}
    change(entry=bought, quantity=Decimal("2.5"), note="corrected")
    bought.refresh_from_db()
    assert (bought.quantity, bought.note) == (Decimal("2.5"), "corrected")


def test_it_refuses_to_delete_what_a_later_sell_needs(book: Book) -> None:
    bought, sold = book("buy", "2", 9), book("sell", "2", 4)
    assert refused(lambda: services.delete_transaction(entry=bought)) == {"": ["oversold"]}
    services.delete_transaction(entry=sold)
    services.delete_transaction(entry=bought)
    assert rows() == {}


def test_it_does_not_let_one_coin_cover_another_nor_one_portfolio_another(
    book: Book, alice: User, bitcoin: Cryptocurrency, ether: Cryptocurrency, ago: Ago
) -> None:
    book("buy", "2", 9)
    other = services.create_portfolio(owner=alice, name="Other")
    assert refused(lambda: book("sell", "1", 1, coin=ether)) == {"quantity": ["oversold"]}
    sell: dict[str, Any] = {"coin": bitcoin, "kind": "sell", "quantity": Decimal(1), "unit_price_usd": Decimal(1)}
    assert refused(lambda: services.add_transaction(portfolio=other, occurred_at=ago(1), **sell)) == {
        "quantity": ["oversold"]
    }


BAD_VALUES: list[tuple[dict[str, Any], dict[str, list[str]]]] = [
    ({"quantity": "0"}, {"quantity": ["min_value"]}),
    ({"quantity": "-1"}, {"quantity": ["min_value"]}),
    ({"quantity": "NaN"}, {"quantity": ["invalid"]}),
    ({"quantity": "Infinity"}, {"quantity": ["invalid"]}),
    ({"quantity": "1234567890.123456"}, {"quantity": ["max_digits"]}),
    ({"quantity": "0.0000000000000000001"}, {"quantity": ["max_decimal_places"]}),
    ({"quantity": "1e20"}, {"quantity": ["max_whole_digits"]}),
    ({"price": "-0.01"}, {"unit_price_usd": ["min_value"]}),
    ({"price": "1234567890.123456"}, {"unit_price_usd": ["max_digits"]}),
    ({"price": None}, {"unit_price_usd": ["required"]}),
    ({"fee_usd": Decimal(-1)}, {"fee_usd": ["min_value"]}),
    ({"days": -0.01}, {"occurred_at": ["future"]}),
    ({"days": 365 * 30}, {"occurred_at": ["min_value"]}),
    ({"kind": "gift"}, {"kind": ["invalid_choice"]}),
    ({"note": "x" * 201}, {"note": ["max_length"]}),
    ({"quantity": "-1", "fee_usd": Decimal(-1)}, {"quantity": ["min_value"], "fee_usd": ["min_value"]}),
]


@pytest.mark.parametrize(("bad", "codes"), BAD_VALUES)
def test_it_refuses_bad_values_naming_each_field(book: Book, bad: dict[str, Any], codes: dict[str, list[str]]) -> None:
    good = {"kind": "buy", "quantity": "1", "days": 1, "price": "1"}
    assert refused(lambda: book(**{**good, **bad})) == codes


def test_it_takes_the_latest_price_for_a_trade_of_now(savings: Portfolio, ether: Cryptocurrency) -> None:
    ether.price_usd = 0.123456789012345678
    ether.save()
    added = services.add_transaction(portfolio=savings, coin=ether, kind="buy", quantity=Decimal(1))
    added.refresh_from_db()
    assert added.unit_price_usd == Decimal("0.123456789012346")  # all that can be kept exactly


def test_it_takes_no_stale_or_missing_price(
    savings: Portfolio, ether: Cryptocurrency, unpriced: Cryptocurrency
) -> None:
    def buy(coin: Cryptocurrency) -> Transaction:
        return services.add_transaction(portfolio=savings, coin=coin, kind="buy", quantity=Decimal(1))

    ether.price_at = timezone.now() - timedelta(minutes=11)
    ether.save()
    assert refused(lambda: buy(ether)) == {"unit_price_usd": ["required"]}
    assert refused(lambda: buy(unpriced)) == {"unit_price_usd": ["required"]}


def test_it_needs_no_price_for_a_transfer(book: Book) -> None:
    assert book("transfer_in", "1", 1, None).unit_price_usd is None
    assert book("fee", "0.1", 0, None).unit_price_usd is None


def test_it_refuses_one_transaction_too_many(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "MAX_TRANSACTIONS", 2)
    book("buy", "1", 2)
    book("buy", "1", 1)
    assert refused(lambda: book("buy", "1", 0)) == {"": ["limit"]}


def test_it_refuses_one_portfolio_too_many_per_user(alice: User, bob: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "MAX_PORTFOLIOS", 2)
    for name in ("One", "Two"):
        services.create_portfolio(owner=alice, name=name)
    assert refused(lambda: services.create_portfolio(owner=alice, name="Three")) == {"": ["limit"]}
    services.create_portfolio(owner=bob, name="One")
    assert Portfolio.objects.for_user(alice).count() == 2


@pytest.mark.parametrize(
    ("name", "code"),
    [("", "blank"), ("   ", "blank"), ("x" * 81, "max_length"), ("Savings", "unique"), (" SAVINGS ", "unique")],
)
def test_it_refuses_a_bad_or_used_name(alice: User, savings: Portfolio, name: str, code: str) -> None:
    other = services.create_portfolio(owner=alice, name="Other")
    assert refused(lambda: services.create_portfolio(owner=alice, name=name)) == {"name": [code]}
    assert refused(lambda: services.rename_portfolio(portfolio=other, name=name)) == {"name": [code]}
    assert sorted(Portfolio.objects.values_list("name", flat=True)) == ["Other", "Savings"]


def test_it_lets_a_name_change_its_case(savings: Portfolio) -> None:
    services.rename_portfolio(portfolio=savings, name="SAVINGS")
    savings.refresh_from_db()
    assert savings.name == "SAVINGS"


def test_it_deletes_a_portfolio_with_its_ledger_and_leaves_the_others(
    book: Book, savings: Portfolio, alice: User
) -> None:
    book("buy", "1", 1)
    other = services.create_portfolio(owner=alice, name="Other")
    services.delete_portfolio(portfolio=savings)
    assert rows() == {}
    assert list(Portfolio.objects.all()) == [other]


def test_it_refuses_to_write_to_what_was_deleted_meanwhile(book: Book, savings: Portfolio) -> None:
    bought = book("buy", "1", 1)
    Transaction.objects.filter(pk=bought.pk).delete()
    assert refused(lambda: services.change_transaction(entry=bought, note="x")) == {"": ["gone"]}
    Portfolio.objects.filter(pk=savings.pk).delete()
    assert refused(lambda: book("buy", "1", 1)) == {"": ["gone"]}


def test_it_changes_only_what_may_change(book: Book) -> None:
    bought = book("buy", "1", 1)
    with pytest.raises(TypeError, match="portfolio"):
        services.change_transaction(entry=bought, portfolio=7)


def test_it_toggles_a_star(alice: User, bob: User, bitcoin: Cryptocurrency) -> None:
    services.watch_coin(user=bob, coin=bitcoin)
    assert services.toggle_watch(user=alice, coin=bitcoin) is True
    assert services.toggle_watch(user=alice, coin=bitcoin) is False
    assert list(WatchlistItem.objects.values_list("user_id", flat=True)) == [bob.pk]


def test_it_watches_a_coin_once_and_only_so_many(
    alice: User, bitcoin: Cryptocurrency, ether: Cryptocurrency, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "MAX_WATCHED", 1)
    item, is_new = services.watch_coin(user=alice, coin=bitcoin)
    assert is_new
    assert services.watch_coin(user=alice, coin=bitcoin) == (item, False)
    assert refused(lambda: services.watch_coin(user=alice, coin=ether)) == {"": ["limit"]}
    assert WatchlistItem.objects.count() == 1


def at_once(actions: Sequence[Callable[[], Any]]) -> list[str]:
    """Runs all at the same moment, each on a connection of its own; what became of each."""
    gate = threading.Barrier(len(actions))
    outcomes: list[str] = []

    def run(action: Callable[[], Any]) -> None:
        gate.wait()
        try:
            action()
            outcomes.append("done")
        except ValidationError as error:
            faults = error.error_dict if hasattr(error, "error_dict") else {"": error.error_list}
            outcomes.append(" ".join(str(one.code) for errors in faults.values() for one in errors))
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(outcomes)


@pytest.mark.django_db(transaction=True)
def test_it_sells_a_coin_once_when_many_sell_it_at_the_same_moment() -> None:
    alice = User.objects.create_user("alice@example.org", PASSWORD)
    coin = Cryptocurrency.objects.create(coingecko_id="bitcoin", symbol="btc", name="Bitcoin")
    savings = services.create_portfolio(owner=alice, name="Savings")

    def book(kind: str, quantity: int) -> Transaction:
        return services.add_transaction(
            portfolio=savings, coin=coin, kind=kind, quantity=Decimal(quantity), unit_price_usd=Decimal(1)
        )

    book("buy", 3)
    assert at_once([lambda: book("sell", 1)] * 8) == ["done"] * 3 + ["oversold"] * 5
    assert Transaction.objects.filter(kind="sell").count() == 3


@pytest.mark.django_db(transaction=True)
def test_it_counts_portfolios_right_when_many_are_created_at_the_same_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(services, "MAX_PORTFOLIOS", 3)
    alice = User.objects.create_user("alice@example.org", PASSWORD)
    actions = [partial(services.create_portfolio, owner=alice, name=f"P{n}") for n in range(8)]
    assert at_once(actions) == ["done"] * 3 + ["limit"] * 5
    assert Portfolio.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_it_ends_with_an_even_number_of_toggles_where_it_began() -> None:
    alice = User.objects.create_user("alice@example.org", PASSWORD)
    coin = Cryptocurrency.objects.create(coingecko_id="bitcoin", symbol="btc", name="Bitcoin")
    assert at_once([lambda: services.toggle_watch(user=alice, coin=coin)] * 6) == ["done"] * 6
    assert WatchlistItem.objects.count() == 0
