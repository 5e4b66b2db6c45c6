"""Keeps each coin's latest figures on its own row, brought up to date by newer ones only."""

from collections.abc import Sequence
from datetime import datetime

from django.utils import timezone

from markets.coingecko.schemas import MarketRow
from markets.models import Cryptocurrency

LATEST_FIELDS = (
    "symbol", "name", "image_url", "is_listed", "market_cap_rank", "price_usd", "market_cap_usd", "volume_24h_usd",
    "high_24h_usd", "low_24h_usd", "change_1h_percent", "change_24h_percent", "change_7d_percent",
    "circulating_supply", "max_supply", "all_time_high_usd", "all_time_high_at", "sparkline_7d", "price_at",
    "updated_at",
)  # fmt: skip


def write_latest(*, rows: Sequence[MarketRow], now: datetime) -> None:
    known = {
        coin.coingecko_id: coin
        for coin in Cryptocurrency.objects.select_for_update().filter(coingecko_id__in=[row.id for row in rows])
    }
    newer = [row for row in rows if _is_news(row, known.get(row.id))]
    Cryptocurrency.objects.bulk_create(
        [_latest(row, known.get(row.id)) for row in sorted(newer, key=lambda row: row.id)],
        update_conflicts=True,
        unique_fields=["coingecko_id"],
        update_fields=LATEST_FIELDS,
    )


def _is_priced(row: MarketRow) -> bool:
    return row.current_price is not None and row.last_updated_at is not None


def _is_news(row: MarketRow, coin: Cryptocurrency | None) -> bool:
    if coin is None or coin.price_at is None:
        return True
    return _is_priced(row) and row.last_updated_at is not None and row.last_updated_at > coin.price_at


def _latest(row: MarketRow, coin: Cryptocurrency | None) -> Cryptocurrency:
    priced = _is_priced(row)
    return Cryptocurrency(
        coingecko_id=row.id,
        symbol=row.symbol[:50],
        name=row.name[:200],
        image_url=(row.image or "")[:500],
        is_listed=True,
        market_cap_rank=row.market_cap_rank,
        price_usd=row.current_price if priced else None,
        market_cap_usd=row.market_cap,
        volume_24h_usd=row.total_volume,
        high_24h_usd=row.high_24h,
        low_24h_usd=row.low_24h,
        change_1h_percent=row.price_change_percentage_1h,
        change_24h_percent=row.price_change_percentage_24h,
        change_7d_percent=row.price_change_percentage_7d,
        circulating_supply=row.circulating_supply,
        max_supply=row.max_supply,
        all_time_high_usd=row.ath,
        all_time_high_at=row.ath_at,
        sparkline_7d=list(row.sparkline or (coin.sparkline_7d if coin else ())),
        price_at=row.last_updated_at if priced else None,
        updated_at=timezone.now(),
    )
