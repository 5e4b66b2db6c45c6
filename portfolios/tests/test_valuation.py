"""The valuation against examples worked by hand, and against a restatement that counts single coins."""

import random
from collections import deque
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from portfolios.valuation import Entry, Oversold, Price, Valuation, decimal_price, replay, value_ledger

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = START + timedelta(days=100)


def entry(
    kind: str, quantity: str, price: str | None = None, *, day: int = 0, fee: str = "0", coin: str = "bitcoin"
) -> Entry:
    unit_price = None if price is None else Decimal(price)
    return Entry(coin, kind, Decimal(quantity), unit_price, Decimal(fee), START + timedelta(days=day))


def price(usd: str, *, change: float | None = 0.0, is_stale: bool = False, at: datetime = NOW) -> Price:
    return Price(Decimal(usd), at, is_stale, change)


def value(entries: list[Entry], **prices: Price) -> Valuation:
    return value_ledger(entries, prices, as_of=NOW)


def test_it_sells_the_oldest_coins_first() -> None:
    # 2 at 100 and 2 at 200; selling 3 at 300 takes both of the first and one of the second: 900 - (200 + 200).
    worth = value(
        [entry("buy", "2", "100"), entry("buy", "2", "200", day=1), entry("sell", "3", "300", day=2)],
        bitcoin=price("400"),
    )
    (holding,) = worth.holdings
    assert holding.quantity == 1
    assert holding.cost_basis_usd == 200
    assert holding.realised_usd == 500
    assert holding.value_usd == 400
    assert holding.unrealised_usd == 200
    assert holding.unrealised_percent == 100.0


def test_it_adds_a_buys_fee_to_the_cost_and_takes_a_sells_fee_from_the_result() -> None:
    worth = value([entry("buy", "4", "100", fee="8"), entry("sell", "1", "150", fee="3", day=1)], bitcoin=price("100"))
    assert worth.realised_usd == 150 - 3 - 102
    assert worth.cost_basis_usd == 3 * 102
    assert worth.unrealised_usd == 300 - 306


def test_it_counts_coins_paid_as_a_fee_as_a_loss_of_their_cost() -> None:
    worth = value([entry("buy", "10", "5"), entry("fee", "2", day=1)], bitcoin=price("7"))
    assert worth.realised_usd == -10
    assert worth.cost_basis_usd == 40
    assert worth.value_usd == 56


def test_it_realises_nothing_when_coins_move_elsewhere_but_their_dollar_fee() -> None:
    worth = value([entry("buy", "10", "5"), entry("transfer_out", "4", fee="1.5", day=1)], bitcoin=price("5"))
    assert worth.realised_usd == Decimal("-1.5")
    assert worth.cost_basis_usd == 30


def test_it_takes_a_priced_transfer_in_at_its_price() -> None:
    worth = value([entry("transfer_in", "2", "50", fee="1")], bitcoin=price("60"))
    assert worth.cost_basis_usd == 100
    assert worth.unrealised_usd == 20
    assert worth.realised_usd == -1
    assert not worth.is_cost_partial


def test_it_does_not_know_the_cost_of_a_transfer_in_without_a_price() -> None:
    worth = value(
        [entry("transfer_in", "1"), entry("buy", "1", "100", day=1), entry("sell", "1", "500", day=2)],
        bitcoin=price("300"),
    )
    (holding,) = worth.holdings
    assert holding.realised_usd is None
    assert worth.realised_usd is None
    assert worth.is_cost_partial
    assert holding.cost_basis_usd == 100  # the unknown lot is gone
    assert holding.unrealised_usd == 200


def test_it_leaves_what_has_no_price_unknown_and_marks_the_total_partial() -> None:
    entries = [entry("buy", "1", "10"), entry("buy", "5", "2", coin="obscure")]
    worth = value(entries, bitcoin=price("30"))
    known, unknown = worth.holdings
    assert (known.coin, known.value_usd, known.allocation) == ("bitcoin", Decimal(30), 1.0)
    assert (unknown.value_usd, unknown.unrealised_usd, unknown.allocation) == (None, None, None)
    assert worth.value_usd == 30
    assert worth.unrealised_usd == 20
    assert worth.unrealised_percent == 200.0
    assert worth.is_partial
    assert worth.is_stale
    assert worth.change_24h_usd is None


def test_it_does_not_call_an_unknown_total_zero() -> None:
    worth = value([entry("buy", "5", "2", coin="obscure")])
    assert worth.value_usd is None
    assert worth.unrealised_usd is None
    assert worth.cost_basis_usd == 10
    assert worth.priced_at is None


def test_it_values_an_empty_ledger_at_zero_and_knows_it() -> None:
    worth = value([])
    assert (worth.value_usd, worth.realised_usd, worth.change_24h_usd) == (Decimal(0),) * 3
    assert not worth.is_partial
    assert not worth.is_stale
    assert worth.change_24h_percent is None


def test_it_shares_the_value_out_over_the_holdings_largest_first() -> None:
    entries = [entry("buy", "1", "1", coin="small"), entry("buy", "3", "1", coin="large")]
    worth = value(entries, small=price("10"), large=price("10"))
    assert [(one.coin, one.allocation) for one in worth.holdings] == [("large", 0.75), ("small", 0.25)]


def test_it_works_the_24_hour_change_out_backwards() -> None:
    # 125 after +25 % was 100; 50 after -50 % was 100: together 200 became 175.
    entries = [entry("buy", "1", "1", coin="a"), entry("buy", "1", "1", coin="b")]
    worth = value(entries, a=price("125", change=25.0), b=price("50", change=-50.0))
    assert worth.change_24h_usd == -25
    assert worth.change_24h_percent == -12.5


