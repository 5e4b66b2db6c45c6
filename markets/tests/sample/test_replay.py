"""Replay of CSV folders: the shift to the present, gaps, blanks, measured hours and unreadable files."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from markets.sample.csv_files import ReplayDataError
from markets.sample.market import HistoryMarket
from markets.sample.replay import replay_market
from markets.sample.snapshot import Snapshots

from .conftest import NOW

LAST = date(2025, 9, 30)  # a Tuesday
TODAY = NOW.date()
EPOCH = date(1970, 1, 1)
HEADER = "date,price,market_cap,volume"


def write_daily(folder: Path, coin_id: str, rows: int = 120, *, last: date = LAST, supply: float = 1_000.0) -> Path:
    """Write rows with the prices 100, 101, 102 and so on, and a tenth of the cap as volume."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [HEADER]
    for row in range(rows):
        price = 100.0 + row
        day = last - timedelta(days=rows - 1 - row)
        lines.append(f"{day},{price},{price * supply},{price * supply / 10}")
    path = folder / f"{coin_id}.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def replay(folder: Path, *, today: date = TODAY, coin_count: int = 50, seed: int = 7) -> HistoryMarket:
    return replay_market(folder, coin_count=coin_count, seed=seed, today=today)


def price_on(market: HistoryMarket, day: date, coin_id: str = "bitcoin") -> float:
    return float(market.history(coin_id).daily((day - EPOCH).days, 1).prices[0])


@pytest.mark.parametrize("days_later", range(0, 15))
def test_it_moves_the_last_row_by_whole_weeks_to_today_or_at_most_six_days_ahead(
    tmp_path: Path, days_later: int
) -> None:
    write_daily(tmp_path, "bitcoin")
    today = date(2026, 3, 3) + timedelta(days=days_later)  # 3 March 2026 is a Tuesday too
    market = replay(tmp_path, today=today)
    last = today + timedelta(days=-days_later % 7)
    assert price_on(market, last) == 219.0
    assert price_on(market, last - timedelta(days=119)) == 100.0
    assert last.weekday() == LAST.weekday()


def test_it_keeps_rows_that_end_today_where_they_are(tmp_path: Path) -> None:
    write_daily(tmp_path, "bitcoin", last=TODAY)
    assert price_on(replay(tmp_path), TODAY) == 219.0


def test_it_reads_a_folder_with_or_without_daily_in_it(tmp_path: Path) -> None:
    write_daily(tmp_path / "flat", "bitcoin")
    write_daily(tmp_path / "deep" / "daily", "bitcoin")
    flat, deep = replay(tmp_path / "flat"), replay(tmp_path / "deep")
    assert flat.history("bitcoin").prices.tolist() == deep.history("bitcoin").prices.tolist()


def test_it_goes_on_after_the_last_row_the_same_at_every_start(tmp_path: Path) -> None:
    write_daily(tmp_path, "bitcoin")
    stamps = NOW.timestamp() + np.arange(-3.0, 20.0) * 43_200
    first, second = (replay(tmp_path).history("bitcoin").at(stamps).prices for _ in range(2))
    assert not np.isnan(first).any()
    assert np.array_equal(first, second)
    assert np.std(np.diff(np.log(first))) > 0.0
    other = replay(tmp_path, seed=8).history("bitcoin").at(stamps).prices
    assert not np.array_equal(first[-10:], other[-10:])


def test_it_takes_the_biggest_coins_and_always_bitcoin(tmp_path: Path) -> None:
    for number in range(6):
        write_daily(tmp_path, f"coin-{number}", supply=1_000.0 * (number + 1))
    write_daily(tmp_path, "bitcoin", supply=1.0)
    assert set(replay(tmp_path, coin_count=3).coins) == {"bitcoin", "coin-5", "coin-4"}


def test_it_delists_coins_that_ended_before_the_others(tmp_path: Path) -> None:
    write_daily(tmp_path, "bitcoin")
    write_daily(tmp_path, "gone", last=LAST - timedelta(days=31))
    write_daily(tmp_path, "late", last=LAST - timedelta(days=30))
    market = replay(tmp_path)
    assert set(market.coins) == {"bitcoin", "late"}
    assert set(market.inactive_coins) == {"gone"}


def test_it_makes_the_smallest_of_many_coins_stale(tmp_path: Path) -> None:
    for number in range(25):
        write_daily(tmp_path, f"coin-{number}", supply=1_000.0 * (number + 1))
    coins = replay(tmp_path).coins
    assert [coin.id for coin in coins.values() if coin.stale_seconds] == ["coin-0"]


def test_it_leaves_missing_days_out_and_keeps_zero_caps(tmp_path: Path) -> None:
    path = write_daily(tmp_path, "bitcoin")
    lines = path.read_text().splitlines()
    day, price, _, volume = lines[60].split(",")
    lines[60] = f"{day},{price},0.0,{volume}"
    del lines[80:85]
    path.write_text("\n".join(lines))
    history = replay(tmp_path).history("bitcoin")
    assert np.isnan(history.prices[:120]).sum() == 5
    assert history.market_caps[59] == 0.0


