"""The market list and the coin page; forecasts and stars come in through their own apps' template tags."""

import csv
from collections.abc import Iterator
from datetime import UTC

from django.core.paginator import EmptyPage, Paginator
from django.db.models import Count, Sum
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from markets import charts
from markets.listing import TABS, BadAddress, Listing
from markets.models import Cryptocurrency
from markets.quality.report import quality_report
from markets.search import search_coins
from markets.services import data_source, market_freshness

ROWS_PER_PAGE = 50
SUGGESTIONS = 5
CSV_COLUMNS = (
    "coingecko_id", "symbol", "name", "market_cap_rank", "price_usd", "change_1h_percent",
    "change_24h_percent", "change_7d_percent", "market_cap_usd", "volume_24h_usd", "price_at",
)  # fmt: skip


@require_safe
def markets(request: HttpRequest) -> HttpResponse:
    """Totals, freshness, and the table that the address describes."""
    try:
        listing = Listing.from_address(request.GET)
    except BadAddress as error:
        return render(request, "400.html", {"problem": str(error)}, status=400)
    pages = Paginator(listing.coins(request.user), ROWS_PER_PAGE)
    try:
        page = pages.page(listing.page)
    except EmptyPage:
        problem = f"This list ends at page {pages.num_pages}; page {listing.page} does not exist."
        return render(request, "404.html", {"problem": problem}, status=404)
    coins = list(page.object_list)
    context = {
        "listing": listing,
        "tabs": TABS,
        "page": page,
        "coins": coins,
        "freshness": market_freshness(),
        "totals": Cryptocurrency.objects.listed()
        .priced()
        .aggregate(coins=Count("pk"), cap=Sum("market_cap_usd"), volume=Sum("volume_24h_usd")),
        "search_text": listing.text,
        "suggestions": search_coins(listing.text, limit=SUGGESTIONS) if listing.text and not pages.count else [],
    }
    return render(request, "markets/list.html", context)


class _Echo:
    """Hands each line of a csv.writer back instead of keeping it."""

    def write(self, line: str) -> str:
        return line


def _csv_lines(listing: Listing, request: HttpRequest) -> Iterator[str]:
    writer = csv.writer(_Echo())
    source = data_source()
    yield writer.writerow([*CSV_COLUMNS, "data_source"])
    for row in listing.coins(request.user).values_list(*CSV_COLUMNS).iterator(chunk_size=500):
        *figures, price_at = row
        at = f"{price_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if price_at else ""
        # A spreadsheet runs a cell that begins so as a formula; names come from outside.
        cells = [f"'{cell}" if isinstance(cell, str) and cell[:1] in "=+-@" else cell for cell in figures]
        yield writer.writerow([*cells, at, source])


@require_safe
def markets_csv(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """All rows of the list that the address describes."""
    try:
        listing = Listing.from_address(request.GET)
    except BadAddress as error:
        return render(request, "400.html", {"problem": str(error)}, status=400)
    response = StreamingHttpResponse(_csv_lines(listing, request), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="markets-{listing.tab}.csv"'
    return response


@require_safe
def coin(request: HttpRequest, coingecko_id: str) -> HttpResponse:
    """One coin: its price, its chart, and what the forecasts of it say and said."""
    found = Cryptocurrency.objects.filter(coingecko_id=coingecko_id).first()
    if found is None:
        problem = f"No coin here has the CoinGecko id “{coingecko_id[:60]}”."
        return render(request, "404.html", {"problem": problem}, status=404)
    problem = ""
    try:
        view = charts.ChartView.from_address(request.GET)
    except charts.BadChart as error:
        view, problem = charts.ChartView(), str(error)
    chart = charts.coin_chart(found, view)
    context = {
        "coin": found,
        "view": view,
        "chart": chart,
        "problem": problem,
        "freshness": market_freshness(),
        "data_source": data_source(),
        "quality": quality_report(found, now=timezone.now()),
    }
    return render(request, "markets/coin.html", context, status=400 if problem else 200)
