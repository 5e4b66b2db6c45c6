"""What a ledger of transactions is worth: holdings, cost basis, realised and unrealised result, allocation.

Cost follows *first in, first out* (IAS 2 "Inventories", paragraph 27: what was bought first is sold first).
In US dollars:

- a buy opens a lot that cost quantity x unit price + fee;
- a transfer in opens a lot that cost quantity x unit price, or an unknown cost when it has no price;
- a sell takes the oldest lots and realises quantity x unit price - fee - their cost;
- a fee paid in the coin takes the oldest lots and realises minus their cost: nothing was got for them;
- a transfer out takes the oldest lots and realises nothing: they are still their owner's, only elsewhere;
- the dollar fee of a transfer, or of a fee paid in the coin, realises minus that fee;
- unrealised result = value - cost of the lots still held.

What is not known is None and never 0; a total that leaves something unknown out says that it is partial.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal, localcontext

# Enough for exact products of two 38-digit numbers and their sums; only the splitting of a lot's cost rounds.
PRECISION = 120
MONEY_STEP = Decimal("1e-18")
ZERO = Decimal(0)

INCOMING = frozenset({"buy", "transfer_in"})
OUTGOING = frozenset({"sell", "transfer_out", "fee"})


class Oversold(Exception):
    """At the instant `at` the ledger takes out `wanted` of a coin of which only `held` is there."""

    def __init__(self, coin: str, at: datetime, held: Decimal, wanted: Decimal) -> None:
        super().__init__(f"{wanted} {coin} go out at {at.isoformat()}, but only {held} are held then.")
        self.coin = coin
        self.at = at
        self.held = held
        self.wanted = wanted


@dataclass(frozen=True, slots=True)
class Entry:
    """One transaction; `coin` is any name of the coin, `kind` one of INCOMING or OUTGOING."""

    coin: str
    kind: str
    quantity: Decimal
    unit_price_usd: Decimal | None
    fee_usd: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class Price:
    """A coin's price at a moment, and its change over the 24 hours before, where that is known."""

    usd: Decimal
    at: datetime
    is_stale: bool = False
    change_24h_percent: float | None = None


@dataclass(slots=True)
class Lot:
    """Coins that came in together; `cost_usd` is that of the whole lot."""

    quantity: Decimal
    cost_usd: Decimal | None


@dataclass(slots=True)
class Position:
    """What a replayed ledger leaves of one coin."""

    coin: str
    lots: deque[Lot] = field(default_factory=deque)
    quantity: Decimal = ZERO
    realised_usd: Decimal | None = ZERO

    @property
    def cost_basis_usd(self) -> Decimal | None:
        return total_of(lot.cost_usd for lot in self.lots)

    def put(self, quantity: Decimal, cost_usd: Decimal | None) -> None:
        self.lots.append(Lot(quantity, cost_usd))
        self.quantity += quantity

    def take(self, quantity: Decimal, at: datetime) -> Decimal | None:
        """Takes the oldest lots; returns what they cost."""
        if quantity > self.quantity:
            raise Oversold(self.coin, at, self.quantity, quantity)
        self.quantity -= quantity
        costs: list[Decimal | None] = []
        while quantity:
            part = min(quantity, self.lots[0].quantity)
            costs.append(self._take_from_oldest(part))
            quantity -= part
        return total_of(costs)

    def _take_from_oldest(self, part: Decimal) -> Decimal | None:
        lot = self.lots[0]
        if part == lot.quantity:
            return self.lots.popleft().cost_usd
        cost = None if lot.cost_usd is None else lot.cost_usd * part / lot.quantity
        lot.quantity -= part
        lot.cost_usd = _minus(lot.cost_usd, cost)
        return cost

    def realise(self, result_usd: Decimal | None) -> None:
        self.realised_usd = total_of((self.realised_usd, result_usd))


@dataclass(frozen=True, slots=True)
class Holding:
    """One coin of a valuation; money in US dollars, to 18 decimals.

    `allocation` is the share, 0 to 1, in the value of all priced holdings.
    """

    coin: str
    quantity: Decimal
    cost_basis_usd: Decimal | None
    realised_usd: Decimal | None
    price: Price | None
    value_usd: Decimal | None
    unrealised_usd: Decimal | None
    change_24h_usd: Decimal | None
    allocation: float | None = None

    @property
    def unrealised_percent(self) -> float | None:
        return percent_of(self.unrealised_usd, self.cost_basis_usd)


@dataclass(frozen=True, slots=True)
class Valuation:
    """A ledger at the moment `as_of`: what is held, what was held once, and the totals of both.

    A total sums what is known and is None when nothing of it is; `is_partial` says that a value is missing in
    the sums, `is_cost_partial` that a cost or a result is. `priced_at` is the time of the oldest price used.
    """

    as_of: datetime
    holdings: list[Holding]
    closed: list[Holding]
    value_usd: Decimal | None
    cost_basis_usd: Decimal | None
    realised_usd: Decimal | None
    unrealised_usd: Decimal | None
    change_24h_usd: Decimal | None
    is_partial: bool
    is_cost_partial: bool
    is_stale: bool
    priced_at: datetime | None

    @property
    def change_24h_percent(self) -> float | None:
        """The change of what is held now, in per cent of its value 24 hours earlier."""
        return percent_of(self.change_24h_usd, _minus(self.value_usd, self.change_24h_usd))

    @property
    def unrealised_percent(self) -> float | None:
        known = [one.cost_basis_usd for one in self.holdings if one.unrealised_usd is not None]
        return percent_of(self.unrealised_usd, total_of(known))


