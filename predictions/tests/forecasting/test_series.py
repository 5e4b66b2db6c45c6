"""Panels: what is a usable price, a closed day, a short gap and an eligible coin."""

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

from predictions.forecasting.folders import read_csv_folder
from predictions.forecasting.series import (
    NEAR_CONSTANT,
    NO_PRICE,
    Panel,
    build_panel,
    dataset_hash,
    days_since_restart,
    eligibility,
    fill_short_gaps,
    is_near_constant,
)

from .simulate import day, market, with_prices

NAN = np.nan


def column(*prices: float) -> np.ndarray:
    return np.array(prices, dtype=float)[:, None]


def test_it_builds_the_same_panel_from_rows_and_from_a_mapping() -> None:
    rows = [("b", date(2024, 1, 1), 2.0), ("a", date(2024, 1, 3), 1.0), ("b", date(2024, 1, 3), 3.0)]
    nested = {"b": {date(2024, 1, 1): 2.0, date(2024, 1, 3): 3.0}, "a": {date(2024, 1, 3): 1.0}}
    panel = build_panel(rows)
    assert panel.coins == ["a", "b"]
    assert [str(d) for d in panel.dates] == ["2024-01-01", "2024-01-02", "2024-01-03"]
    np.testing.assert_array_equal(panel.prices, [[NAN, 2], [NAN, NAN], [1, 3]])
    assert dataset_hash(panel) == dataset_hash(build_panel(nested))


@pytest.mark.parametrize("price", [None, 0.0, -1.0, float("nan"), float("inf")])
def test_it_takes_an_unusable_price_for_unknown(price: float | None) -> None:
    panel = build_panel([("a", date(2024, 1, 1), price), ("b", date(2024, 1, 1), 1.0)])
    np.testing.assert_array_equal(panel.prices, [[NAN, 1.0]])


def test_it_refuses_two_prices_for_one_date() -> None:
    with pytest.raises(ValueError, match="a has two prices for 2024-01-01"):
        build_panel([("a", date(2024, 1, 1), 1.0), ("a", date(2024, 1, 1), 2.0)])


def test_it_refuses_to_build_a_panel_from_nothing() -> None:
    with pytest.raises(ValueError, match="no prices"):
        build_panel([])


def test_it_drops_the_live_point_of_a_day_that_has_not_closed() -> None:
    rows = [
        ("a", datetime(2024, 1, 1, tzinfo=UTC), 1.0),
        ("a", datetime(2024, 1, 2, tzinfo=UTC), 2.0),
        ("a", datetime(2024, 1, 2, 13, 5, tzinfo=UTC), 9.0),
    ]
    panel = build_panel(rows)
    assert panel.last_date == date(2024, 1, 2)
    assert panel.prices[-1, 0] == 2.0


def test_it_drops_dates_that_have_not_begun() -> None:
    rows = [("a", date(2024, 1, n), float(n)) for n in (1, 2, 3)]
    assert build_panel(rows, now=datetime(2024, 1, 2, 0, 1, tzinfo=UTC)).last_date == date(2024, 1, 2)


def test_it_refuses_a_clock_without_a_time_zone() -> None:
    with pytest.raises(ValueError, match="time zone"):
        build_panel([("a", date(2024, 1, 1), 1.0)], now=datetime(2024, 1, 2))


def test_it_drops_a_last_day_that_few_coins_have() -> None:
    rows = [(coin, date(2024, 1, n), 1.0) for coin in "abcde" for n in (1, 2, 3)]
    rows += [(coin, date(2024, 1, 4), 1.0) for coin in "ab"]
    assert build_panel(rows).last_date == date(2024, 1, 3)
    rows += [("c", date(2024, 1, 4), 1.0)]
    assert build_panel(rows).last_date == date(2024, 1, 4)


def test_it_keeps_a_last_day_that_only_delisted_coins_lack() -> None:
    rows = [(coin, date(2024, 1, n), 1.0) for coin in "abcde" for n in range(1, 3)]
    rows += [("f", date(2024, 1, n), 1.0) for n in range(1, 9)]
    assert build_panel(rows).last_date == date(2024, 1, 8)


