"""The forms of the portfolio pages; what the ledger allows is the services' to say."""

from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from markets.models import Cryptocurrency
from portfolios.models import Transaction
from portfolios.valuation import decimal_text

MOMENT_FORMAT = "%Y-%m-%dT%H:%M:%S"  # what a datetime-local input sends and shows
NAMED_IN_ERROR = 5


class PortfolioForm(forms.Form):
    """A portfolio's name."""

    name = forms.CharField(max_length=80, help_text="For example: Long term.")


class ExactDecimalField(forms.DecimalField):
    """A decimal typed as text, shown again without needless zeros."""

    widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})

    def __init__(self, **options: Any) -> None:
        super().__init__(max_digits=38, decimal_places=18, **options)

    def prepare_value(self, value: Any) -> Any:
        return decimal_text(value) if isinstance(value, Decimal) else value


class CoinField(forms.CharField):
    """A coin by CoinGecko's id, its name or its symbol."""

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        return find_coin(text) if text else None


class TransactionForm(forms.Form):
    """One transaction; its moment is read in the current time zone."""

    kind = forms.ChoiceField(choices=Transaction.Kind.choices, label="What happened")
    coin = CoinField(
        max_length=200,
        widget=forms.TextInput(attrs={"list": "coins", "autocomplete": "off"}),
        help_text="Name, symbol or CoinGecko id.",
    )
    quantity = ExactDecimalField(help_text="How much of the coin; at most 15 significant digits.")
    unit_price_usd = ExactDecimalField(
        label="Price of one coin, US dollars",
        required=False,
        help_text="Leave it empty for a buy or a sell of this moment to take the latest price.",
    )
    fee_usd = ExactDecimalField(label="Fee, US dollars", required=False, initial=Decimal(0))
    occurred_at = forms.DateTimeField(
        label="When",
        initial=timezone.now,
        widget=forms.DateTimeInput(format=MOMENT_FORMAT, attrs={"type": "datetime-local", "step": "1"}),
    )
    note = forms.CharField(max_length=200, required=False)

    def clean_fee_usd(self) -> Decimal:
        return self.cleaned_data["fee_usd"] or Decimal(0)

    def changes(self) -> dict[str, Any]:
        """The cleaned values of the fields that were edited: a moment keeps the fraction that no input shows."""
        return {name: self.cleaned_data[name] for name in self.changed_data}


def form_values(entry: Transaction) -> dict[str, Any]:
    """What the form shows at first of a transaction that is to be edited."""
    return {
        "kind": entry.kind,
        "coin": entry.coin.coingecko_id,
        "quantity": entry.quantity,
        "unit_price_usd": entry.unit_price_usd,
        "fee_usd": entry.fee_usd,
        "occurred_at": entry.occurred_at,
        "note": entry.note,
    }


def find_coin(text: str) -> Cryptocurrency:
    """The coin of this id, else the only one of this name, else of this symbol; tracked coins come before others.

    Raises ValidationError: `unknown` for no such coin, `ambiguous` for several, naming their ids.
    """
    if (coin := Cryptocurrency.objects.filter(coingecko_id=text.lower()).first()) is not None:
        return coin
    for coins in (Cryptocurrency.objects.tracked(), Cryptocurrency.objects.all()):
        for lookup in ("name__iexact", "symbol__iexact"):
            found = list(coins.filter(**{lookup: text})[: NAMED_IN_ERROR + 1])
            if len(found) == 1:
                return found[0]
            if found:
                raise _ambiguous(text, found)
    raise ValidationError(f"No coin here has “{text}” as its id, name or symbol.", code="unknown")


def _ambiguous(text: str, found: list[Cryptocurrency]) -> ValidationError:
    ids = ", ".join(coin.coingecko_id for coin in found[:NAMED_IN_ERROR])
    more = " and more" if len(found) > NAMED_IN_ERROR else ""
    return ValidationError(f"Several coins are called “{text}”. Give the id: {ids}{more}.", code="ambiguous")
