"""The market list's headings that sort, its addresses, and its sparklines."""

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from markets.charts import sparkline_path
from markets.listing import DEFAULT_SORT, Listing
from markets.models import Cryptocurrency

register = template.Library()


@register.simple_tag
def sort_heading(listing: Listing, key: str, text: str, css_class: str = "num") -> SafeString:
    """A column's heading with a link that sorts by it, and the present order for screen readers."""
    if listing.sort.removeprefix("-") != key:
        order, arrow = "", ""
    elif listing.sort.startswith("-"):
        order, arrow = "descending", " ↓"
    else:
        order, arrow = "ascending", " ↑"
    return format_html(
        '<th scope="col" class="{}"{}><a href="{}">{}<span aria-hidden="true">{}</span></a></th>',
        css_class,
        format_html(' aria-sort="{}"', order) if order else "",
        listing.address(sort=listing.next_sort(key), page=1),
        text,
        arrow,
    )


@register.simple_tag
def list_address(listing: Listing, **changes: str | int) -> str:
    """The address of the list with some parts changed; `&` is escaped where it is written."""
    return listing.address(**changes)


@register.simple_tag
def tab_address(listing: Listing, tab: str) -> str:
    """The address of a tab, in that tab's own order; a search stays."""
    return Listing(tab="all", text=listing.text, sort="rank", page=1).address(tab=tab, sort=DEFAULT_SORT[tab])


@register.simple_tag
def sparkline(coin: Cryptocurrency) -> SafeString | str:
    """The last seven days as a small line; its words stand beside it as the 7-day change."""
    path = sparkline_path(coin.sparkline_7d)
    if not path:
        return "—"
    first, last = coin.sparkline_7d[0], coin.sparkline_7d[-1]
    direction = "flat" if first is None or last is None or first == last else "up" if last > first else "down"
    return format_html(
        '<svg class="sparkline" data-direction="{}" viewBox="0 0 100 30" preserveAspectRatio="none" '
        'aria-hidden="true" focusable="false"><path d="{}"/></svg>',
        direction,
        path,
    )
