"""The one CoinGecko client of this installation, built from its settings. For workers: a web process never calls it."""

from django.conf import settings

from markets.coingecko.client import CoinGeckoClient
from markets.coingecko.state import DiskState, RedisState, SharedState

USER_AGENT = "CryptoPredict/1.0 (+https://github.com/cryptopredict/cryptopredict)"


def shared_state() -> SharedState:
    """Limiter, breaker and budget: in Redis when there is one, otherwise in a file all local processes share."""
    if settings.REDIS_URL:
        return RedisState.from_url(settings.REDIS_URL)
    settings.SHARED_STATE_PATH.parent.mkdir(parents=True, exist_ok=True)
    return DiskState(settings.SHARED_STATE_PATH)


def build_client() -> CoinGeckoClient:
    """A client that shares its limits with every other process of this installation."""
    return CoinGeckoClient(
        base_url=settings.COINGECKO_BASE_URL,
        api_key=settings.COINGECKO_API_KEY,
        state=shared_state(),
        calls_per_minute=settings.COINGECKO_CALLS_PER_MINUTE,
        monthly_credits=settings.COINGECKO_MONTHLY_CREDITS or None,
        user_agent=USER_AGENT,
        timeout_seconds=settings.COINGECKO_TIMEOUT_SECONDS,
    )
