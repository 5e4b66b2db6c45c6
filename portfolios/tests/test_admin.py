"""The admin: lists open, and a transaction passes the same checks as everywhere."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from markets.models import Cryptocurrency
from portfolios import services
from portfolios.models import Portfolio, Transaction
from portfolios.tests.conftest import PASSWORD, page_client, rows

Book = Callable[..., Transaction]


@pytest.fixture
def staff(db: None) -> Client:
    return page_client(User.objects.create_superuser("staff@example.org", PASSWORD))


def typed(portfolio: Portfolio, coin: Cryptocurrency, **more: Any) -> dict[str, Any]:
    sent = {"portfolio": portfolio.pk, "coin": coin.pk, "kind": "buy", "quantity": "1", "unit_price_usd": "5"}
    when = {"occurred_at_0": "2026-01-05", "occurred_at_1": "10:00:00"}
    return {**sent, **when, "fee_usd": "0", "note": "", **more}


@pytest.mark.parametrize("model", ["portfolio", "transaction", "watchlistitem"])
def test_it_lists_searches_and_opens_every_row(
    staff: Client, book: Book, alice: User, bitcoin: Cryptocurrency, savings: Portfolio, model: str
) -> None:
    entry = book("buy", "1", 1)
    item, _ = services.watch_coin(user=alice, coin=bitcoin)
    row = {"portfolio": savings, "transaction": entry, "watchlistitem": item}[model]
    listed = reverse(f"admin:portfolios_{model}_changelist")
    change = reverse(f"admin:portfolios_{model}_change", args=[row.pk])
    assert change in staff.get(listed, {"q": "alice"}).content.decode()
    assert change not in staff.get(listed, {"q": "nobody"}).content.decode()
    assert staff.get(change).status_code == 200
    assert staff.get(reverse(f"admin:portfolios_{model}_add")).status_code == 200


def test_it_adds_and_changes_a_transaction(staff: Client, savings: Portfolio, bitcoin: Cryptocurrency) -> None:
    assert staff.post(reverse("admin:portfolios_transaction_add"), typed(savings, bitcoin)).status_code == 302
    added = Transaction.objects.get()
    assert (added.portfolio, added.quantity) == (savings, Decimal(1))
    change = reverse("admin:portfolios_transaction_change", args=[added.pk])
    assert staff.post(change, typed(savings, bitcoin, quantity="2", note="fixed")).status_code == 302
    added.refresh_from_db()
    assert (added.quantity, added.note) == (Decimal(2), "fixed")
    assert Transaction.objects.count() == 1


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"kind": "sell"}, "only 0 would be held"),
        ({"quantity": "0"}, "greater than 0"),
        ({"unit_price_usd": ""}, "Give the price"),
        ({"occurred_at_0": "2999-01-01"}, "in the future"),
    ],
)
def test_it_shows_what_the_ledger_refuses_and_changes_nothing(
    staff: Client, savings: Portfolio, bitcoin: Cryptocurrency, bad: dict[str, str], message: str
) -> None:
    answer = staff.post(reverse("admin:portfolios_transaction_add"), typed(savings, bitcoin, **bad))
    assert answer.status_code == 200
    assert message in answer.content.decode()
    assert rows() == {}


def test_it_refuses_a_change_and_a_deletion_that_would_oversell(
    staff: Client, book: Book, savings: Portfolio, bitcoin: Cryptocurrency
) -> None:
    bought = book("buy", "1", 9)
    book("sell", "1", 5)
    before = rows()
    change = reverse("admin:portfolios_transaction_change", args=[bought.pk])
    answer = staff.post(change, typed(savings, bitcoin, kind="transfer_out"))
    assert "would be held" in answer.content.decode()
    delete = reverse("admin:portfolios_transaction_delete", args=[bought.pk])
    answer = staff.post(delete, {"post": "yes"}, follow=True)
    assert "Nothing was deleted." in answer.content.decode()
    assert rows() == before


def test_it_deletes_a_transaction_that_nothing_needs(staff: Client, book: Book) -> None:
    entry = book("buy", "1", 9)
    delete = reverse("admin:portfolios_transaction_delete", args=[entry.pk])
    assert staff.post(delete, {"post": "yes"}).status_code == 302
    assert rows() == {}


def test_it_is_closed_to_who_is_not_staff(alice: User) -> None:
    assert page_client(alice).get(reverse("admin:portfolios_transaction_changelist")).status_code == 302
