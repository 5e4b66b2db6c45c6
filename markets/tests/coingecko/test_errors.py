"""How CoinGecko's refusals and failures are told apart."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from markets.coingecko.errors import (
    BadAnswer,
    BadParameter,
    CoinGeckoError,
    NotFound,
    PlanProblem,
    RateLimited,
    RequestRefused,
    UpstreamUnavailable,
    error_from_answer,
    retry_after_seconds,
)

NOW = 1_790_000_010.0


def classify(status: int, body: Any, headers: dict[str, str] | None = None) -> CoinGeckoError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return error_from_answer(status, raw, headers or {}, now=NOW)


@pytest.mark.parametrize(
    ("status", "body", "kind", "code", "message"),
    [
        (404, {"error": "coin not found"}, NotFound, None, "coin not found"),
        (
            429,
            {"status": {"error_code": 429, "error_message": "You've exceeded"}},
            RateLimited,
            429,
            "You've exceeded",
        ),
        (
            401,
            {"error": {"status": {"error_code": 10012, "error_message": "past 365 days"}}},
            PlanProblem,
            10012,
            "past 365 days",
        ),
        (
            400,
            {"error_code": 10010, "status": {"error_message": "change your root URL"}},
            PlanProblem,
            10010,
            "change your root URL",
        ),
        (400, {"error": "invalid vs_currency"}, BadParameter, None, "invalid vs_currency"),
        (422, {"error": "Missing parameter ids"}, BadParameter, None, "Missing parameter ids"),
        (403, b"<html>1020</html>", PlanProblem, None, "CoinGecko answered with HTTP 403."),
        (429, b"Throttled", RateLimited, None, "Throttled"),
        (
            500,
            {"status": 500, "error": "Internal Server Error"},
            UpstreamUnavailable,
            None,
            "Internal Server Error",
        ),
        (522, b"<!DOCTYPE html>", UpstreamUnavailable, None, "CoinGecko answered with HTTP 522."),
        (408, b"", UpstreamUnavailable, None, "CoinGecko answered with HTTP 408."),
        (418, b"", RequestRefused, None, "CoinGecko answered with HTTP 418."),
        (302, b"", BadAnswer, None, "CoinGecko answered with HTTP 302, which is not expected here."),
    ],
)
def test_it_classifies_each_body_shape(
    status: int, body: Any, kind: type[CoinGeckoError], code: int | None, message: str
) -> None:
    error = classify(status, body)
    assert (type(error), error.status, error.error_code, error.message) == (kind, status, code, message)


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"error": [1, {"status": 7}]}', b"\xff\xfe", b"null", b'"x"'])
def test_it_survives_any_body(body: bytes) -> None:
    assert isinstance(classify(500, body), UpstreamUnavailable)


def test_it_keeps_a_long_message_short() -> None:
    assert len(classify(404, {"error": "x" * 10_000}).message) == 300


@pytest.mark.parametrize(
    ("status", "code", "message", "concerns_every_call"),
    [
        (401, 10002, "API Key Missing", True),
        (401, None, "invalid API key", True),
        (400, 10011, "change your root URL", True),
        (403, 403, "Please add a descriptive User-Agent", True),
        (401, 10005, "This request is limited to PRO API subscribers.", False),
        (401, 10012, "Your request exceeds the allowed time range.", False),
        (401, None, "interval=daily is exclusive to paid plan subscribers", False),
    ],
)
def test_it_tells_a_bad_key_from_a_request_beyond_the_plan(
    status: int, code: int | None, message: str, concerns_every_call: bool
) -> None:
    error = classify(status, {"status": {"error_code": code, "error_message": message}})
    assert isinstance(error, PlanProblem)
    assert error.concerns_every_call is concerns_every_call


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "53"}, 53.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "999999999"}, 3600.0),
        ({"retry-after": "Mon, 21 Sep 2026 14:13:55 GMT"}, 25.0),
        ({"retry-after": "Mon, 21 Sep 2026 14:13:55 GMT", "date": "Mon, 21 Sep 2026 14:13:15 GMT"}, 40.0),
        ({"retry-after": "Mon, 21 Sep 2020 14:13:55 GMT"}, 0.0),
        ({"x-ratelimit-reset": "2026-09-21 14:13:45 +0000"}, 15.0),
        ({"retry-after": "53", "x-ratelimit-reset": "2026-09-21 14:13:45 +0000"}, 53.0),
        ({"retry-after": "soon"}, 30.0),
        ({}, 30.0),
    ],
)
def test_it_reads_how_long_to_keep_silent(headers: dict[str, str], seconds: float) -> None:
    assert retry_after_seconds(headers, now=NOW) == seconds


RECORDED_ERRORS = {
    "400_10010_pro_key_on_demo_host": PlanProblem,
    "400_10011_demo_key_on_pro_host": PlanProblem,
    "400_invalid_vs_currency": BadParameter,
    "401_10002_key_missing": PlanProblem,
    "401_10005_pro_only": PlanProblem,
    "401_10012_history_over_365_days": PlanProblem,
    "403_missing_user_agent": PlanProblem,
    "404_coin_not_found": NotFound,
    "422_missing_ids": BadParameter,
    "422_missing_vs_currency": BadParameter,
    "429_legacy_text": RateLimited,
    "429_rate_limit": RateLimited,
    "500_ohlc_without_params": UpstreamUnavailable,
}


@pytest.mark.shared
@pytest.mark.parametrize(("name", "kind"), RECORDED_ERRORS.items())
def test_it_classifies_every_recorded_error(
    name: str, kind: type[CoinGeckoError], recorded: Callable[[str], Any]
) -> None:
    capture = recorded(f"recorded/errors/{name}.json")
    body = capture["body"].encode() if isinstance(capture["body"], str) else capture["body"]
    error = classify(capture["status"], body, capture.get("headers"))
    assert type(error) is kind
    assert error.message
    assert not error.message.startswith("CoinGecko answered with HTTP")
    if name == "429_rate_limit":
        assert isinstance(error, RateLimited)
        assert error.retry_after_seconds == 53.0
