"""Portfolios, the transactions in them, and the coins a user watches."""

from decimal import Decimal

from django.conf import settings
from django.core.validators import MinLengthValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone

from markets.models import Cryptocurrency
from portfolios.querysets import PortfolioQuerySet, TransactionQuerySet


class Portfolio(models.Model):
    """A named set of transactions of one user; its holdings follow from them."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="portfolios")
    name = models.CharField(max_length=80, validators=[MinLengthValidator(1)])
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = PortfolioQuerySet.as_manager()

    class Meta:
        ordering = ("created_at", "id")
        constraints = (
            models.UniqueConstraint(
                "owner",
                Lower("name"),
                name="portfolio_name_once_per_owner",
                violation_error_message="You have a portfolio of this name already.",
            ),
            models.CheckConstraint(condition=~Q(name=""), name="portfolio_has_a_name"),
        )

    def __str__(self) -> str:
        return self.name


class Transaction(models.Model):
    """One event in a portfolio; quantities and money are exact decimals, money in US dollars."""

    class Kind(models.TextChoices):
        BUY = "buy", "Buy"
        SELL = "sell", "Sell"
        TRANSFER_IN = "transfer_in", "Transfer in"
        TRANSFER_OUT = "transfer_out", "Transfer out"
        FEE = "fee", "Fee paid in the coin"

    portfolio = models.ForeignKey(Portfolio, on_delete=models.CASCADE, related_name="transactions")
    coin = models.ForeignKey(Cryptocurrency, on_delete=models.PROTECT, related_name="transactions")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    quantity = models.DecimalField(max_digits=38, decimal_places=18)
    unit_price_usd = models.DecimalField(
        max_digits=38,
        decimal_places=18,
        null=True,
        blank=True,
        help_text="Price of one coin; a buy or a sell has one.",
    )
    fee_usd = models.DecimalField(max_digits=38, decimal_places=18, default=Decimal(0))
    occurred_at = models.DateTimeField()
    note = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = TransactionQuerySet.as_manager()

    class Meta:
        ordering = ("occurred_at", "id")
        indexes = (models.Index(fields=["portfolio", "occurred_at"], name="transaction_in_order"),)
        constraints = (
            models.CheckConstraint(condition=Q(quantity__gt=0), name="transaction_quantity_positive"),
            models.CheckConstraint(condition=Q(fee_usd__gte=0), name="transaction_fee_not_negative"),
            models.CheckConstraint(
                condition=Q(unit_price_usd__isnull=True) | Q(unit_price_usd__gte=0),
                name="transaction_price_not_negative",
            ),
            models.CheckConstraint(
                condition=~Q(kind__in=["buy", "sell"]) | Q(unit_price_usd__isnull=False),
                name="trade_has_a_price",
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.quantity.normalize():f} {self.coin_id}"


class WatchlistItem(models.Model):
    """A coin that a user follows."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="watchlist")
    coin = models.ForeignKey(Cryptocurrency, on_delete=models.CASCADE, related_name="watchers")
    added_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("-added_at", "-id")
        constraints = (models.UniqueConstraint(fields=["user", "coin"], name="watched_once"),)

    def __str__(self) -> str:
        return f"{self.user_id} watches {self.coin_id}"
