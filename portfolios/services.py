"""Every change of a portfolio, of its ledger and of a watchlist; a change that cannot be is refused whole."""

from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import transaction
from django.utils import timezone

from markets.models import Cryptocurrency
from portfolios.models import Portfolio, Transaction, WatchlistItem
from portfolios.pricing import entry_of
from portfolios.valuation import MONEY_STEP, Oversold, decimal_price, decimal_text, replay

MAX_PORTFOLIOS = 100
MAX_TRANSACTIONS = 10_000
MAX_WATCHED = 250
# SQLite keeps a number as a double, which is exact to 15 significant digits: more would come back changed.
SIGNIFICANT_DIGITS = 15
EXACT = Context(prec=100)
# The first bitcoin was mined on 3 January 2009.
EARLIEST_AT = datetime(2009, 1, 1, tzinfo=UTC)
# The latest price stands for "now" so long and no longer.
NOW_WITHIN = timedelta(minutes=10)

TRADES = frozenset({Transaction.Kind.BUY, Transaction.Kind.SELL})
CHANGEABLE = frozenset({"coin", "kind", "quantity", "unit_price_usd", "fee_usd", "occurred_at", "note"})


def create_portfolio(*, owner: AbstractBaseUser, name: str) -> Portfolio:
    """Creates an empty portfolio; raises ValidationError for a bad or used name, or one portfolio too many."""
    with transaction.atomic():
        _lock_user(owner)
        if Portfolio.objects.for_user(owner).count() >= MAX_PORTFOLIOS:
            raise ValidationError(f"There can be at most {MAX_PORTFOLIOS} portfolios.", code="limit")
        return _save_named(Portfolio(owner_id=owner.pk), name)


def rename_portfolio(*, portfolio: Portfolio, name: str) -> Portfolio:
    """Renames a portfolio; raises ValidationError for a bad or used name."""
    with transaction.atomic():
        _lock_user(portfolio.owner)
        return _save_named(_lock(portfolio), name)


def delete_portfolio(*, portfolio: Portfolio) -> None:
    """Deletes a portfolio with all its transactions."""
    with transaction.atomic():
        # Without the lock a transaction that is added meanwhile would outlive its portfolio's deletion.
        if (locked := Portfolio.objects.select_for_update().filter(pk=portfolio.pk).first()) is not None:
            locked.delete()


def add_transaction(
    *,
    portfolio: Portfolio,
    coin: Cryptocurrency,
    kind: str,
    quantity: Decimal,
    unit_price_usd: Decimal | None = None,
    fee_usd: Decimal = Decimal(0),
    occurred_at: datetime | None = None,
    note: str = "",
) -> Transaction:
    """Adds a transaction that happened at `occurred_at`, by default now.

    A buy or a sell of now that names no price takes the coin's latest one. Raises ValidationError, naming
    the field, for a value out of range, a future moment, a trade without a price, a full portfolio (`limit`),
    and for a ledger that would at any moment hold less than nothing (`oversold`).
    """
    with transaction.atomic():
        locked = _lock(portfolio)
        if locked.transactions.count() >= MAX_TRANSACTIONS:
            message = f"A portfolio can hold at most {MAX_TRANSACTIONS:,} transactions."
            raise ValidationError(message, code="limit")
        row = Transaction(
            portfolio=locked,
            coin=coin,
            kind=kind,
            quantity=quantity,
            unit_price_usd=unit_price_usd,
            fee_usd=fee_usd,
            occurred_at=occurred_at or timezone.now(),
            note=note,
        )
        return _save_checked(row, {coin.pk})


def change_transaction(*, entry: Transaction, **changes: Any) -> Transaction:
    """Changes the named fields of a transaction; raises ValidationError as `add_transaction` does."""
    if unknown := changes.keys() - CHANGEABLE:
        raise TypeError(f"A transaction's {', '.join(sorted(unknown))} cannot change.")
    with transaction.atomic():
        _lock(entry.portfolio)
        row = Transaction.objects.filter(pk=entry.pk).select_related("portfolio").first()
        if row is None:
            raise ValidationError("This transaction was deleted meanwhile.", code="gone")
        coins = {row.coin_id}
        for name, value in changes.items():
            setattr(row, name, value)
        return _save_checked(row, coins | {row.coin_id})


def delete_transaction(*, entry: Transaction) -> None:
    """Deletes a transaction; raises ValidationError (`oversold`) when later ones need what it brought in."""
    with transaction.atomic():
        _lock(entry.portfolio)
        Transaction.objects.filter(pk=entry.pk).delete()
        _check_ledger(entry.portfolio, {entry.coin_id}, field=None)


def watch_coin(*, user: AbstractBaseUser, coin: Cryptocurrency) -> tuple[WatchlistItem, bool]:
    """Puts a coin on the watchlist if it is not there; returns its item and whether it is new."""
    with transaction.atomic():
        _lock_user(user)
        watched = WatchlistItem.objects.filter(user_id=user.pk)
        if (item := watched.filter(coin=coin).first()) is not None:
            return item, False
        if watched.count() >= MAX_WATCHED:
            raise ValidationError(f"A watchlist can hold at most {MAX_WATCHED} coins.", code="limit")
        return WatchlistItem.objects.create(user_id=user.pk, coin=coin), True


def unwatch_coin(*, user: AbstractBaseUser, coin: Cryptocurrency) -> bool:
    """Takes a coin off the watchlist; returns whether it was there."""
    deleted, _ = WatchlistItem.objects.filter(user_id=user.pk, coin=coin).delete()
    return deleted > 0


