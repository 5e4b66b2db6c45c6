"""The hourly check: faults are opened and closed once, outliers quarantined, and staff's decisions kept."""

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from pytest_django import DjangoAssertNumQueries, Settings

from markets import tasks
from markets.lease import single_flight
from markets.models import Cryptocurrency, DataFault, Interval, PriceData, SyncRun
from markets.quality import checks
from markets.quality.checks import check_quality
from markets.quality.coverage import coverage
from markets.quality.quarantine import NotPossible, quarantine_slot, release_quarantine, resolve_fault
from markets.tests.quality.conftest import NOW, wander, write

DAY, HOUR, FIVE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=5)
MIDNIGHT = NOW.replace(hour=0, minute=0)
FIRST = MIDNIGHT - 100 * DAY


def spiked() -> np.ndarray:
    """100 days, with a price at the end of day 60 that cannot be true."""
    prices = wander(100)
    prices[60] = prices[59] * 0.2
    prices[61] = prices[59] * 1.02
    return prices


def quarantined() -> list[int]:
    """Which days are quarantined, counted from FIRST."""
    rows = PriceData.objects.filter(is_quarantined=True, interval="1d")
    return [(at - FIRST).days for at in rows.order_by("at").values_list("at", flat=True)]


def faults(**lookups: Any) -> list[tuple[str, str, int, bool]]:
    found = DataFault.objects.filter(**lookups).order_by("start_at", "pk")
    return [(one.kind, one.interval, one.slots, one.resolved_at is None) for one in found]


