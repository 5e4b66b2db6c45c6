"""The dashboard, portfolio and transaction pages and the star: what they show, refuse, and hide."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from markets.models import Cryptocurrency
from portfolios import services
from portfolios.models import Portfolio, Transaction, WatchlistItem
from portfolios.tests.conftest import page_client, rows

Book = Callable[..., Transaction]


@pytest.fixture
def pages(alice: User) -> Client:
    return page_client(alice)


def text(answer: Any) -> str:
    """What a reader sees, with single spaces."""
    assert answer.status_code == 200
    return " ".join(re.sub(r"<[^>]*>", " ", answer.content.decode()).split())


def typed(**more: str) -> dict[str, str]:
    """A buy as the form sends it."""
    sent = {"kind": "buy", "coin": "bitcoin", "quantity": "1", "unit_price_usd": "100", "fee_usd": "0"}
    return {**sent, "occurred_at": "2026-01-05T10:00:00", "note": "", **more}


def test_it_leads_a_first_visit_through_three_steps(pages: Client, bitcoin: Cryptocurrency) -> None:
    shown = text(pages.get(reverse("dashboard")))
    assert "Three steps to begin" in shown
    assert "Watch a coin" in shown
    assert "Create a portfolio" in shown
    pages.post(reverse("watch", args=["bitcoin"]))
    pages.post(reverse("portfolio-create"), {"name": "Savings"})
    shown = text(pages.get(reverse("dashboard")))
    assert "done You watch 1 coin." in shown
    assert "done You have a portfolio." in shown
    pk = Portfolio.objects.get().pk
    pages.post(reverse("transaction-add", args=[pk]), typed())
    assert "Three steps" not in text(pages.get(reverse("dashboard")))


def test_it_sums_all_portfolios_on_the_dashboard(pages: Client, book: Book, alice: User, ether: Cryptocurrency) -> None:
    book("buy", "0.5", 3, "40000")
    other = services.create_portfolio(owner=alice, name="Other")
    services.add_transaction(portfolio=other, coin=ether, kind="buy", quantity=Decimal(2))
    answer = pages.get(reverse("dashboard"))
    dashboard = answer.context["dashboard"]
    assert dashboard.value_usd == 36001
    assert dashboard.change_24h_usd == 6000 - 6001
    assert dashboard.change_24h_percent == pytest.approx(-1 / 36002 * 100)
    shown = text(answer)
    assert "$36,001.00" in shown
    assert "Savings" in shown
    assert "Other" in shown
    assert "As of" in shown
    assert "stale" not in shown


def test_it_says_that_the_dashboard_is_stale_and_partial(pages: Client, book: Book, unpriced: Cryptocurrency) -> None:
    book("transfer_in", "1", 1, None, coin=unpriced)
    shown = text(pages.get(reverse("dashboard")))
    assert "partial: a holding has no price" in shown
    assert "Value of all —" in shown


def test_it_asks_as_many_questions_for_many_watched_coins_as_for_one(
    pages: Client, alice: User, bitcoin: Cryptocurrency, ether: Cryptocurrency, unpriced: Cryptocurrency
) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    services.watch_coin(user=alice, coin=bitcoin)
    pages.get(reverse("dashboard"))
    with CaptureQueriesContext(connection) as one:
        pages.get(reverse("dashboard"))
    services.watch_coin(user=alice, coin=ether)
    services.watch_coin(user=alice, coin=unpriced)
    with CaptureQueriesContext(connection) as three:
        pages.get(reverse("dashboard"))
    assert len(three) == len(one)


def test_it_shows_a_portfolios_holdings_results_and_ledger(
    pages: Client, book: Book, savings: Portfolio, bitcoin: Cryptocurrency, ether: Cryptocurrency
) -> None:
    book("buy", "2", 9, "40000", note="first buy")
    book("sell", "0.5", 5, "50000", fee_usd=Decimal(1))
    book("buy", "1", 4, "10", coin=ether)
    book("sell", "1", 3, "30", coin=ether)
    answer = pages.get(reverse("portfolio", args=[savings.pk]))
    shown = text(answer)
    for expected in ("$90,000.00", "$60,000.00", "$30,000.00", "+50.00%", "$5,019.00", "100.0%", "first buy"):
        assert expected in shown
    assert "Held once" in shown
    assert '<rect x="0.0" y="0" width="100.0"' in answer.content.decode()
    assert "stale" not in shown


def test_it_marks_a_stale_price_and_an_unknown_cost(
    pages: Client, book: Book, savings: Portfolio, bitcoin: Cryptocurrency
) -> None:
    book("transfer_in", "1", 1, None)
    bitcoin.price_at = timezone.now() - timedelta(hours=3)
    bitcoin.save()
    shown = text(pages.get(reverse("portfolio", args=[savings.pk])))
    assert "stale: oldest price 3 hours ago" in shown
    assert "Something came in without a price" in shown
    assert "Cost of what is held —" in shown


def test_it_pages_a_long_ledger(pages: Client, savings: Portfolio, bitcoin: Cryptocurrency) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    Transaction.objects.bulk_create(
        Transaction(
            portfolio=savings,
            coin=bitcoin,
            kind="buy",
            quantity=1,
            unit_price_usd=1,
            occurred_at=at + timedelta(hours=hour),
            note=f"n{hour:03d}",
        )
        for hour in range(51)
    )
    url = reverse("portfolio", args=[savings.pk])
    first, second = text(pages.get(url)), text(pages.get(url, {"page": "2"}))
    assert "n050" in first
    assert "n000" not in first
    assert "n000" in second
    assert "Page 2 of 2, 51 transactions" in second


def test_it_adds_a_transaction_in_the_users_own_time_zone(
    pages: Client, savings: Portfolio, alice: User, bitcoin: Cryptocurrency
) -> None:
    alice.time_zone = "Asia/Tokyo"
    alice.save()
    url = reverse("transaction-add", args=[savings.pk])
    assert "Asia/Tokyo" in text(pages.get(url))
    sent = typed(quantity="0.5", note="hello")
    assert pages.post(url, sent).headers["Location"] == reverse("portfolio", args=[savings.pk])
    added = Transaction.objects.get()
    assert added.occurred_at == datetime(2026, 1, 5, 1, 0, tzinfo=UTC)
    assert (added.quantity, added.unit_price_usd, added.note) == (Decimal("0.5"), Decimal(100), "hello")
    assert "5 Jan 2026, 10:00 JST" in text(pages.get(reverse("portfolio", args=[savings.pk])))


@pytest.mark.parametrize("name", ["bitcoin", "Bitcoin", "BTC", "btc", " bitcoin "])
def test_it_finds_a_coin_by_id_name_or_symbol(
    pages: Client, savings: Portfolio, bitcoin: Cryptocurrency, name: str
) -> None:
    pages.post(reverse("transaction-add", args=[savings.pk]), typed(coin=name))
    assert Transaction.objects.get().coin == bitcoin


def test_it_asks_for_the_id_when_several_tracked_coins_share_a_symbol(
    pages: Client, savings: Portfolio, bitcoin: Cryptocurrency
) -> None:
    twin = Cryptocurrency.objects.create(coingecko_id="batcat", symbol="btc", name="Batcat")
    url = reverse("transaction-add", args=[savings.pk])
    pages.post(url, typed(coin="btc"))
    assert Transaction.objects.get().coin == bitcoin  # the other one is not tracked
    twin.is_tracked = True
    twin.save()
    shown = text(pages.post(url, typed(coin="btc")))
    assert "Several coins are called “btc”. Give the id: bitcoin, batcat." in shown
    assert Transaction.objects.count() == 1


def test_it_offers_the_tracked_coins_and_the_one_it_was_asked_for(
    pages: Client, savings: Portfolio, bitcoin: Cryptocurrency, unpriced: Cryptocurrency
) -> None:
    answer = pages.get(reverse("transaction-add", args=[savings.pk]), {"coin": "bitcoin"})
    html = answer.content.decode()
    assert '<option value="bitcoin">Bitcoin (BTC)</option>' in html
    assert 'value="obscure"' not in html
    assert re.search(r'<input[^>]*name="coin"[^>]*value="bitcoin"', html)


def test_it_takes_the_latest_price_for_a_trade_of_this_moment_only(
    pages: Client, savings: Portfolio, bitcoin: Cryptocurrency
) -> None:
    url = reverse("transaction-add", args=[savings.pk])
    now = timezone.now().strftime("%Y-%m-%dT%H:%M:%S")
    pages.post(url, typed(unit_price_usd="", occurred_at=now))
    assert Transaction.objects.get().unit_price_usd == 60000
    shown = text(pages.post(url, typed(unit_price_usd="")))
    assert "the latest one stands only for a trade of the last ten minutes" in shown
    assert Transaction.objects.count() == 1


BAD_INPUT = [
    ({"coin": ""}, "coin"),
    ({"coin": "nosuch"}, "coin"),
    ({"coin": "a\0b"}, "coin"),
    ({"kind": "gift"}, "kind"),
    ({"quantity": ""}, "quantity"),
    ({"quantity": "0"}, "quantity"),
    ({"quantity": "-1"}, "quantity"),
    ({"quantity": "NaN"}, "quantity"),
    ({"quantity": "1e999999999"}, "quantity"),
    ({"quantity": "1234567890.123456"}, "quantity"),
    ({"quantity": "9", "kind": "sell"}, "quantity"),
    ({"unit_price_usd": "-1"}, "unit_price_usd"),
    ({"unit_price_usd": "dear"}, "unit_price_usd"),
    ({"fee_usd": "-1"}, "fee_usd"),
    ({"occurred_at": ""}, "occurred_at"),
    ({"occurred_at": "soon"}, "occurred_at"),
    ({"occurred_at": "2999-01-01T00:00"}, "occurred_at"),
    ({"occurred_at": "0001-01-01T00:00"}, "occurred_at"),
    ({"note": "x" * 201}, "note"),
]


@pytest.mark.parametrize(("bad", "field"), BAD_INPUT)
def test_it_shows_what_is_wrong_with_a_transaction_and_keeps_the_ledger(
    pages: Client, book: Book, savings: Portfolio, bad: dict[str, str], field: str
) -> None:
    entry = book("buy", "1", 1)
    before = rows()
    for url in (
        reverse("transaction-add", args=[savings.pk]),
        reverse("transaction-edit", args=[savings.pk, entry.pk]),
    ):
        answer = pages.post(url, typed(**bad))
        assert answer.status_code == 200
        assert list(answer.context["form"].errors) == [field]
        assert 'class="error"' in answer.content.decode()
        assert rows() == before


def test_it_edits_a_transaction_and_keeps_what_was_not_touched(pages: Client, book: Book, savings: Portfolio) -> None:
    entry = book("buy", "1.5", 3, "100.25", note="old")
    url = reverse("transaction-edit", args=[savings.pk, entry.pk])
    form = pages.get(url).context["form"]
    sent = {name: form[name].value() for name in form.fields}
    assert sent["quantity"] == "1.5"
    sent["occurred_at"] = entry.occurred_at.strftime("%Y-%m-%dT%H:%M:%S")
    assert pages.post(url, {**sent, "note": "new"}).status_code == 302
    before = entry.occurred_at
    entry.refresh_from_db()
    assert (entry.note, entry.quantity, entry.unit_price_usd) == ("new", Decimal("1.5"), Decimal("100.25"))
    assert entry.occurred_at == before  # to the microsecond, which the input does not show


def test_it_refuses_a_back_dated_edit_and_a_deletion_that_would_oversell(
    pages: Client, book: Book, savings: Portfolio
) -> None:
    bought = book("buy", "1", 9)
    book("sell", "1", 5)
    before = rows()
    edit = reverse("transaction-edit", args=[savings.pk, bought.pk])
    assert "only 0.5 would be held" in text(pages.post(edit, typed(quantity="0.5")))
    delete = reverse("transaction-delete", args=[savings.pk, bought.pk])
    shown = text(pages.post(delete))
    assert "only 0 would be held" in shown
    assert "Nothing was changed." in shown
    assert rows() == before


def test_it_asks_before_it_deletes(pages: Client, book: Book, savings: Portfolio) -> None:
    entry = book("buy", "1", 9)
    url = reverse("transaction-delete", args=[savings.pk, entry.pk])
    assert "Delete this transaction?" in text(pages.get(url))
    assert len(rows()) == 1
    assert pages.post(url).status_code == 302
    assert rows() == {}
    url = reverse("portfolio-delete", args=[savings.pk])
    assert "Delete Savings?" in text(pages.get(url))
    assert Portfolio.objects.count() == 1
    assert pages.post(url).headers["Location"] == reverse("dashboard")
    assert Portfolio.objects.count() == 0


def test_it_creates_and_renames_a_portfolio(pages: Client) -> None:
    answer = pages.post(reverse("portfolio-create"), {"name": "Savings"})
    made = Portfolio.objects.get()
    assert answer.headers["Location"] == reverse("portfolio", args=[made.pk])
    assert "Nothing here yet" in text(pages.get(answer.headers["Location"]))
    pages.post(reverse("portfolio-rename", args=[made.pk]), {"name": "Later"})
    made.refresh_from_db()
    assert made.name == "Later"


@pytest.mark.parametrize("name", ["", "   ", "x" * 81, "savings", "a\0b"])
def test_it_shows_what_is_wrong_with_a_name(pages: Client, alice: User, savings: Portfolio, name: str) -> None:
    other = services.create_portfolio(owner=alice, name="Other")
    for url in (reverse("portfolio-create"), reverse("portfolio-rename", args=[other.pk])):
        answer = pages.post(url, {"name": name})
        assert list(answer.context["form"].errors) == ["name"]
        assert sorted(Portfolio.objects.values_list("name", flat=True)) == ["Other", "Savings"]


def test_it_toggles_the_star_and_goes_back(pages: Client, alice: User, bitcoin: Cryptocurrency) -> None:
    url = reverse("watch", args=["bitcoin"])
    assert pages.post(url, {"next": "/?page=2"}).headers["Location"] == "/?page=2"
    assert WatchlistItem.objects.filter(user=alice, coin=bitcoin).exists()
    for elsewhere in ("https://evil.example/", "//evil.example", "javascript:alert(1)"):
        assert pages.post(url, {"next": elsewhere}).headers["Location"] == reverse("dashboard")
    assert not WatchlistItem.objects.exists()
    assert pages.get(url).status_code == 405
    assert pages.post(reverse("watch", args=["nosuch"])).status_code == 404
    assert pages.post("/watchlist/a%00b/").status_code == 404


def test_it_takes_no_change_without_a_csrf_token(alice: User, savings: Portfolio, bitcoin: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    assert client.post(reverse("portfolio-delete", args=[savings.pk])).status_code == 403
    assert client.post(reverse("watch", args=["bitcoin"])).status_code == 403
    assert Portfolio.objects.count() == 1


def test_it_hides_what_is_alices_from_bob_and_sends_charlie_to_sign_in(
    book: Book, savings: Portfolio, bob: User
) -> None:
    entry = book("buy", "1", 1)
    before = rows()
    own = [
        reverse(name, args=[savings.pk])
        for name in ("portfolio", "portfolio-rename", "portfolio-delete", "transaction-add")
    ]
    own += [reverse(name, args=[savings.pk, entry.pk]) for name in ("transaction-edit", "transaction-delete")]
    for url in own:
        methods = ["get"] if url == own[0] else ["get", "post"]
        for method in methods:
            sent = {**typed(), "name": "Taken"}
            assert getattr(page_client(bob), method)(url, sent).status_code == 404, (method, url)
            answer = getattr(page_client(None), method)(url, sent)
            assert answer.status_code == 302
            assert answer.headers["Location"].startswith(reverse("sign-in")), (method, url)
    for name in ("dashboard", "portfolio-create"):
        assert page_client(None).get(reverse(name)).headers["Location"].startswith(reverse("sign-in"))
    assert page_client(None).post(reverse("watch", args=["bitcoin"])).status_code == 302
    assert "Savings" not in text(page_client(bob).get(reverse("dashboard")))
    assert rows() == before
    assert WatchlistItem.objects.count() == 0
    assert Portfolio.objects.get().name == "Savings"


def test_it_lets_nobody_keep_a_copy(pages: Client, savings: Portfolio) -> None:
    for url in (reverse("dashboard"), reverse("portfolio", args=[savings.pk])):
        assert "no-store" in pages.get(url).headers["Cache-Control"]
