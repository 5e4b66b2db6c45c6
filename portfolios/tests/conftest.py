"""Alice owns, Bob is another user, Charlie is not signed in."""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User
from markets.models import Cryptocurrency
from portfolios import services
from portfolios.models import Portfolio, Transaction

PASSWORD = "correct-horse-9"


@pytest.fixture
def alice(db: None) -> User:
    return User.objects.create_user("alice@example.org", PASSWORD)


@pytest.fixture
def bob(db: None) -> User:
    return User.objects.create_user("bob@example.org", PASSWORD)


@pytest.fixture
def bitcoin(db: None) -> Cryptocurrency:
    return Cryptocurrency.objects.create(
        coingecko_id="bitcoin",
        symbol="btc",
        name="Bitcoin",
        is_tracked=True,
        market_cap_rank=1,
        price_usd=60000.0,
        price_at=timezone.now(),
        change_24h_percent=25.0,
    )


@pytest.fixture
def ether(db: None) -> Cryptocurrency:
    return Cryptocurrency.objects.create(
        coingecko_id="ethereum",
        symbol="eth",
        name="Ethereum",
        is_tracked=True,
        market_cap_rank=2,
        price_usd=3000.5,
        price_at=timezone.now(),
        change_24h_percent=-50.0,
    )


@pytest.fixture
def unpriced(db: None) -> Cryptocurrency:
    return Cryptocurrency.objects.create(coingecko_id="obscure", symbol="obs", name="Obscure")


@pytest.fixture
def savings(alice: User) -> Portfolio:
    return services.create_portfolio(owner=alice, name="Savings")


@pytest.fixture
def ago() -> Callable[[float], datetime]:
    """The moment so many days ago; days of one test count from the same instant."""
    now = timezone.now()
    return lambda days: now - timedelta(days=days)


@pytest.fixture
def book(savings: Portfolio, bitcoin: Cryptocurrency, ago: Callable[[float], datetime]) -> Callable[..., Transaction]:
    """Adds a transaction to Alice's savings: kind, quantity, how many days ago."""

    def add(kind: str, quantity: str, days: float, price: str | None = "100", **more: Any) -> Transaction:
        values = {"coin": bitcoin, "fee_usd": Decimal(0), **more}
        unit_price = None if price is None else Decimal(price)
        return services.add_transaction(
            portfolio=savings,
            kind=kind,
            quantity=Decimal(quantity),
            unit_price_usd=unit_price,
            occurred_at=ago(days),
            **values,
        )

    return add


def page_client(user: User | None) -> Client:
    client = Client()
    if user is not None:
        client.force_login(user)
    return client


def api_client(user: User | None) -> APIClient:
    client = APIClient()
    if user is not None:
        client.force_authenticate(user)
    return client


def rows() -> dict[int, tuple[Any, ...]]:
    """Every transaction as it stands, to compare before and after."""
    names = ("portfolio_id", "coin_id", "kind", "quantity", "unit_price_usd", "fee_usd", "occurred_at", "note")
    return {row[0]: row[1:] for row in Transaction.objects.values_list("pk", *names)}