def test_it_fills_a_gap_of_three_days_with_the_last_known_price() -> None:
    filled = fill_short_gaps(column(5, NAN, NAN, NAN, 9))
    np.testing.assert_array_equal(filled, column(5, 5, 5, 5, 9))


def test_it_restarts_after_a_gap_of_four_days() -> None:
    prices = column(5, NAN, NAN, NAN, NAN, 9, 9)
    np.testing.assert_array_equal(fill_short_gaps(prices), prices)
    np.testing.assert_array_equal(days_since_restart(prices)[:, 0], [1, 0, 0, 0, 0, 1, 2])


def test_it_never_fills_before_the_first_or_after_the_last_price() -> None:
    prices = column(NAN, 5, 6, NAN, NAN)
    np.testing.assert_array_equal(fill_short_gaps(prices), prices)


def test_it_judges_near_constancy_from_the_past_alone() -> None:
    random = np.random.default_rng(3)
    wild = 0.05 * random.standard_normal(400)
    pegged = 0.0005 * random.standard_normal(400)
    prices = np.exp(np.cumsum(np.concatenate([wild, pegged])))[:, None]
    verdict = is_near_constant(prices)[:, 0]
    assert not verdict[:400].any()
    assert verdict[-1]
    np.testing.assert_array_equal(is_near_constant(prices[:500])[:, 0], verdict[:500])


def test_it_tells_why_a_coin_is_not_eligible() -> None:
    panel = market(days=200, coins=5)
    prices = panel.prices.copy()
    prices[:139, 1] = NAN
    prices[:, 2] = 1 + 1e-4 * np.sin(np.arange(200))
    prices[-1, 3] = NAN
    prices[150:155, 4] = NAN
    reasons = eligibility(with_prices(panel, prices), day(panel, 199))
    assert reasons == {
        "coin-01": "not enough data: 61 of 90 days",
        "coin-02": NEAR_CONSTANT,
        "coin-03": NO_PRICE,
        "coin-04": "not enough data: 45 of 90 days",
    }


def test_it_finds_no_price_for_anyone_outside_the_panel() -> None:
    panel = market(days=120, coins=2)
    assert set(eligibility(panel, date(2030, 1, 1)).values()) == {NO_PRICE}
    assert set(eligibility(panel, date(2020, 1, 1)).values()) == {NO_PRICE}


def test_it_hashes_equal_panels_alike_and_others_not() -> None:
    panel = market(days=30, coins=3)
    moved = panel.prices.copy()
    moved[7, 1] *= 1 + 1e-12
    assert dataset_hash(panel) == dataset_hash(market(days=30, coins=3))
    assert dataset_hash(panel) != dataset_hash(with_prices(panel, moved))
    assert dataset_hash(panel) != dataset_hash(panel.until(day(panel, 28)))


def test_it_refuses_a_panel_with_a_missing_day() -> None:
    dates = np.array(["2024-01-01", "2024-01-03"], dtype="datetime64[D]")
    with pytest.raises(ValueError, match="consecutive"):
        Panel(dates, ["a"], np.ones((2, 1)))


def test_it_reads_a_folder_of_csv_files(tmp_path: Path) -> None:
    (tmp_path / "bitcoin.csv").write_text("date,price,volume\n2024-01-01,10,5\n2024-01-02,,5\n2024-01-03,12,\n")
    panel = read_csv_folder(tmp_path)
    assert panel.coins == ["bitcoin"]
    np.testing.assert_array_equal(panel.prices[:, 0], [10, NAN, 12])


def test_it_names_the_file_and_line_of_a_bad_value(tmp_path: Path) -> None:
    (tmp_path / "bitcoin.csv").write_text("date,price\n2024-01-01,10\n2024-01-02,ten\n")
    with pytest.raises(ValueError, match=r"bitcoin\.csv: line 3"):
        read_csv_folder(tmp_path)


def test_it_refuses_a_folder_without_prices(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_csv_folder(tmp_path)
