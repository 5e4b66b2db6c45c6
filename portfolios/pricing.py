"""Portfolios and watchlists at the market's prices, now or as they were known at a moment."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import OuterRef, Subquery
from django.utils import timezone

from markets.models import Cryptocurrency, Interval, PriceData
from portfolios.models import Portfolio, Transaction
from portfolios.valuation import Entry, Holding, Price, Valuation, decimal_price, value_ledger

# A price of the past may be this much older than the moment it stands for before it is called stale.
PAST_PRICE_FRESH_FOR = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Worth:
    """A portfolio's valuation, with the coins that its holdings name."""

    portfolio: Portfolio
    valuation: Valuation
    coins: dict[str, Cryptocurrency]

    @property
    def rows(self) -> list[tuple[Holding, Cryptocurrency]]:
        """What is held, largest value first."""
        return [(one, self.coins[one.coin]) for one in self.valuation.holdings]

    @property
    def closed_rows(self) -> list[tuple[Holding, Cryptocurrency]]:
        """What was held once."""
        return [(one, self.coins[one.coin]) for one in self.valuation.closed]


def value_portfolio(portfolio: Portfolio, *, at: datetime | None = None) -> Worth:
    """The portfolio's worth now, or as it stood at a moment of the past."""
    return value_portfolios([portfolio], at=at)[0]


def value_portfolios(portfolios: Sequence[Portfolio], *, at: datetime | None = None) -> list[Worth]:
    """The worth of each portfolio, in the order given; two queries for now, four for the past."""
    ledger = Transaction.objects.filter(portfolio__in=portfolios)
    rows = list(ledger.in_order())
    coins = {coin.pk: coin for coin in Cryptocurrency.objects.filter(pk__in=ledger.order_by().values("coin"))}
    prices = latest_prices(coins.values()) if at is None else prices_at(coins.values(), at=at)
    as_of = at or timezone.now()
    entries: dict[int, list[Entry]] = {portfolio.pk: [] for portfolio in portfolios}
    for row in rows:
        entries[row.portfolio_id].append(entry_of(row, coins[row.coin_id].coingecko_id))
    by_name = {coin.coingecko_id: coin for coin in coins.values()}
    return [
        Worth(portfolio, value_ledger(entries[portfolio.pk], prices, as_of=as_of), by_name) for portfolio in portfolios
    ]


def entry_of(row: Transaction, coin: str) -> Entry:
    return Entry(
        coin=coin,
        kind=row.kind,
        quantity=row.quantity,
        unit_price_usd=row.unit_price_usd,
        fee_usd=row.fee_usd,
        at=row.occurred_at,
    )


def latest_prices(coins: Iterable[Cryptocurrency]) -> dict[str, Price]:
    """The newest price of each coin that has one, by CoinGecko id."""
    now = timezone.now()
    return {
        coin.coingecko_id: Price(
            usd=decimal_price(coin.price_usd),
            at=coin.price_at,
            is_stale=coin.is_stale_at(now),
            change_24h_percent=coin.change_24h_percent,
        )
        for coin in coins
        if coin.price_usd is not None and coin.price_at is not None
    }


def prices_at(coins: Iterable[Cryptocurrency], *, at: datetime) -> dict[str, Price]:
    """The last price of each coin that was known at the moment: the close of the last slot that was over then."""
    names = {coin.pk: coin.coingecko_id for coin in coins}
    found: dict[str, Price] = {}
    for interval in Interval:
        for pk, opened_at, close in _last_closes(names, interval, at):
            closed_at = opened_at + interval.length
            known = found.get(names[pk])
            if known is None or closed_at > known.at:
                is_stale = at - closed_at > PAST_PRICE_FRESH_FOR
                found[names[pk]] = Price(decimal_price(close), closed_at, is_stale)
    return found


def _last_closes(coins: Iterable[int], interval: Interval, at: datetime) -> Iterable[tuple[int, datetime, float]]:
    sound = PriceData.objects.sound().filter(coin=OuterRef("pk"), interval=interval)
    slots = sound.closed_by(at, interval.length)
    newest = slots.order_by("-at")
    return (
        Cryptocurrency.objects.filter(pk__in=list(coins))
        .annotate(slot_at=Subquery(newest.values("at")[:1]), slot_close=Subquery(newest.values("close")[:1]))
        .filter(slot_at__isnull=False)
        .order_by()
        .values_list("pk", "slot_at", "slot_close")
    )
