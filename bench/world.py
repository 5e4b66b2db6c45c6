"""A site with so many rows of everything, inside a transaction that is given up afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import connection, transaction
from django.utils import timezone

from accounts.models import ApiToken, User
from bench.ledger import VERSION, add_forecasts
from cryptopredict.operations.models import TaskRun
from markets.models import Cryptocurrency, DataFault, Interval, PriceData, Restatement, SyncRun
from portfolios.models import Portfolio, Transaction, WatchlistItem
from predictions.models import TrainedModel
from predictions.registry import install_starter_model

TABLES = (
    "markets_cryptocurrency", "markets_syncrun", "predictions_trainedmodel", "accounts_user", "operations_taskrun",
)  # fmt: skip
# What a user may have at most, whatever the number of rows of everything else.
PORTFOLIOS, WATCHED, API_TOKENS = 100, 250, 50


@contextmanager
def emptied() -> Iterator[None]:
    """The database without its rows; all come back at the end."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE predictions_prediction DISABLE TRIGGER USER")  # they guard the ledger
            cursor.execute(f"TRUNCATE {', '.join(TABLES)} CASCADE")
        yield
        transaction.set_rollback(True)


class World:
    """The rows of one site; `grow` brings each table to a number of rows."""

    def __init__(self) -> None:
        now = timezone.now().replace(minute=0, second=0, microsecond=0)
        self.now, self.rows = now, 0
        self.user = User.objects.create(email="user@example.com", password="!")
        self.staff = User.objects.create(email="staff@example.com", password="!", is_staff=True)
        self.coin: Cryptocurrency | None = None
        install_starter_model()
        self.portfolio = Portfolio.objects.create(owner=self.user, name="0")

    def grow(self, rows: int) -> None:
        numbers = range(self.rows, rows)
        self._coins(numbers)
        self._prices(numbers)
        self._site(numbers)
        self._own(numbers)
        add_forecasts(self.rows + 1, rows, scored=rows, first_coin=self.first_coin.pk, coins=min(rows, 50))
        self.rows = rows

    @property
    def first_coin(self) -> Cryptocurrency:
        if self.coin is None:
            self.coin = Cryptocurrency.objects.get(coingecko_id="coin-0")
        return self.coin

    def _coins(self, numbers: range) -> None:
        Cryptocurrency.objects.bulk_create(
            Cryptocurrency(
                coingecko_id=f"coin-{number}", symbol=f"c{number}", name=f"Coin {number}", market_cap_rank=number + 1,
                price_usd=1.0, price_at=self.now, change_24h_percent=1.0, market_cap_usd=1e9, is_tracked=True,
                volume_24h_usd=1e6, sparkline_7d=[1.0] * 168,
            )
            for number in numbers
        )  # fmt: skip

    def _prices(self, numbers: range) -> None:
        PriceData.objects.bulk_create(
            PriceData(coin=self.first_coin, interval=interval, at=at, open=1, high=1, low=1, close=1)
            for number in numbers
            for interval in Interval
            if (at := self._slot(interval, number))
        )
        span = {"coin": self.first_coin, "interval": Interval.DAY}
        DataFault.objects.bulk_create(
            DataFault(kind="gap", start_at=start, end_at=start + timedelta(days=1), **span)
            for number in numbers
            if (start := self._slot(Interval.DAY, number))
        )
        Restatement.objects.bulk_create(
            Restatement(at=self._slot(Interval.DAY, number), field="close", old_value=1, new_value=2, **span)
            for number in numbers
        )

    def _slot(self, interval: Interval, number: int) -> datetime:
        midnight = self.now.replace(hour=0)
        return (midnight if interval == Interval.DAY else self.now) - (number + 1) * interval.length

    def _site(self, numbers: range) -> None:
        SyncRun.objects.bulk_create(
            SyncRun(kind="prices", state="succeeded", finished_at=self.now, task_id=f"task-{number}")
            for number in numbers
        )
        TaskRun.objects.bulk_create(
            TaskRun(task_id=f"task-{number}", name="markets.sync_all_prices", state="succeeded", queued_by=self.staff)
            for number in numbers
        )
        TrainedModel.objects.bulk_create(
            TrainedModel(
                version=f"{VERSION}-{number}", state="retired", folder="x", manifest_sha256="0" * 64,
                cutoff_on="2026-01-01",
            )
            for number in numbers
        )  # fmt: skip
        User.objects.bulk_create(User(email=f"{number}@example.com", password="!") for number in numbers)

    def _own(self, numbers: range) -> None:
        """What belongs to the one user; some of it has a limit."""
        coins = list(Cryptocurrency.objects.order_by("pk"))
        Portfolio.objects.bulk_create(
            Portfolio(owner=self.user, name=str(number)) for number in numbers if 0 < number < PORTFOLIOS
        )
        Transaction.objects.bulk_create(
            Transaction(
                portfolio=self.portfolio, coin=coins[number % WATCHED], kind="buy", quantity=Decimal(1),
                unit_price_usd=Decimal(1), occurred_at=self.now - timedelta(hours=number),
            )
            for number in numbers
        )  # fmt: skip
        WatchlistItem.objects.bulk_create(
            WatchlistItem(user=self.user, coin=coins[number]) for number in numbers if number < WATCHED
        )
        ApiToken.objects.bulk_create(
            ApiToken(user=self.user, name=str(number), start="cpt_", digest=str(number), scopes=["read"])
            for number in numbers
            if number < API_TOKENS
        )
