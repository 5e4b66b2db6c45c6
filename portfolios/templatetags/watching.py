"""The star that puts a coin on the visitor's watchlist, and the way from a coin into a portfolio."""

from typing import Any

from django import template
from django.contrib.auth.models import AnonymousUser

from markets.models import Cryptocurrency
from portfolios.models import Portfolio, WatchlistItem

register = template.Library()


@register.simple_tag(takes_context=True)
def watched_coins(context: dict[str, Any]) -> set[int]:
    """The primary keys of the coins that the visitor watches, in one query."""
    user = context.get("user")
    if user is None or not user.is_authenticated:
        return set()
    return set(WatchlistItem.objects.filter(user_id=user.pk).values_list("coin_id", flat=True))


@register.inclusion_tag("includes/star.html", takes_context=True)
def watch_star(context: dict[str, Any], coin: Cryptocurrency, watched: set[int]) -> dict[str, Any]:
    """A button that toggles the coin; for who is not signed in, a link to the sign-in page."""
    return {
        "coin": coin,
        "is_watched": coin.pk in watched,
        "user": context.get("user"),
        "request": context.get("request"),
        "csrf_token": context.get("csrf_token"),
    }


@register.simple_tag(takes_context=True)
def own_portfolios(context: dict[str, Any]) -> list[Portfolio]:
    """The visitor's portfolios, for links that add a coin to one of them."""
    return list(Portfolio.objects.for_user(context.get("user") or AnonymousUser()))