def decimal_price(price_usd: float) -> Decimal:
    """The shortest decimal that names this double; raises ValueError for what is no price."""
    price = Decimal(repr(float(price_usd)))
    if not price.is_finite() or price <= 0:
        raise ValueError(f"{price_usd!r} is not a price.")
    return price


def decimal_text(number: Decimal) -> str:
    """All digits of a number, without an exponent and without needless zeros."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def replay(entries: Iterable[Entry]) -> dict[str, Position]:
    """Each coin's position after all entries, oldest first; raises Oversold at the first that cannot be."""
    positions: dict[str, Position] = {}
    with localcontext(prec=PRECISION):
        for entry in entries:
            _apply(positions.setdefault(entry.coin, Position(entry.coin)), entry)
    return positions


def value_ledger(entries: Iterable[Entry], prices: Mapping[str, Price], *, as_of: datetime) -> Valuation:
    """Values the entries up to and at `as_of`, oldest first, at the given prices by coin; raises Oversold."""
    positions = replay(entry for entry in entries if entry.at <= as_of)
    with localcontext(prec=PRECISION):
        rows = [_hold(position, prices.get(coin)) for coin, position in positions.items()]
        held = [row for row in rows if row.quantity]
        closed = sorted((row for row in rows if not row.quantity), key=lambda row: row.coin)
        return _total(held, closed, as_of)


def _apply(position: Position, entry: Entry) -> None:
    worth = None if entry.unit_price_usd is None else entry.quantity * entry.unit_price_usd
    if entry.kind == "buy":
        position.put(entry.quantity, total_of((worth, entry.fee_usd)))
        return
    match entry.kind:
        case "transfer_in":
            position.put(entry.quantity, worth)
        case "transfer_out":
            position.take(entry.quantity, entry.at)
        case "sell":
            position.realise(_minus(worth, position.take(entry.quantity, entry.at)))
        case "fee":
            position.realise(_minus(ZERO, position.take(entry.quantity, entry.at)))
        case _:
            raise ValueError(f"{entry.kind!r} is not a kind of transaction.")
    position.realise(-entry.fee_usd)


def _hold(position: Position, price: Price | None) -> Holding:
    cost = _rounded(position.cost_basis_usd)
    value = None if price is None else _rounded(position.quantity * price.usd)
    return Holding(
        coin=position.coin,
        quantity=position.quantity,
        cost_basis_usd=cost,
        realised_usd=_rounded(position.realised_usd),
        price=price,
        value_usd=value,
        unrealised_usd=_minus(value, cost),
        change_24h_usd=_change_24h(value, price),
    )


def _change_24h(value: Decimal | None, price: Price | None) -> Decimal | None:
    """value - value / (1 + change): None without a change, or when the price fell from an infinite one."""
    if value is None or price is None or price.change_24h_percent is None or price.change_24h_percent <= -100:
        return None
    growth = 1 + Decimal(repr(price.change_24h_percent)) / 100
    return _rounded(value - value / growth)


def _total(held: list[Holding], closed: list[Holding], as_of: datetime) -> Valuation:
    everything = held + closed
    value = total_of_known(row.value_usd for row in held)
    prices = [row.price for row in held if row.price is not None]
    is_partial = len(prices) < len(held)
    return Valuation(
        as_of=as_of,
        holdings=sorted((_allot(row, value) for row in held), key=_largest_first),
        closed=closed,
        value_usd=value,
        cost_basis_usd=total_of_known(row.cost_basis_usd for row in held),
        realised_usd=total_of_known(row.realised_usd for row in everything),
        unrealised_usd=total_of_known(row.unrealised_usd for row in held),
        change_24h_usd=total_of(row.change_24h_usd for row in held),
        is_partial=is_partial,
        is_cost_partial=any(row.cost_basis_usd is None or row.realised_usd is None for row in everything),
        is_stale=is_partial or any(price.is_stale for price in prices),
        priced_at=min((price.at for price in prices), default=None),
    )


def _allot(row: Holding, total: Decimal | None) -> Holding:
    if row.value_usd is None or not total:
        return row
    return replace(row, allocation=float(row.value_usd / total))


def _largest_first(row: Holding) -> tuple[bool, Decimal, str]:
    return row.value_usd is None, -(row.value_usd or ZERO), row.coin


def total_of(amounts: Iterable[Decimal | None]) -> Decimal | None:
    """The sum; unknown as soon as one amount is."""
    total = ZERO
    for amount in amounts:
        if amount is None:
            return None
        total += amount
    return total


def total_of_known(amounts: Iterable[Decimal | None]) -> Decimal | None:
    """The sum of what is known; 0 for no amounts at all, unknown when each one is."""
    everything = list(amounts)
    known = [amount for amount in everything if amount is not None]
    return total_of(known) if known or not everything else None


def _minus(left: Decimal | None, right: Decimal | None) -> Decimal | None:
    return None if left is None or right is None else left - right


def _rounded(amount: Decimal | None) -> Decimal | None:
    return None if amount is None else amount.quantize(MONEY_STEP)


def percent_of(part: Decimal | None, whole: Decimal | None) -> float | None:
    """100 x part / whole; unknown when either is, or when the whole is 0."""
    return None if part is None or not whole else float(part / whole * 100)
