"""Conformance: the official SDK reads the server, and answers have the shape that the service publishes."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from coingecko_sdk import APIStatusError, Coingecko

from .conftest import Api


@pytest.fixture
def sdk(api: Api, monkeypatch: pytest.MonkeyPatch) -> Coingecko:
    monkeypatch.setenv("COINGECKO_BASE_URL", api.server.base_url)
    monkeypatch.delenv("COINGECKO_PRO_API_KEY", raising=False)
    return Coingecko(demo_api_key="CG-sample", max_retries=0, _strict_response_validation=True)


def test_it_answers_the_official_sdk(sdk: Coingecko) -> None:
    assert sdk.ping.get().gecko_says == "(V3) To the Moon!"
    rows = sdk.coins.markets.get(vs_currency="usd", per_page=50, sparkline=True, price_change_percentage="1h,7d")
    assert len(rows) == 50
    assert rows[0].current_price is not None
    chart = sdk.coins.market_chart.get("bitcoin", vs_currency="usd", days="90")
    assert chart.prices is not None
    assert len(chart.prices) > 2_000
    prices = sdk.simple.price.get(ids="bitcoin,ethereum", vs_currencies="usd")
    assert set(prices) == {"bitcoin", "ethereum"}
    assert sdk.search.get(query="eth").coins
    assert len(sdk.coins.ohlc.get("bitcoin", vs_currency="usd", days="7")) == 42
    assert sdk.coins.get_id("bitcoin").symbol == "btc"
    assert len(sdk.coins.list.get()) == 50


def test_it_makes_the_official_sdk_raise_its_own_errors(sdk: Coingecko, api: Api) -> None:
    with pytest.raises(APIStatusError, match="coin not found"):
        sdk.coins.get_id("no-such-coin")
    api.fault(kind="503", count=1)
    with pytest.raises(APIStatusError) as raised:
        sdk.ping.get()
    assert raised.value.status_code == 503


def without_openapi_dialect(schema: Any) -> Any:
    """Return an OpenAPI 3.0 schema as JSON Schema: `nullable` becomes a second type."""
    if isinstance(schema, list):
        return [without_openapi_dialect(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {name: without_openapi_dialect(part) for name, part in schema.items()}
    if plain.pop("nullable", False) and "type" in plain:
        plain["type"] = [plain["type"], "null"]
        if "enum" in plain:
            plain["enum"] = [*plain["enum"], None]
    return plain


@pytest.fixture(scope="module")
def published(shared: Path) -> Any:
    return without_openapi_dialect(json.loads((shared / "coingecko" / "demo-api.json").read_text()))


@pytest.mark.shared
@pytest.mark.parametrize(
    ("template", "path", "parameters"),
    [
        ("/ping", "/ping", {}),
        (
            "/simple/price",
            "/simple/price",
            {"ids": "bitcoin", "vs_currencies": "usd", "include_market_cap": "true"},
        ),
        ("/search", "/search", {"query": "coin"}),
        ("/simple/supported_vs_currencies", "/simple/supported_vs_currencies", {}),
        ("/coins/list", "/coins/list", {"include_platform": "true"}),
        ("/coins/{id}", "/coins/bitcoin", {"sparkline": "true"}),
        ("/coins/{id}", "/coins/sui", {}),
        ("/coins/markets", "/coins/markets", {"vs_currency": "usd", "sparkline": "true", "per_page": "250"}),
        ("/coins/{id}/history", "/coins/bitcoin/history", {"date": "01-03-2026"}),
        ("/coins/{id}/market_chart", "/coins/bitcoin/market_chart", {"vs_currency": "usd", "days": "91"}),
        ("/coins/{id}/ohlc", "/coins/bitcoin/ohlc", {"vs_currency": "usd", "days": "14"}),
        ("/asset_platforms", "/asset_platforms", {}),
        ("/exchange_rates", "/exchange_rates", {}),
        ("/search/trending", "/search/trending", {}),
        ("/global", "/global", {}),
    ],
)
def test_it_answers_in_the_published_shape(
    api: Api, published: Any, template: str, path: str, parameters: dict[str, str]
) -> None:
    answer = published["paths"][template]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    validator = jsonschema.Draft202012Validator({**answer, "components": published["components"]})
    validator.validate(api.json(path, **parameters))


@pytest.mark.shared
@pytest.mark.parametrize(
    ("file", "path", "parameters"),
    [
        ("400_10010_pro_key_on_demo_host", "/ping", {"x_cg_pro_api_key": "CG-pro"}),
        ("400_invalid_vs_currency", "/coins/markets", {"vs_currency": "usdt"}),
        ("401_10005_pro_only", "/key", {}),
        (
            "401_10012_history_over_365_days",
            "/coins/bitcoin/market_chart",
            {"vs_currency": "usd", "days": "366"},
        ),
        ("404_coin_not_found", "/coins/no-such-coin", {}),
        ("422_missing_ids", "/simple/price", {"vs_currencies": "usd"}),
        ("422_missing_vs_currency", "/coins/markets", {}),
    ],
)
def test_it_sends_the_recorded_errors(api: Api, shared: Path, file: str, path: str, parameters: dict[str, str]) -> None:
    recorded = json.loads((shared / "coingecko" / "recorded" / "errors" / f"{file}.json").read_text())
    response = api.get(path, **parameters)
    assert response.status_code == recorded["status"]
    assert without_stamps(response.json()) == without_stamps(recorded["body"])


def without_stamps(body: Any) -> Any:
    if not isinstance(body, dict):
        return body
    return {name: without_stamps(part) for name, part in body.items() if name != "timestamp"}
