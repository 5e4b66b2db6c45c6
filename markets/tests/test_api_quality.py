"""The API of data quality: what is missing, doubtful or changed in a coin's prices."""

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.test import Client
from django.utils import timezone

from markets.api import quality_serializers
from markets.models import Cryptocurrency, DataFault, Restatement
from markets.quality.checks import check_quality
from markets.tests.api import API, ask, assert_documented, count_queries, error_code, faults
from markets.tests.quality.conftest import wander, write

PATH = "cryptocurrencies/bitcoin/prices/quality/"
DAY = timedelta(days=1)


@pytest.fixture
def bitcoin(db: None) -> Cryptocurrency:
    """100 days with a hole of three and a price that cannot be true."""
    coin = Cryptocurrency.objects.create(
        coingecko_id="bitcoin", symbol="btc", name="Bitcoin", is_tracked=True, price_usd=9.0, price_at=timezone.now()
    )
    first = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0) - 100 * DAY
    prices = wander(100)
    prices[30:33] = np.nan
    prices[70], prices[71] = prices[69] * 0.2, prices[69]
    write(coin, "1d", first, prices)
    check_quality(now=timezone.now())
    Restatement.objects.create(
        coin=coin, interval="1d", at=first + 50 * DAY, field="close", old_value=101.5, new_value=102.25
    )
    return coin


def test_it_tells_coverage_gaps_quarantined_points_and_restatements(bitcoin: Cryptocurrency) -> None:
    answer = ask(PATH)
    assert_documented(answer, quality_serializers.QualitySerializer())
    days = next(one for one in answer["coverage"] if one["interval"] == "1d")
    assert (days["expected"], days["present"], days["missing"], days["quarantined"]) == (100, 97, 3, 2)
    assert days["share"] == 0.95
    assert [one["share"] for one in answer["coverage"] if one["interval"] != "1d"] == [None, None]
    assert [(one["interval"], one["slots"]) for one in answer["gaps"]["items"]] == [("1d", 3)]
    (point,) = answer["quarantined"]["items"]
    assert "between" in point["detail"]
    (change,) = answer["restatements"]["items"]
    assert (change["field"], change["old_value"], change["new_value"]) == ("close", 101.5, 102.25)
    assert change["stated_by"] == "upstream"
    assert answer["frozen_feeds"] == answer["duplicates"] == {"total": 0, "items": []}
    assert answer["checked_at"] is not None
    assert answer["is_stale"] is False


def test_it_tells_what_lies_in_the_range_only(bitcoin: Cryptocurrency) -> None:
    answer = ask(PATH, range="30d", interval="1d")
    assert [one["interval"] for one in answer["coverage"]] == ["1d"]
    assert (answer["gaps"]["total"], answer["quarantined"]["total"], answer["restatements"]["total"]) == (0, 1, 0)
    assert ask(PATH, range="all")["gaps"]["total"] == 1


def test_it_caps_its_lists_and_says_how_many_there_are(bitcoin: Cryptocurrency) -> None:
    now = timezone.now()
    DataFault.objects.bulk_create(
        DataFault(coin=bitcoin, interval="1h", kind="gap", start_at=now - i * DAY, end_at=now - (i - 1) * DAY)
        for i in range(1, 9)
    )
    gaps = ask(PATH, limit=4)["gaps"]
    assert (gaps["total"], len(gaps["items"])) == (9, 4)


def test_it_leaves_out_what_was_resolved(bitcoin: Cryptocurrency) -> None:
    DataFault.objects.update(resolved_at=timezone.now(), resolution="Released by ada@example.org: no reason.")
    answer = ask(PATH)
    assert (answer["gaps"]["total"], answer["quarantined"]["total"]) == (0, 0)
    assert "ada" not in str(answer)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"interval": "4h"}, [("interval", "invalid_choice")]),
        ({"limit": 0}, [("limit", "min_value")]),
        ({"limit": 251}, [("limit", "max_value")]),
        ({"range": "2y"}, [("range", "invalid_choice")]),
        ({"range": "1y", "start": "2026-01-01"}, [("range", "range_and_dates")]),
        ({"start": "yesterday"}, [("start", "invalid")]),
        ({"colour": "red"}, [("colour", "unknown_parameter")]),
    ],
)
def test_it_refuses_wrong_parameters(
    bitcoin: Cryptocurrency, parameters: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert faults(PATH, **parameters) == expected


def test_it_answers_404_for_an_unknown_coin(db: None) -> None:
    assert error_code("cryptocurrencies/nothing/prices/quality/", status=404) == "not_found"


def test_it_answers_304_and_asks_the_database_little(bitcoin: Cryptocurrency) -> None:
    fixed = {"start": "2026-01-01", "end": "2027-06-01"}
    first = Client().get(f"{API}{PATH}", fixed)
    assert "max-age=300" in first["Cache-Control"]
    again = Client().get(f"{API}{PATH}", fixed, headers={"If-None-Match": first["ETag"]})
    assert again.status_code == 304
    assert count_queries(PATH) <= 5
