"""Every fault as a client meets it, and the control endpoint that sets them."""

import json
import math
import time
from typing import Any

import pytest
import requests

from markets.sample.faults import KINDS, REFUSALS

from .conftest import Api

CHART = ("/coins/bitcoin/market_chart", {"vs_currency": "usd", "days": "100"})


def markets(api: Api) -> requests.Response:
    return api.get("/coins/markets", vs_currency="usd", per_page=4)


def clean(api: Api) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = markets(api).json()
    return rows


def test_it_sets_lists_and_clears_faults(api: Api) -> None:
    assert api.fault(kind="500", path="/ping", count=2).status_code == 201
    assert api.get("/ping").status_code == 500
    url = f"{api.server.origin}/_sample/faults"
    listed = api.session.get(url, timeout=5).json()["faults"]
    assert [(fault["kind"], fault["count"], fault["hits"]) for fault in listed] == [("500", 2, 1)]
    assert api.session.delete(url, timeout=5).json() == {"faults": []}
    assert api.get("/ping").status_code == 200


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"kind": "flood"},
        {"kind": "500", "count": 0},
        {"kind": "500", "count": 1.5},
        {"kind": "500", "count": True},
        {"kind": "500", "probability": 0},
        {"kind": "500", "probability": 1.1},
        {"kind": "drip", "seconds": -1},
        {"kind": "500", "path": 5},
        {"kind": "500", "colour": "red"},
    ],
)
def test_it_refuses_a_wrong_fault_and_sets_nothing(api: Api, fields: dict[str, Any]) -> None:
    response = api.fault(**fields)
    assert response.status_code == 400
    assert response.json()["error"]
    assert api.server.faults.listed() == []


@pytest.mark.parametrize("body", [b"", b"no json", b"[]", b"5"])
def test_it_refuses_a_fault_that_is_no_json_object(api: Api, body: bytes) -> None:
    response = api.session.post(f"{api.server.origin}/_sample/faults", data=body, timeout=5)
    assert response.status_code == 400
    assert api.server.faults.listed() == []


def test_it_strikes_only_the_path_and_only_so_often(api: Api) -> None:
    api.fault(kind="503", path="/coins/markets", count=2)
    assert api.get("/ping").status_code == 200
    assert [markets(api).status_code for _ in range(3)] == [503, 503, 200]


def test_it_strikes_with_the_probability_asked(api: Api) -> None:
    api.fault(kind="500", probability=0.3)
    struck = sum(api.get("/ping").status_code == 500 for _ in range(200))
    assert 35 <= struck <= 85


@pytest.mark.parametrize("retry_after", [7, "Wed, 18 Mar 2026 15:43:00 GMT", None])
def test_it_answers_429_with_the_retry_after_asked(api: Api, retry_after: int | str | None) -> None:
    api.fault(kind="429", **({} if retry_after is None else {"retry_after": retry_after}))
    response = markets(api)
    assert response.status_code == 429
    assert response.json()["status"]["error_code"] == 429
    assert response.headers.get("Retry-After") == (None if retry_after is None else str(retry_after))


@pytest.mark.parametrize(
    ("kind", "status", "content_type"),
    [
        ("500", 500, "application/json; charset=utf-8"),
        ("502", 502, "text/html; charset=UTF-8"),
        ("503", 503, "text/html; charset=UTF-8"),
        ("html", 200, "text/html; charset=UTF-8"),
    ],
)
def test_it_answers_in_place_of_the_api(api: Api, kind: str, status: int, content_type: str) -> None:
    api.fault(kind=kind)
    response = markets(api)
    assert (response.status_code, response.headers["Content-Type"]) == (status, content_type)
    assert response.text.startswith("<!DOCTYPE html>") == (content_type != "application/json; charset=utf-8")


def test_it_hangs_until_the_client_gives_up(api: Api) -> None:
    api.fault(kind="timeout", seconds=30, count=1)
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{api.server.base_url}/ping", timeout=0.1)
    assert api.server.journal.listed()[-1]["status"] is None
    assert api.get("/ping").status_code == 200


def test_it_closes_without_an_answer_when_the_hang_ends(api: Api) -> None:
    api.fault(kind="timeout", seconds=0.0, count=1)
    with pytest.raises(requests.ConnectionError):
        api.get("/ping")


