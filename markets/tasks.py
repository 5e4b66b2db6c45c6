"""When the market jobs run: each task is one service call with its retries and its queue."""

from celery import current_task, shared_task
from celery.utils.log import get_task_logger
from django.conf import settings
from django.utils import timezone

from markets import sync
from markets.coingecko.errors import CoinGeckoError
from markets.lease import AlreadyRunning, single_flight
from markets.quality.checks import check_quality
from markets.upstream import build_client

logger = get_task_logger(__name__)


@shared_task(name="markets.sync_all_prices", expires=290)
def sync_all_prices() -> None:
    """One tick; the client retries within it, and the next tick comes in five minutes."""
    try:
        sync.sync_prices(client=build_client())
    except CoinGeckoError as error:
        logger.warning("prices were not synced: %s", error)  # the run's row says so to staff and on the status page


@shared_task(name="markets.sync_historical_data", expires=3500)
def sync_historical_data(follow_up: bool = True) -> None:
    """Fills gaps in history; goes on in a new job while there is work, so that others get their turn between."""
    try:
        left = sync.sync_history(client=build_client(), max_seconds=120)
    except CoinGeckoError as error:
        logger.warning("history was not synced: %s", error)
        return
    if left and follow_up:
        sync_historical_data.delay()


@shared_task(name="markets.discover_new_cryptocurrencies", expires=80_000)
def discover_new_cryptocurrencies() -> None:
    """Compares our coins with CoinGecko's list."""
    try:
        sync.discover_coins(client=build_client())
    except CoinGeckoError as error:
        logger.warning("the list of coins was not synced: %s", error)


@shared_task(name="markets.cleanup_old_data", expires=80_000)
def cleanup_old_data() -> None:
    """Deletes fine slots past their keep time."""
    sync.cleanup()


@shared_task(name="markets.check_data_quality", expires=3300)
def check_data_quality() -> None:
    """Looks for gaps, frozen feeds, repeated rows and outliers; a second check beside one that runs is not needed."""
    holder = current_task.request.id or "by hand"
    try:
        with single_flight("data quality", holder=holder, seconds=settings.CELERY_TASK_TIME_LIMIT):
            check_quality(now=timezone.now())
    except AlreadyRunning as error:
        logger.info("data quality was not checked: %s", error)


@shared_task(name="markets.sync_specific_cryptocurrency")
def sync_specific_cryptocurrency(coingecko_id: str) -> None:
    """One coin, prices and history."""
    try:
        sync.sync_coin(client=build_client(), coingecko_id=coingecko_id)
    except CoinGeckoError as error:
        logger.warning("%s was not synced: %s", coingecko_id, error)