@pytest.mark.parametrize("change", [None, -100.0])
def test_it_does_not_know_the_change_when_a_coins_change_says_nothing(change: float | None) -> None:
    worth = value([entry("buy", "1", "1")], bitcoin=price("10", change=change))
    assert worth.change_24h_usd is None


def test_it_tells_the_oldest_price_and_that_one_is_stale() -> None:
    entries = [entry("buy", "1", "1", coin="a"), entry("buy", "1", "1", coin="b")]
    old = NOW - timedelta(hours=3)
    worth = value(entries, a=price("1"), b=price("1", is_stale=True, at=old))
    assert worth.priced_at == old
    assert worth.is_stale


def test_it_ignores_what_happened_after_the_moment_it_values() -> None:
    entries = [entry("buy", "2", "10"), entry("sell", "1", "99", day=5)]
    worth = value_ledger(entries, {"bitcoin": price("20")}, as_of=START + timedelta(days=4))
    assert worth.holdings[0].quantity == 2
    assert worth.realised_usd == 0


def test_it_keeps_the_result_of_a_coin_that_is_held_no_more() -> None:
    worth = value([entry("buy", "1", "10"), entry("sell", "1", "15", day=1)])
    assert worth.holdings == []
    assert [(one.coin, one.quantity, one.realised_usd) for one in worth.closed] == [("bitcoin", Decimal(0), Decimal(5))]
    assert worth.realised_usd == 5
    assert not worth.is_partial


@pytest.mark.parametrize("kind", ["sell", "transfer_out", "fee"])
def test_it_refuses_to_take_out_more_than_is_held_at_that_moment(kind: str) -> None:
    entries = [entry("buy", "1", "10"), entry(kind, "1.5", "10", day=3), entry("buy", "9", "10", day=4)]
    with pytest.raises(Oversold) as caught:
        replay(entries)
    fault = caught.value
    assert (fault.coin, fault.at, fault.held, fault.wanted) == (
        "bitcoin",
        START + timedelta(days=3),
        Decimal(1),
        Decimal("1.5"),
    )


def test_it_notices_the_smallest_unit_too_much() -> None:
    entries = [entry("buy", "10000000000000000000", "1"), entry("buy", "0.000000000000000001", "1", day=1)]
    enough = entry("sell", "10000000000000000000.000000000000000001", "1", day=2)
    assert replay([*entries, enough])["bitcoin"].quantity == 0
    with pytest.raises(Oversold):
        replay([*entries, entry("sell", "10000000000000000000.000000000000000002", "1", day=2)])


def test_it_knows_no_other_kind_of_transaction() -> None:
    with pytest.raises(ValueError, match="gift"):
        replay([entry("gift", "1", "1")])


def test_it_reads_a_double_as_its_shortest_decimal() -> None:
    assert decimal_price(0.1) == Decimal("0.1")
    assert decimal_price(1.234e-11) == Decimal("1.234E-11")


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_it_takes_nothing_for_a_price_that_is_none(bad: float) -> None:
    with pytest.raises(ValueError, match="not a price"):
        decimal_price(bad)


class CoinByCoin:
    """The same rules, told one single coin at a time with fractions: a queue of what each coin cost."""

    def __init__(self) -> None:
        self.coins: deque[Fraction | None] = deque()
        self.realised: Fraction | None = Fraction(0)

    def add(self, result: Fraction | None) -> None:
        self.realised = None if result is None or self.realised is None else self.realised + result

    def apply(self, one: Entry) -> bool:
        count, fee = int(one.quantity), Fraction(one.fee_usd)
        unit = None if one.unit_price_usd is None else Fraction(one.unit_price_usd)
        if one.kind == "buy":
            assert unit is not None
            self.coins.extend([unit + fee / count] * count)
            return True
        if one.kind == "transfer_in":
            self.coins.extend([unit] * count)
        elif count > len(self.coins):
            return False
        else:
            for cost in [self.coins.popleft() for _ in range(count)]:
                if one.kind == "sell":
                    assert unit is not None
                    self.add(None if cost is None else unit - cost)
                elif one.kind == "fee":
                    self.add(None if cost is None else -cost)
        self.add(-fee)
        return True


def random_entry(draw: random.Random, day: int) -> Entry:
    kind = draw.choice(["buy", "buy", "transfer_in", "sell", "sell", "transfer_out", "fee"])
    is_priced = kind in {"buy", "sell"} or draw.random() < 0.7
    unit = f"{draw.randrange(1, 10_000)}.{draw.randrange(1000):03d}" if is_priced else None
    fee = f"0.{draw.randrange(100):02d}" if draw.random() < 0.5 else "0"
    return entry(kind, str(draw.randrange(1, 9)), unit, day=day, fee=fee)


@pytest.mark.parametrize("seed", range(60))
def test_it_agrees_with_counting_single_coins_on_random_ledgers(seed: int) -> None:
    draw = random.Random(seed)
    naive, entries = CoinByCoin(), []
    for day in range(60):
        one = random_entry(draw, day)
        if naive.apply(one):
            entries.append(one)
        else:
            with pytest.raises(Oversold):
                replay([*entries, one])
    worth = value(entries, bitcoin=price("1234.5"))
    (holding,) = worth.holdings + worth.closed
    assert holding.quantity == len(naive.coins)
    assert_same(holding.realised_usd, naive.realised)
    costs = list(naive.coins)
    assert_same(holding.cost_basis_usd, None if None in costs else sum(filter(None, costs), Fraction(0)))


def assert_same(amount: Decimal | None, expected: Fraction | None) -> None:
    if expected is None:
        assert amount is None
    else:
        assert amount is not None
        assert abs(Fraction(amount) - expected) <= Fraction(1, 10**18)
