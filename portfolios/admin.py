"""Portfolios, transactions and watchlists in the admin; transactions pass the same checks as everywhere."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from portfolios import services
from portfolios.models import Portfolio, Transaction, WatchlistItem


@admin.register(Portfolio)
class PortfolioAdmin(admin.ModelAdmin[Portfolio]):
    list_display = ("name", "owner", "transaction_count", "created_at")
    list_filter = ("created_at",)
    search_fields = ("name", "owner__email")
    list_select_related = ("owner",)
    autocomplete_fields = ("owner",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Portfolio]:
        return super().get_queryset(request).annotate(transaction_count=Count("transactions"))

    def get_readonly_fields(self, request: HttpRequest, obj: Portfolio | None = None) -> tuple[str, ...]:
        return ("owner",) if obj else ()

    @admin.display(description="Transactions", ordering="transaction_count")
    def transaction_count(self, portfolio: Portfolio) -> int:
        return portfolio.transaction_count  # type: ignore[attr-defined]


class TransactionAdminForm(forms.ModelForm[Transaction]):
    """Runs the change once on trial, so that a refusal is shown beside the field and nothing stays of it."""

    class Meta:
        model = Transaction
        fields = (
            "portfolio",
            "coin",
            "kind",
            "quantity",
            "unit_price_usd",
            "fee_usd",
            "occurred_at",
            "note",
        )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if not self.errors:
            # The admin's own transaction holds this lock from the trial until the change itself.
            services.lock_portfolio(self.portfolio.pk)
            with transaction.atomic():
                self.write()
                transaction.set_rollback(True)
        return cleaned

    @property
    def portfolio(self) -> Portfolio:
        return self.instance.portfolio if self.instance.pk else self.cleaned_data["portfolio"]

    def write(self) -> Transaction:
        """Adds or changes the transaction; raises ValidationError."""
        values = {name: value for name, value in self.cleaned_data.items() if name != "portfolio"}
        if self.instance.pk:
            return services.change_transaction(entry=self.instance, **values)
        return services.add_transaction(portfolio=self.portfolio, **values)


@admin.register(Transaction)
class TransactionAdmin(admin.ModelAdmin[Transaction]):
    form = TransactionAdminForm
    list_display = (
        "occurred_at",
        "kind",
        "coin",
        "quantity",
        "unit_price_usd",
        "fee_usd",
        "portfolio",
        "owner",
        "note",
    )
    list_filter = ("kind", "occurred_at")
    search_fields = ("portfolio__name", "portfolio__owner__email", "coin__coingecko_id", "coin__name", "note")
    list_select_related = ("coin", "portfolio__owner")
    autocomplete_fields = ("portfolio", "coin")
    actions = None  # deleting many at once would skip the check of each

    @admin.display(description="Owner", ordering="portfolio__owner")
    def owner(self, entry: Transaction) -> str:
        return str(entry.portfolio.owner)

    def get_readonly_fields(self, request: HttpRequest, obj: Transaction | None = None) -> tuple[str, ...]:
        return ("portfolio",) if obj else ()

    def save_model(self, request: HttpRequest, obj: Transaction, form: TransactionAdminForm, change: bool) -> None:
        saved = form.write()
        obj.pk = saved.pk
        obj.refresh_from_db()

    def delete_model(self, request: HttpRequest, obj: Transaction) -> None:
        services.delete_transaction(entry=obj)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except ValidationError as error:
            messages.error(request, f"Nothing was deleted. {' '.join(error.messages)}")
            return HttpResponseRedirect(reverse("admin:portfolios_transaction_change", args=[object_id]))


@admin.register(WatchlistItem)
class WatchlistItemAdmin(admin.ModelAdmin[WatchlistItem]):
    list_display = ("user", "coin", "added_at")
    list_filter = ("added_at",)
    search_fields = ("user__email", "coin__coingecko_id", "coin__name")
    list_select_related = ("user", "coin")
    autocomplete_fields = ("user", "coin")
