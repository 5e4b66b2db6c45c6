"""How prices, changes, quantities and times are written on every page."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from markets.amounts import MINUS, UNKNOWN, Number, compact_text, finite, price_text, signed

register = template.Library()

ICON_HUES = 8


@register.filter
def usd(value: Number | None) -> str:
    """A price: $64,210.55, $0.00001234, — when unknown."""
    return price_text(value)


@register.filter
def compact_usd(value: Number | None) -> str:
    """A capitalisation or a volume: $1.23T, — when unknown."""
    return compact_text(value)


@register.filter
def percent(value: Number | None) -> str | SafeString:
    """A change given in per cent, with its sign, an arrow, and the word for screen readers."""
    number = finite(value)
    if number is None:
        return UNKNOWN
    rounded = round(number, 2)
    if rounded == 0:
        return format_html('<span class="change" data-direction="flat">{}%</span>', "0.00")
    arrow, word, direction = ("▲", "up", "up") if rounded > 0 else ("▼", "down", "down")
    digits = 0 if abs(rounded) >= 1000 else 2
    return format_html(
        '<span class="change" data-direction="{}"><span aria-hidden="true">{}</span>'
        '<span class="visually-hidden">{} </span>{}{}%</span>',
        direction,
        arrow,
        word,
        "+" if rounded > 0 else MINUS,
        f"{abs(rounded):,.{digits}f}",
    )


@register.filter
def share(value: Number | None, decimals: int = 0) -> str:
    """A fraction as per cent: 0.783 → 78%."""
    number = finite(value)
    return UNKNOWN if number is None else f"{number * 100:.{decimals}f}%"


@register.filter
def signed_share(value: Number | None) -> str:
    """A fraction as signed per cent: 0.0031 → +0.31%."""
    number = finite(value)
    if number is None:
        return UNKNOWN
    text = f"{abs(number) * 100:.2f}%"
    if text == "0.00%":
        return text
    return f"{'+' if number > 0 else MINUS}{text}"


@register.filter
def quantity(value: Number | None) -> str:
    """An amount of a coin, exactly, without trailing zeros: 1,234.5."""
    if value is None or value == "":
        return UNKNOWN
    exact = value if isinstance(value, Decimal) else Decimal(str(value))
    if not exact.is_finite():
        return UNKNOWN
    text = f"{abs(exact):,f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return f"{MINUS}{text}" if exact < 0 else text


@register.filter
def whole(value: Number | None) -> str:
    """A large count without decimals: 19,712,345."""
    number = finite(value)
    return UNKNOWN if number is None else signed(number, f"{abs(number):,.0f}")


@register.filter
def utc(value: datetime | date | None) -> str | SafeString:
    """A moment or a date as a <time> element, in UTC."""
    if value is None or value == "":
        return UNKNOWN
    if not isinstance(value, datetime):
        return format_html('<time datetime="{}">{} {}</time>', value.isoformat(), value.day, f"{value:%b %Y}")
    moment = value.astimezone(UTC)
    return format_html(
        '<time datetime="{}">{} {} UTC</time>',
        f"{moment:%Y-%m-%dT%H:%M:%SZ}",
        moment.day,
        f"{moment:%b %Y, %H:%M}",
    )


@register.filter
def age(value: datetime | None) -> str | SafeString:
    """How long ago a moment was: 3 min ago; the moment itself stands in the title."""
    if value is None or value == "":  # a template gives "" for what it does not find
        return "never"
    moment = value.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        f"{moment:%Y-%m-%dT%H:%M:%SZ}",
        f"{moment:%d %b %Y, %H:%M:%S} UTC",
        age_text((timezone.now() - moment).total_seconds()),
    )


def age_text(seconds: float) -> str:
    """Words for an age in seconds."""
    if seconds < 60:
        return "just now"
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {name}{'' if count == 1 else 's'} ago"
    raise AssertionError("unreachable: a minute is the smallest unit")


@register.simple_tag
def coin_icon(coin: Any) -> SafeString:
    """A letter avatar in a hue that follows from the coin's id; nothing is loaded from elsewhere."""
    hue = sum(coin.coingecko_id.encode()) % ICON_HUES
    letters = (coin.symbol or coin.coingecko_id)[:1].upper()
    return format_html('<span class="coin-icon" data-hue="{}" aria-hidden="true">{}</span>', hue, letters)
