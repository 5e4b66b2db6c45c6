"""Portfolios at the market's prices: now, and as they were known at a moment."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import User
from markets.models import Cryptocurrency, Interval, PriceData
from portfolios import services
from portfolios.models import Portfolio, Transaction
from portfolios.pricing import prices_at, value_portfolio, value_portfolios

Book = Callable[..., Transaction]
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def slot(coin: Cryptocurrency, interval: Interval, at: datetime, close: float) -> None:
    PriceData.objects.create(coin=coin, interval=interval, at=at, open=close, high=close, low=close, close=close)


def test_it_values_holdings_at_the_latest_prices(
    book: Book, savings: Portfolio, bitcoin: Cryptocurrency, ether: Cryptocurrency
) -> None:
    book("buy", "0.5", 3, "40000")
    book("buy", "2", 2, "3000", coin=ether)
    worth = value_portfolio(savings)
    assert [(coin, holding.value_usd) for holding, coin in worth.rows] == [
        (bitcoin, Decimal(30000)),
        (ether, Decimal(6001)),
    ]
    assert worth.valuation.value_usd == 36001
    assert worth.valuation.unrealised_usd == 10001
    assert worth.valuation.change_24h_usd == 6000 - 6001
    assert worth.valuation.priced_at == bitcoin.price_at
    assert not worth.valuation.is_stale


def test_it_calls_a_valuation_stale_when_one_price_is(book: Book, savings: Portfolio, bitcoin: Cryptocurrency) -> None:
    book("buy", "1", 3)
    bitcoin.price_at = timezone.now() - timedelta(minutes=11)
    bitcoin.save()
    valuation = value_portfolio(savings).valuation
    assert valuation.is_stale
    assert valuation.priced_at == bitcoin.price_at


def test_it_keeps_the_ledgers_of_several_portfolios_apart_in_two_queries(
    book: Book,
    alice: User,
    savings: Portfolio,
    bitcoin: Cryptocurrency,
    django_assert_num_queries: Callable[[int], Any],
) -> None:
    other = services.create_portfolio(owner=alice, name="Other")
    book("buy", "1", 3)
    services.add_transaction(portfolio=other, coin=bitcoin, kind="buy", quantity=Decimal(4))
    with django_assert_num_queries(2):
        worths = value_portfolios([other, savings])
    assert [worth.portfolio for worth in worths] == [other, savings]
    assert [worth.valuation.holdings[0].quantity for worth in worths] == [4, 1]


def test_it_knows_at_a_moment_only_the_slots_that_were_over_then(bitcoin: Cryptocurrency) -> None:
    slot(bitcoin, Interval.DAY, NOON.replace(hour=0) - timedelta(days=1), 100.0)
    slot(bitcoin, Interval.DAY, NOON.replace(hour=0), 999.0)  # over at midnight
    slot(bitcoin, Interval.HOUR, NOON - timedelta(hours=1), 110.0)
    slot(bitcoin, Interval.FIVE_MINUTES, NOON - timedelta(minutes=4), 120.0)  # over at 12:01
    price = prices_at([bitcoin], at=NOON)["bitcoin"]
    assert (price.usd, price.at, price.is_stale) == (Decimal(110), NOON, False)
    assert prices_at([bitcoin], at=NOON + timedelta(minutes=1))["bitcoin"].usd == 120
    assert prices_at([bitcoin], at=NOON - timedelta(minutes=1))["bitcoin"].usd == 100
    assert prices_at([bitcoin], at=NOON - timedelta(days=2)) == {}


def test_it_calls_an_old_price_of_the_past_stale(bitcoin: Cryptocurrency) -> None:
    slot(bitcoin, Interval.DAY, NOON - timedelta(days=4), 100.0)
    assert prices_at([bitcoin], at=NOON)["bitcoin"].is_stale


def test_it_values_the_ledger_as_it_stood(
    book: Book, savings: Portfolio, bitcoin: Cryptocurrency, ago: Callable[[float], datetime]
) -> None:
    book("buy", "2", 9, "10")
    book("sell", "2", 3, "30")
    slot(bitcoin, Interval.DAY, ago(6), 25.0)
    valuation = value_portfolio(savings, at=ago(4)).valuation
    assert (valuation.value_usd, valuation.cost_basis_usd, valuation.realised_usd) == (
        Decimal(50),
        Decimal(20),
        Decimal(0),
    )
    assert valuation.as_of == ago(4)


@pytest.mark.parametrize(
    "text", ["0.123456789012345", "99999999999999.9", "0.000123456789012345", "123456789012345000", "1E-18"]
)
def test_it_gets_back_what_it_stored_to_the_last_digit(book: Book, text: str) -> None:
    added = book("buy", text, 1, text, fee_usd=Decimal(text))
    stored = Transaction.objects.get(pk=added.pk)
    assert (stored.quantity, stored.unit_price_usd, stored.fee_usd) == (Decimal(text),) * 3


def test_it_values_the_past_at_sound_prices_only(bitcoin: Cryptocurrency) -> None:
    slot(bitcoin, Interval.DAY, NOON.replace(hour=0) - timedelta(days=2), 100.0)
    slot(bitcoin, Interval.DAY, NOON.replace(hour=0) - timedelta(days=1), 9.0)
    PriceData.objects.filter(close=9.0).update(is_quarantined=True)
    assert prices_at([bitcoin], at=NOON)["bitcoin"].usd == 100