def toggle_watch(*, user: AbstractBaseUser, coin: Cryptocurrency) -> bool:
    """Watches a coin, or stops watching it; returns whether it is watched now."""
    with transaction.atomic():
        _lock_user(user)
        if unwatch_coin(user=user, coin=coin):
            return False
        watch_coin(user=user, coin=coin)
        return True


def lock_portfolio(pk: int) -> Portfolio:
    """Holds the portfolio's row until the transaction ends, so that its ledger has one writer at a time."""
    return Portfolio.objects.select_for_update().get(pk=pk)


def _lock(portfolio: Portfolio) -> Portfolio:
    try:
        return lock_portfolio(portfolio.pk)
    except Portfolio.DoesNotExist:
        raise ValidationError("This portfolio was deleted meanwhile.", code="gone") from None


def _lock_user(user: AbstractBaseUser) -> None:
    # Counting and adding are one step only while nobody else counts for the same user.
    get_user_model()._default_manager.select_for_update().get(pk=user.pk)


def _save_named(portfolio: Portfolio, name: str) -> Portfolio:
    portfolio.name = name.strip()
    try:
        portfolio.full_clean()
    except ValidationError as error:
        faults = error.error_dict
        if NON_FIELD_ERRORS in faults:  # the one constraint on several fields is about the name
            message = faults.pop(NON_FIELD_ERRORS)[0].message
            faults["name"] = [ValidationError(message, code="unique")]
        raise ValidationError(faults) from None
    portfolio.save()
    return portfolio


def _save_checked(row: Transaction, coins: set[int]) -> Transaction:
    if row.unit_price_usd is None and row.kind in TRADES:
        row.unit_price_usd = _price_of_now(row)
    _check_fields(row)
    row.save()
    _check_ledger(row.portfolio, coins, field="quantity")
    return row


def _price_of_now(row: Transaction) -> Decimal:
    """The latest price, for a trade that happens now; to the digits that can be kept exactly."""
    now = timezone.now()
    is_now = isinstance(row.occurred_at, datetime) and abs(now - row.occurred_at) <= NOW_WITHIN
    if not is_now:
        message = "Give the price: the latest one stands only for a trade of the last ten minutes."
        raise ValidationError({"unit_price_usd": ValidationError(message, code="required")})
    if row.coin.price_usd is None or row.coin.is_stale_at(now):
        message = f"Give the price: no fresh one of {row.coin.name} is known."
        raise ValidationError({"unit_price_usd": ValidationError(message, code="required")})
    price = Context(prec=SIGNIFICANT_DIGITS).plus(decimal_price(row.coin.price_usd))
    return EXACT.quantize(price, MONEY_STEP)


def _check_fields(row: Transaction) -> None:
    """Raises ValidationError with every field at fault."""
    faults: dict[str, Any] = {}
    try:
        row.full_clean(validate_constraints=False)
    except ValidationError as error:
        faults = {**error.error_dict}
    for name, check in (("quantity", _fault_of_quantity), ("unit_price_usd", _fault_of_money)):
        _note_fault(faults, name, check(getattr(row, name)))
    _note_fault(faults, "fee_usd", _fault_of_money(row.fee_usd))
    _note_fault(faults, "occurred_at", _fault_of_moment(row.occurred_at))
    if faults:
        raise ValidationError(faults)


def _note_fault(faults: dict[str, Any], name: str, fault: ValidationError | None) -> None:
    if fault is not None:
        faults.setdefault(name, fault)


def _fault_of_quantity(quantity: Decimal) -> ValidationError | None:
    if isinstance(quantity, Decimal) and quantity.is_finite() and quantity <= 0:
        return ValidationError("A quantity is greater than 0.", code="min_value")
    return _fault_of_digits(quantity)


def _fault_of_money(amount: Decimal | None) -> ValidationError | None:
    if isinstance(amount, Decimal) and amount.is_finite() and amount < 0:
        return ValidationError("An amount of money is not less than 0.", code="min_value")
    return _fault_of_digits(amount)


def _fault_of_digits(number: Decimal | None) -> ValidationError | None:
    if not isinstance(number, Decimal) or not number.is_finite():
        return None
    digits = "".join(map(str, number.as_tuple().digits)).strip("0")
    if len(digits) <= SIGNIFICANT_DIGITS:
        return None
    return ValidationError(f"At most {SIGNIFICANT_DIGITS} significant digits can be kept.", code="max_digits")


def _fault_of_moment(moment: Any) -> ValidationError | None:
    if not isinstance(moment, datetime):
        return None
    if moment > timezone.now():
        return ValidationError("A transaction has happened: this moment is in the future.", code="future")
    if moment < EARLIEST_AT:
        return ValidationError("This is before the first coin was mined, in 2009.", code="min_value")
    return None


def _check_ledger(portfolio: Portfolio, coins: set[int], *, field: str | None) -> None:
    """Replays what the ledger says of the coins; raises ValidationError when more goes out than is there."""
    rows = portfolio.transactions.filter(coin_id__in=coins).select_related("coin").in_order()
    try:
        replay(entry_of(row, row.coin.coingecko_id) for row in rows)
    except Oversold as fault:
        message = (
            f"{decimal_text(fault.wanted)} {fault.coin} would go out on {fault.at:%Y-%m-%d at %H:%M:%S} UTC, "
            f"when only {decimal_text(fault.held)} would be held."
        )
        refusal = ValidationError(message, code="oversold")
        raise (ValidationError({field: refusal}) if field else refusal) from fault