def test_it_drips_the_whole_answer_slowly(api: Api) -> None:
    expected = clean(api)
    api.fault(kind="drip", seconds=0.2)
    began = time.monotonic()
    assert clean(api) == expected
    assert time.monotonic() - began >= 0.18


def test_it_cuts_the_json_in_half(api: Api) -> None:
    api.fault(kind="truncated")
    response = markets(api)
    assert response.status_code == 200
    assert response.text.startswith('[{"id":')
    with pytest.raises(json.JSONDecodeError):
        json.loads(response.text)


def test_it_leaves_fields_out(api: Api) -> None:
    api.fault(kind="missing_fields")
    rows = clean(api)
    assert ["current_price" in row for row in rows] == [False, True, False, True]
    assert "total_volumes" not in api.json(CHART[0], **CHART[1])
    assert api.json("/simple/price", ids="bitcoin", vs_currencies="usd") == {"bitcoin": {}}


def test_it_adds_fields_nobody_announced(api: Api) -> None:
    expected = clean(api)
    api.fault(kind="extra_fields")
    rows = clean(api)
    assert all("an_unannounced_field" in row for row in rows)
    assert [row["id"] for row in rows] == [row["id"] for row in expected]
    assert "an_unannounced_field" in api.json(CHART[0], **CHART[1])


@pytest.mark.parametrize(
    ("kind", "token", "is_wrong"),
    [
        ("nan", "NaN", math.isnan),
        ("negative", "-", lambda value: value < 0),
        ("absurd", "1e400", math.isinf),
    ],
)
def test_it_sends_impossible_numbers(api: Api, kind: str, token: str, is_wrong: Any) -> None:
    api.fault(kind=kind)
    response = markets(api)
    assert token in response.text
    assert [bool(is_wrong(row["current_price"])) for row in json.loads(response.text)] == [
        True,
        False,
        True,
        False,
    ]
    chart = json.loads(api.get(CHART[0], **CHART[1]).text)
    assert [bool(is_wrong(price)) for _, price in chart["prices"][:4]] == [True, False, True, False]
    simple = json.loads(api.get("/simple/price", ids="bitcoin", vs_currencies="usd").text)
    assert is_wrong(simple["bitcoin"]["usd"])


def test_it_repeats_rows_and_points(api: Api) -> None:
    expected = clean(api)
    chart = api.json(CHART[0], **CHART[1])["prices"]
    api.fault(kind="duplicate_rows")
    assert clean(api) == expected + expected[:2]
    repeated = api.json(CHART[0], **CHART[1])["prices"]
    assert repeated == chart + chart[: (len(chart) + 1) // 2]


def test_it_sends_rows_of_three_days_ago(api: Api) -> None:
    api.fault(kind="stale_rows")
    assert all(row["last_updated"].startswith("2026-03-15T15:4") for row in clean(api))
    assert all(row["last_updated"].endswith("Z") for row in clean(api))
    chart = api.json(CHART[0], **CHART[1])
    assert chart["prices"][-1][0] < (api.server.journal.listed()[-1]["at"] - 2.9 * 86_400) * 1_000
    candles = api.json("/coins/bitcoin/ohlc", vs_currency="usd", days=1)
    assert candles[-1][0] < (api.server.journal.listed()[-1]["at"] - 2.9 * 86_400) * 1_000


@pytest.mark.parametrize("path", ["/ping", "/coins/list", "/coins/bitcoin", "/search/trending", "/coins/nothing"])
def test_it_survives_every_fault_on_every_shape_of_answer(api: Api, path: str) -> None:
    for kind in sorted(KINDS - {"timeout"}):
        api.fault(kind=kind, seconds=0.01)
        is_missing = path == "/coins/nothing" and kind not in REFUSALS
        assert api.get(path).status_code == (404 if is_missing else int(kind) if kind.isdigit() else 200)
        api.server.faults.clear()
        assert api.get("/ping").status_code == 200


def test_it_names_the_fault_in_the_log(api: Api) -> None:
    api.fault(kind="502")
    markets(api)
    entry = api.server.journal.listed()[-1]
    assert (entry["path"], entry["status"], entry["fault"]) == ("/coins/markets", 502, "502")
