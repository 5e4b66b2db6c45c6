"""How figures are written."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from markets.amounts import MINUS
from markets.models import Cryptocurrency
from markets.templatetags import figures


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "—"),
        (float("nan"), "—"),
        (0, "$0.00"),
        (64210.554, "$64,210.55"),
        (1.0, "$1.00"),
        (0.5, "$0.5000"),
        (0.00001234, "$0.00001234"),
        (1.2344e-9, "$0.000000001234"),
        (3.2e-15, "$3.200e-15"),
        (-12.5, MINUS + "$12.50"),
        (Decimal("1234567.891"), "$1,234,567.89"),
    ],
)
def test_it_writes_a_price_with_its_significant_digits(value: float | None, text: str) -> None:
    assert figures.usd(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "—"),
        (2.134e12, "$2.13T"),
        (12.34e9, "$12.3B"),
        (456.7e6, "$457M"),
        (999.7e6, "$1.00B"),
        (1500, "$1.50K"),
        (12.5, "$12.50"),
        (-3.21e9, MINUS + "$3.21B"),
    ],
)
def test_it_writes_a_large_amount_short(value: float | None, text: str) -> None:
    assert figures.compact_usd(value) == text


def test_it_writes_a_change_with_arrow_sign_and_word() -> None:
    up, down, flat = figures.percent(2.314), figures.percent(-0.5), figures.percent(0.001)
    assert 'data-direction="up"' in up
    assert "▲" in up
    assert ">up </span>+2.31%" in up
    assert 'data-direction="down"' in down
    assert ">down </span>" + MINUS + "0.50%" in down
    assert 'data-direction="flat">0.00%' in flat
    assert figures.percent(None) == "—"


def test_it_refuses_to_write_what_is_no_number() -> None:
    with pytest.raises(TypeError, match="is not a number"):
        figures.usd("12")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "—"), (Decimal("0.500000000000000000"), "0.5"), (Decimal(1000), "1,000"), (Decimal("1234.50"), "1,234.5")],
)
def test_it_writes_a_quantity_exactly(value: Decimal | None, text: str) -> None:
    assert figures.quantity(value) == text


def test_it_writes_times_in_utc_for_people_and_machines() -> None:
    moment = datetime(2026, 3, 9, 4, 5, tzinfo=UTC)
    assert figures.utc(moment) == '<time datetime="2026-03-09T04:05:00Z">9 Mar 2026, 04:05 UTC</time>'
    assert figures.utc(date(2026, 3, 9)) == '<time datetime="2026-03-09">9 Mar 2026</time>'
    assert figures.utc(None) == "—"


@pytest.mark.parametrize(
    ("seconds", "text"), [(5, "just now"), (61, "1 minute ago"), (7300, "2 hours ago"), (90_000, "1 day ago")]
)
def test_it_says_how_long_ago_something_was(seconds: float, text: str) -> None:
    assert figures.age_text(seconds) == text


def test_it_draws_an_escaped_letter_for_a_coin() -> None:
    icon = figures.coin_icon(Cryptocurrency(coingecko_id="x", symbol="<b"))
    assert "&lt;</span>" in icon
