"""The pages of a signed-in user: dashboard, portfolios, transactions, and the star of the watchlist."""

from collections.abc import Callable
from functools import wraps
from typing import Any, cast
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from markets.models import Cryptocurrency
from portfolios import services
from portfolios.charts import allocation_bar
from portfolios.dashboard import dashboard_for
from portfolios.forms import PortfolioForm, TransactionForm, form_values
from portfolios.models import Portfolio, Transaction
from portfolios.pricing import value_portfolio

TRANSACTIONS_PER_PAGE = 50

Page = Callable[..., HttpResponse]


def own_page(view: Page) -> Page:
    """For signed-in users, never cached, with times read and shown in the user's own time zone."""

    @wraps(view)
    def in_users_time_zone(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        with timezone.override(ZoneInfo(request.user.time_zone)):  # type: ignore[union-attr]
            return view(request, *args, **kwargs)

    return login_required(never_cache(in_users_time_zone))


@require_safe
@own_page
def dashboard(request: HttpRequest) -> HttpResponse:
    return render(request, "portfolios/dashboard.html", {"dashboard": dashboard_for(signed_in(request))})


@require_safe
@own_page
def portfolio(request: HttpRequest, pk: int) -> HttpResponse:
    found = own_portfolio(request, pk)
    worth = value_portfolio(found)
    rows = found.transactions.select_related("coin").in_order().reverse()
    context = {
        "portfolio": found,
        "worth": worth,
        "valuation": worth.valuation,
        "segments": allocation_bar(worth),
        "page": Paginator(rows, TRANSACTIONS_PER_PAGE).get_page(request.GET.get("page")),
    }
    return render(request, "portfolios/portfolio.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@own_page
def portfolio_create(request: HttpRequest) -> HttpResponse:
    form = PortfolioForm(request.POST if request.method == "POST" else None)
    made = attempt(form, lambda: services.create_portfolio(owner=signed_in(request), **form.cleaned_data))
    if made is not None:
        messages.success(request, f"{made.name} was created. Add its first transaction.")
        return redirect("portfolio", made.pk)
    return render(request, "portfolios/portfolio_form.html", {"form": form})


@require_http_methods(["GET", "HEAD", "POST"])
@own_page
def portfolio_rename(request: HttpRequest, pk: int) -> HttpResponse:
    found = own_portfolio(request, pk)
    form = PortfolioForm(request.POST if request.method == "POST" else None, initial={"name": found.name})
    if attempt(form, lambda: services.rename_portfolio(portfolio=found, **form.cleaned_data)) is not None:
        messages.success(request, f"{found.name} is now called {form.cleaned_data['name']}.")
        return redirect("portfolio", pk)
    return render(request, "portfolios/portfolio_form.html", {"form": form, "portfolio": found})


@require_http_methods(["GET", "HEAD", "POST"])
@own_page
def portfolio_delete(request: HttpRequest, pk: int) -> HttpResponse:
    found = own_portfolio(request, pk)
    if request.method == "POST":
        services.delete_portfolio(portfolio=found)
        messages.success(request, f"{found.name} was deleted.")
        return redirect("dashboard")
    context = {"portfolio": found, "count": found.transactions.count()}
    return render(request, "portfolios/portfolio_delete.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@own_page
def transaction_add(request: HttpRequest, pk: int) -> HttpResponse:
    found = own_portfolio(request, pk)
    form = TransactionForm(
        request.POST if request.method == "POST" else None, initial={"coin": request.GET.get("coin", "")}
    )
    added = attempt(form, lambda: services.add_transaction(portfolio=found, **form.cleaned_data))
    if added is not None:
        messages.success(request, f"{added.get_kind_display()} of {added.coin.name} was added.")
        return redirect("portfolio", pk)
    return transaction_page(request, form, found)


@require_http_methods(["GET", "HEAD", "POST"])
@own_page
def transaction_edit(request: HttpRequest, pk: int, transaction_pk: int) -> HttpResponse:
    entry = own_transaction(request, pk, transaction_pk)
    form = TransactionForm(request.POST if request.method == "POST" else None, initial=form_values(entry))
    if attempt(form, lambda: services.change_transaction(entry=entry, **form.changes())) is not None:
        messages.success(request, "The transaction was changed.")
        return redirect("portfolio", pk)
    return transaction_page(request, form, entry.portfolio, entry)


@require_http_methods(["GET", "HEAD", "POST"])
@own_page
def transaction_delete(request: HttpRequest, pk: int, transaction_pk: int) -> HttpResponse:
    entry = own_transaction(request, pk, transaction_pk)
    form = forms.Form(request.POST if request.method == "POST" else None)
    if attempt(form, lambda: deleted(entry)):
        messages.success(request, "The transaction was deleted.")
        return redirect("portfolio", pk)
    context = {"form": form, "portfolio": entry.portfolio, "entry": entry}
    return render(request, "portfolios/transaction_delete.html", context)


@require_POST
@own_page
def watch(request: HttpRequest, coingecko_id: str) -> HttpResponse:
    """Toggles the star, then goes back to where it was pressed."""
    if "\0" in coingecko_id:  # PostgreSQL refuses such text with an error of its own
        raise Http404
    coin = get_object_or_404(Cryptocurrency, coingecko_id=coingecko_id)
    try:
        services.toggle_watch(user=signed_in(request), coin=coin)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    back = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(
        back, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return redirect(back if is_ours else "dashboard")


def signed_in(request: HttpRequest) -> AbstractBaseUser:
    """The request's user, whom `own_page` has let in."""
    return cast(AbstractBaseUser, request.user)


def own_portfolio(request: HttpRequest, pk: int) -> Portfolio:
    return get_object_or_404(Portfolio.objects.for_user(request.user), pk=pk)


def own_transaction(request: HttpRequest, pk: int, transaction_pk: int) -> Transaction:
    rows = own_portfolio(request, pk).transactions.select_related("coin", "portfolio")
    return get_object_or_404(rows, pk=transaction_pk)


def attempt(form: forms.Form, action: Callable[[], Any]) -> Any:
    """What the action returns when the form is valid and the services accept it; else None, the form saying why."""
    if not form.is_valid():
        return None
    try:
        return action()
    except ValidationError as error:
        form.add_error(None, error)
        return None


def deleted(entry: Transaction) -> bool:
    services.delete_transaction(entry=entry)
    return True


def transaction_page(
    request: HttpRequest, form: TransactionForm, found: Portfolio, entry: Transaction | None = None
) -> HttpResponse:
    context = {
        "form": form,
        "portfolio": found,
        "entry": entry,
        "coins": Cryptocurrency.objects.tracked(),
        "time_zone": timezone.get_current_timezone_name(),
    }
    return render(request, "portfolios/transaction_form.html", context)
