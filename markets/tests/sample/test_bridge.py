"""Random numbers and bridges: the same piece by piece as in one go, and true to the daily prices."""

import numpy as np
import pytest

from markets.sample.bridge import SLOTS_PER_DAY, random_shapes
from markets.sample.history import CoinHistory
from markets.sample.noise import normals, stream_key, students, uniforms

KEY = stream_key(7, "bitcoin")


def history(prices: list[float]) -> CoinHistory:
    columns = np.array(prices)
    return CoinHistory(KEY, 100, columns, columns * 10.0, columns * 2.0, np.full(columns.size, 0.03))


@pytest.mark.parametrize("start", [0, 1, 2, 3, 4, 1_001])
def test_it_draws_the_same_number_at_a_position_wherever_the_piece_begins(start: int) -> None:
    whole = uniforms(KEY, 0, 1_010)
    assert np.array_equal(uniforms(KEY, start, 9), whole[start : start + 9])


def test_it_draws_other_numbers_for_another_key() -> None:
    assert not np.any(uniforms(KEY, 0, 100) == uniforms(stream_key(8, "bitcoin"), 0, 100))


def test_it_draws_normals_and_students_with_unit_variance() -> None:
    assert np.std(normals(KEY, 0, 100_000)) == pytest.approx(1.0, abs=0.01)
    drawn = students(KEY, 0, 200_000, 6.0)
    assert np.std(drawn) == pytest.approx(1.0, abs=0.02)
    assert np.mean(drawn**4) == pytest.approx(6.0, rel=0.25)  # kurtosis 3 + 6 / (6 - 4)


def test_it_refuses_half_a_pair_of_normals() -> None:
    with pytest.raises(ValueError, match="even"):
        normals(KEY, 1, 4)


def test_it_makes_the_same_day_alone_as_among_others() -> None:
    week = random_shapes(KEY, 20_000, 7)
    assert np.array_equal(random_shapes(KEY, 20_003, 1)[0], week[3])


def test_it_pins_bridges_at_midnight_and_lets_them_stray_at_noon() -> None:
    shapes = random_shapes(KEY, 20_000, 2_000)
    assert np.allclose(shapes[:, [0, -1]], 0.0)
    assert np.std(shapes[:, SLOTS_PER_DAY // 2]) == pytest.approx(0.5, abs=0.05)  # a Brownian bridge: sqrt(1/4)


def test_it_leads_the_path_through_every_daily_price() -> None:
    coin = history([10.0, 12.0, 9.0, 9.5])
    assert coin.price_path(100, 3)[::SLOTS_PER_DAY] == pytest.approx([10.0, 12.0, 9.0, 9.5], rel=1e-12)


def test_it_gives_one_price_at_an_instant_however_it_is_asked() -> None:
    coin = history([10.0, 12.0, 9.0, 9.5])
    stamps = np.array([100.25, 101.0, 102.7]) * 86_400
    together = coin.at(stamps).prices
    assert together == pytest.approx([coin.price_at(at) for at in stamps.tolist()], rel=1e-12)
    assert together[1] == pytest.approx(12.0, rel=1e-12)


def test_it_knows_no_price_before_the_first_day_nor_next_to_a_missing_one() -> None:
    coin = history([10.0, np.nan, 9.0, 9.5])
    prices = coin.at(np.array([99.5, 100.0, 100.5, 101.5, 102.0, 102.5]) * 86_400).prices
    assert np.isnan(prices).tolist() == [True, False, True, True, False, False]


def test_it_keeps_caps_in_step_with_prices_within_the_day() -> None:
    points = history([10.0, 12.0, 9.0, 9.5]).at(np.array([100.4, 101.6]) * 86_400)
    assert points.market_caps == pytest.approx(points.prices * 10.0)