class TestFinding:
    def test_it_quarantines_an_outlier_and_keeps_the_row(self, coin: Cryptocurrency) -> None:
        write(coin, "1d", FIRST, spiked())
        run = check_quality(now=NOW)
        assert (run.kind, run.state, run.done, run.total) == ("quality", "succeeded", 1, 1)
        assert quarantined() == [60, 61]
        assert faults() == [("outlier", "1d", 2, True)]
        fault = DataFault.objects.get()
        assert (fault.start_at, fault.end_at) == (FIRST + 60 * DAY, FIRST + 62 * DAY)
        assert "between" in fault.detail
        assert PriceData.objects.count() == 100

    def test_it_changes_nothing_the_second_time(self, coin: Cryptocurrency) -> None:
        prices = spiked()
        prices[30:33] = np.nan
        prices[80:86] = prices[79]
        write(coin, "1d", FIRST, prices, volume_24h=5.0, market_cap=7.0)
        check_quality(now=NOW, coin_ids=[coin.pk])
        before = list(DataFault.objects.order_by("pk").values())
        assert sorted({one["kind"] for one in before}) == ["duplicate", "frozen", "gap", "outlier"]
        for since in (None, FIRST):
            assert check_quality(now=NOW + HOUR, coin_ids=[coin.pk], since=since).rows_written == 0
        assert list(DataFault.objects.order_by("pk").values()) == before

    def test_it_leaves_a_collapse(self, coin: Cryptocurrency) -> None:
        prices = wander(100)
        prices[60:] *= 0.01
        write(coin, "1d", FIRST, prices)
        check_quality(now=NOW)
        assert faults() == []

    def test_it_goes_on_from_the_last_run_and_still_sees_a_gap_that_began_long_before(
        self, coin: Cryptocurrency
    ) -> None:
        other = Cryptocurrency.objects.create(coingecko_id="other", symbol="o", name="Other", is_tracked=True)
        for one in (coin, other):
            write(one, "1h", NOW.replace(minute=0) - 400 * HOUR, wander(200, daily=0.005))
        check_quality(now=NOW - HOUR)
        write(coin, "1h", NOW.replace(minute=0) - HOUR, [101.0])
        SyncRun.objects.update(started_at=NOW - HOUR)
        later = NOW.replace(hour=(coin.pk + 1) % 24)  # not this coin's turn to be checked whole
        later += DAY if later < NOW else timedelta(0)
        check_quality(now=later)
        assert faults(interval="1h") == [("gap", "1h", 199, True)]

    def test_it_lets_one_coin_in_twenty_four_be_checked_over_all_its_history(self, coin: Cryptocurrency) -> None:
        write(coin, "1d", FIRST, wander(100))
        check_quality(now=NOW - DAY)
        PriceData.objects.filter(at=FIRST + 60 * DAY).update(close=0.5, low=0.5)
        PriceData.objects.filter(at=FIRST + 61 * DAY).update(open=0.5, low=0.5)
        others_turn = NOW.replace(hour=(coin.pk + 1) % 24)
        SyncRun.objects.update(started_at=others_turn - HOUR)
        check_quality(now=others_turn)
        assert quarantined() == []
        own_turn = NOW.replace(hour=coin.pk % 24)
        SyncRun.objects.update(started_at=own_turn - HOUR)
        check_quality(now=own_turn)
        assert quarantined() == [60, 61]

    def test_it_needs_as_many_queries_for_fifty_coins_as_for_one(
        self, coin: Cryptocurrency, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        coins = Cryptocurrency.objects.bulk_create(
            Cryptocurrency(coingecko_id=f"coin-{i}", symbol="c", name="C", is_tracked=True) for i in range(50)
        )
        for one in coins:
            write(one, "1d", FIRST, wander(100))
            write(one, "1h", MIDNIGHT - 40 * HOUR, wander(40, daily=0.005))
        with django_assert_max_num_queries(60):
            check_quality(now=NOW)

    def test_it_closes_the_faults_of_slots_that_were_deleted(self, coin: Cryptocurrency, settings: Settings) -> None:
        settings.KEEP_1H_DAYS = 50
        for interval in ("1h", "1d"):
            DataFault.objects.create(
                coin=coin, interval=interval, kind="gap", start_at=NOW - 60 * DAY, end_at=NOW - 59 * DAY
            )
        check_quality(now=NOW, coin_ids=[])
        assert [one[1:] for one in faults()] == [("1h", 1, False), ("1d", 1, True)]


class TestGaps:
    def test_it_resolves_a_gap_that_was_filled(self, coin: Cryptocurrency) -> None:
        prices = wander(100)
        prices[30:33] = np.nan
        write(coin, "1d", FIRST, prices)
        check_quality(now=NOW)
        assert faults() == [("gap", "1d", 3, True)]
        write(coin, "1d", FIRST + 30 * DAY, [100.0, 100.0, 100.0])
        check_quality(now=NOW + HOUR, coin_ids=[coin.pk], since=NOW)
        assert faults() == [("gap", "1d", 3, False)]
        assert DataFault.objects.get().resolution == checks.FILLED

    def test_it_keeps_what_is_left_of_a_gap_open(self, coin: Cryptocurrency) -> None:
        prices = wander(100)
        prices[30:40] = np.nan
        write(coin, "1d", FIRST, prices)
        check_quality(now=NOW)
        write(coin, "1d", FIRST + 35 * DAY, [100.0])
        check_quality(now=NOW + HOUR, coin_ids=[coin.pk], since=NOW)
        assert faults() == [("gap", "1d", 10, False), ("gap", "1d", 5, True), ("gap", "1d", 4, True)]


class TestRestatements:
    def test_it_makes_rows_sound_again_when_upstream_restates_them(self, coin: Cryptocurrency) -> None:
        write(coin, "1d", FIRST, spiked())
        check_quality(now=NOW)
        PriceData.objects.filter(at=FIRST + 60 * DAY).update(open=100.0, low=100.0, high=100.0, close=100.0)
        PriceData.objects.filter(at=FIRST + 59 * DAY).update(open=100.0, low=100.0, high=100.0, close=100.0)
        PriceData.objects.filter(at=FIRST + 61 * DAY).update(open=100.0, low=100.0, high=100.0, close=100.0)
        check_quality(now=NOW + HOUR, coin_ids=[coin.pk])
        assert quarantined() == []
        assert DataFault.objects.get().resolution == checks.NO_LONGER

    def test_it_makes_an_hour_and_a_day_again_without_a_bad_five_minute_price(self, coin: Cryptocurrency) -> None:
        start = MIDNIGHT - DAY
        prices = wander(288, daily=0.001)
        write(coin, "1h", start, wander(24, daily=0.001))
        write(coin, "1d", start, [prices[-1]])
        write(coin, "5m", start, prices)
        bad = PriceData.objects.filter(interval="5m", at=start + 10 * HOUR + 30 * timedelta(minutes=1))
        bad.update(open=500.0, high=500.0, low=500.0, close=500.0)
        PriceData.objects.filter(interval="1h", at=start + 10 * HOUR).update(high=500.0)
        PriceData.objects.filter(interval="1d").update(high=500.0)
        check_quality(now=NOW)
        assert [row.is_quarantined for row in bad] == [True]
        assert PriceData.objects.get(interval="1h", at=start + 10 * HOUR).high < 120
        assert PriceData.objects.get(interval="1d").high < 120


class TestStaff:
    def release(self, fault: DataFault) -> int:
        return release_quarantine(fault=fault, reason="An exchange confirmed it.", by="ada", now=NOW)

    def test_it_keeps_released_what_staff_released(self, coin: Cryptocurrency) -> None:
        write(coin, "1d", FIRST, spiked())
        check_quality(now=NOW)
        assert self.release(DataFault.objects.get()) == 2
        assert quarantined() == []
        check_quality(now=NOW + HOUR, coin_ids=[coin.pk])
        assert quarantined() == []
        assert DataFault.objects.get().resolution == "Released by ada: An exchange confirmed it."

    def test_it_releases_once_and_outliers_only(self, coin: Cryptocurrency) -> None:
        write(coin, "1d", FIRST, spiked())
        check_quality(now=NOW)
        fault = DataFault.objects.get()
        with pytest.raises(NotPossible):
            resolve_fault(fault=fault, reason="Seen.", by="ada", now=NOW)
        self.release(fault)
        with pytest.raises(NotPossible):
            self.release(fault)

    def test_it_keeps_closed_a_gap_that_staff_closed(self, coin: Cryptocurrency) -> None:
        prices = wander(100)
        prices[30:33] = np.nan
        write(coin, "1d", FIRST, prices)
        check_quality(now=NOW)
        resolve_fault(fault=DataFault.objects.get(), reason="Upstream has none.", by="ada", now=NOW)
        check_quality(now=NOW + HOUR, coin_ids=[coin.pk])
        assert faults() == [("gap", "1d", 3, False)]

    def test_it_keeps_in_quarantine_what_staff_put_there(self, coin: Cryptocurrency) -> None:
        write(coin, "1d", FIRST, wander(100))
        at = FIRST + 20 * DAY
        for _ in range(2):
            quarantine_slot(coin=coin, interval=Interval.DAY, at=at, reason="Wrong coin.", by="ada", now=NOW)
        check_quality(now=NOW, coin_ids=[coin.pk])
        assert quarantined() == [20]
        assert faults() == [("outlier", "1d", 1, True)]
        with pytest.raises(NotPossible):
            quarantine_slot(coin=coin, interval=Interval.DAY, at=NOW, reason="Nothing.", by="ada", now=NOW)

    def test_it_keeps_in_quarantine_what_the_check_had_found_and_staff_confirmed(self, coin: Cryptocurrency) -> None:
        write(coin, "1d", FIRST, spiked())
        check_quality(now=NOW)
        found = DataFault.objects.get()
        quarantine_slot(coin=coin, interval=Interval.DAY, at=found.start_at, reason="Wrong.", by="ada", now=NOW)
        sound = {"open": 100.0, "low": 100.0, "high": 100.0, "close": 100.0}
        PriceData.objects.filter(at__gte=FIRST + 59 * DAY, at__lte=FIRST + 61 * DAY).update(**sound)
        check_quality(now=NOW + HOUR, coin_ids=[coin.pk])
        assert DataFault.objects.get().resolved_at is None
        assert quarantined() != []


class TestCoverage:
    def test_it_counts_expected_present_and_quarantined_slots_in_one_query(
        self, coin: Cryptocurrency, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        prices = spiked()
        prices[30:33] = np.nan
        write(coin, "1d", FIRST, prices)
        check_quality(now=NOW)
        with django_assert_num_queries(1):
            found = coverage(coin, Interval.DAY, FIRST + 20 * DAY, MIDNIGHT)
        assert (found.expected, found.present, found.quarantined, found.missing) == (80, 77, 2, 3)
        assert found.share == 75 / 80

    def test_it_expects_nothing_of_a_coin_before_its_first_slot(self, coin: Cryptocurrency) -> None:
        write(coin, "1d", FIRST, wander(100))
        assert coverage(coin, Interval.DAY, FIRST - 300 * DAY, NOW).share == 1.0
        assert coverage(coin, Interval.HOUR, FIRST, NOW).share is None


@pytest.mark.django_db
class TestTask:
    def test_it_records_a_run(self) -> None:
        tasks.check_data_quality()
        assert SyncRun.objects.get().kind == SyncRun.Kind.QUALITY

    def test_it_leaves_the_work_to_a_check_that_runs(self) -> None:
        with single_flight("quality", holder="another host", seconds=60):
            tasks.check_data_quality()
        assert not SyncRun.objects.exists()