def test_it_fills_blanks_from_the_cap_before_and_from_the_listing(tmp_path: Path) -> None:
    path = write_daily(tmp_path / "daily", "bitcoin")
    lines = path.read_text().splitlines()
    for number in (1, 50):
        day, price, _, _ = lines[number].split(",")
        lines[number] = f"{day},{price},,"
    path.write_text("\n".join(lines))
    unlisted = replay(tmp_path).history("bitcoin")
    assert np.isnan(unlisted.market_caps[0])
    assert unlisted.market_caps[49] == pytest.approx(149.0 * 1_000)
    (tmp_path / "coins.csv").write_text(
        "id,symbol,name,marketCap,volume24h,circulatingSupply,totalSupply,maxSupply\n"
        "bitcoin,btc,Bitcoin,1000,50,2000,2100,\n"
    )
    market = replay(tmp_path)
    assert market.history("bitcoin").market_caps[0] == pytest.approx(100.0 * 2_000)
    assert market.history("bitcoin").volumes[0] == pytest.approx(100.0 * 2_000 * 0.05)
    coin = market.coins["bitcoin"]
    assert (coin.symbol, coin.name, coin.total_supply, coin.max_supply) == ("btc", "Bitcoin", 2_100.0, None)


def test_it_takes_volumes_from_the_candle_of_the_day_before(tmp_path: Path) -> None:
    path = write_daily(tmp_path / "daily", "bitcoin", rows=3)
    path.write_text(
        "\n".join(line.rsplit(",", 1)[0] + "," if line != HEADER else line for line in path.read_text().splitlines())
    )
    (tmp_path / "ohlcv_daily").mkdir()
    (tmp_path / "ohlcv_daily" / "bitcoin.csv").write_text(
        f"date,open,high,low,close,volume\n{LAST - timedelta(days=1)},100,110,90,105,40\n"
    )
    assert replay(tmp_path).history("bitcoin").volumes[2] == pytest.approx(105.0 * 40.0)


def test_it_follows_measured_hours_within_the_day(tmp_path: Path) -> None:
    write_daily(tmp_path / "daily", "bitcoin", rows=3)
    (tmp_path / "hourly").mkdir()
    midnight = datetime(LAST.year, LAST.month, LAST.day, tzinfo=UTC) - timedelta(days=1)
    opens = [100.0 * (1.5 if hour == 12 else 1.0) for hour in range(25)]  # doubles nothing, peaks at noon
    lines = [
        f"{midnight + timedelta(hours=hour):%Y-%m-%dT%H:%MZ},{price},{price},{price},{price},1"
        for hour, price in enumerate(opens)
    ]
    (tmp_path / "hourly" / "bitcoin.csv").write_text("timestamp,open,high,low,close,volume\n" + "\n".join(lines))
    market = replay(tmp_path, today=LAST)
    noon = (midnight + timedelta(hours=12)).timestamp()
    quiet = (midnight + timedelta(hours=6)).timestamp()
    history = market.history("bitcoin")
    assert history.price_at(noon) == pytest.approx(1.5 * np.sqrt(101.0 * 102.0))
    assert history.price_at(quiet) == pytest.approx(101.0 * (102.0 / 101.0) ** 0.25)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("day,price,market_cap,volume\n2025-09-30,1,1,1\n", "header"),
        (f"{HEADER}\n2025-09-30,abc,1,1\n", "line"),
        (f"{HEADER}\n2025-09-30,1,1\n", "line"),
        (f"{HEADER}\n2025-09-30,1,1,1\n2025-09-30,1,1,1\n", "line 3: 2025-09-30 does not follow"),
        (f"{HEADER}\nyesterday,1,1,1\n", "isoformat"),
        (f"{HEADER}\n", "last line"),
    ],
)
def test_it_names_the_file_that_it_cannot_read(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bitcoin.csv").write_text(text)
    with pytest.raises(ReplayDataError, match=message) as raised:
        replay(tmp_path)
    assert "bitcoin.csv" in str(raised.value)


def test_it_refuses_a_folder_without_data(tmp_path: Path) -> None:
    with pytest.raises(ReplayDataError, match="no such folder"):
        replay(tmp_path / "nothing")


@pytest.mark.shared
def test_it_replays_the_shared_data(shared: Path) -> None:
    market = replay(shared / "data", coin_count=30)
    assert len(market.coins) == 30
    assert {"bitcoin", "ethereum", "tether"} <= market.coins.keys()
    assert "ftx-token" in market.inactive_coins
    last = TODAY + timedelta(days=(LAST - TODAY).days % 7)
    assert price_on(market, last) == 114_309.15041119447
    quotes = Snapshots(market).at(NOW.timestamp())
    assert next(iter(quotes)) == "bitcoin"
    assert all(quote.price > 0.0 for quote in quotes.values())
    assert sum(quote.market_cap > 0.0 for quote in quotes.values()) >= 28


@pytest.mark.shared
def test_it_follows_the_shared_hours_at_their_shifted_time(shared: Path) -> None:
    market = replay(shared / "data", coin_count=1)
    line = next(
        line
        for line in (shared / "data/hourly/bitcoin.csv").read_text().splitlines()
        if line.startswith("2025-09-10T15:")
    )
    shift = timedelta(days=-((LAST - TODAY).days // 7 * 7))
    at = (datetime(2025, 9, 10, 15, tzinfo=UTC) + shift).timestamp()
    assert market.history("bitcoin").price_at(at) == pytest.approx(float(line.split(",")[1]), rel=0.002)
