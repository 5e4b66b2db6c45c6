"""Search finds the coin that was meant, even when it is misspelt."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from markets.models import Cryptocurrency
from markets.search import search_coins

COINS = [
    ("bitcoin", "btc", "Bitcoin", 1), ("ethereum", "eth", "Ethereum", 2), ("solana", "sol", "Solana", 5),
    ("dogecoin", "doge", "Dogecoin", 8), ("bitcoin-cash", "bch", "Bitcoin Cash", 20),
    ("wrapped-bitcoin", "wbtc", "Wrapped Bitcoin", 15), ("batcat", "btc", "batcat", None),
    ("ethereum-classic", "etc", "Ethereum Classic", 30), ("100-percent", "100%", "100% Coin", 900),
]  # fmt: skip


@pytest.fixture(autouse=True)
def coins(db: None) -> None:
    Cryptocurrency.objects.bulk_create(
        Cryptocurrency(coingecko_id=coin, symbol=symbol, name=name, market_cap_rank=rank)
        for coin, symbol, name, rank in COINS
    )
    Cryptocurrency.objects.create(coingecko_id="bitcoin-gone", symbol="gone", name="Bitcoin Gone", is_listed=False)


def ids(text: str, limit: int = 10) -> list[str]:
    return [coin.coingecko_id for coin in search_coins(text, limit=limit)]


def test_it_puts_whole_matches_first_then_beginnings_then_parts() -> None:
    assert ids("bitcoin")[:3] == ["bitcoin", "bitcoin-cash", "wrapped-bitcoin"]


def test_it_ranks_equal_symbols_by_market_cap() -> None:
    assert ids("BTC") == ["bitcoin", "batcat", "wrapped-bitcoin"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("bitcon", "bitcoin"), ("bticoin", "bitcoin"), ("Etherium", "ethereum"), ("etherum", "ethereum"),
        ("solanna", "solana"), ("dogcoin", "dogecoin"), ("bitcoin csah", "bitcoin-cash"),
    ],
)  # fmt: skip
def test_it_forgives_typing_errors(typed: str, meant: str) -> None:
    assert ids(typed)[0] == meant


def test_it_ignores_case_and_needless_spaces() -> None:
    assert ids("  ETHEREUM   classic ")[0] == "ethereum-classic"


def test_it_finds_nothing_for_nonsense_or_nothing() -> None:
    assert [ids(text) for text in ("zzzzqqqq", "", "   ", "\x00")] == [[], [], [], []]


def test_it_takes_wildcards_literally() -> None:
    assert ids("%") == ["100-percent"]
    assert ids("_") == []


def test_it_leaves_out_coins_that_are_no_longer_listed() -> None:
    assert "bitcoin-gone" not in ids("bitcoin gone")


def test_it_keeps_to_the_limit() -> None:
    assert ids("bitcoin", limit=2) == ["bitcoin", "bitcoin-cash"]
    assert ids("bitcoin", limit=0) == []


def test_it_takes_at_most_three_queries() -> None:
    Cryptocurrency.objects.bulk_create(
        Cryptocurrency(coingecko_id=f"coin-{i}", symbol=f"c{i}", name=f"Some coin {i}") for i in range(1000)
    )
    with CaptureQueriesContext(connection) as queries:
        search_coins("bitcon", limit=10)
    assert len(queries) == 3
