"""A thousand more rows of everything that is listed anywhere, hung on the people and coins of the access matrix."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cached_property

from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.contrib.auth.models import Group
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db.models import Model
from django.utils import timezone
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule

from accounts.models import ApiToken, KnownAddress, User
from cryptopredict.operations.models import AuditEntry, Heartbeat, TaskRun
from cryptopredict.tests.access.world import MARK, World
from markets.models import Cryptocurrency, DataFault, PriceData, RejectedPoint, Restatement, SyncRun
from portfolios.models import Portfolio, Transaction, WatchlistItem
from predictions.ledger import append
from predictions.models import BacktestRun, ForecastRefusal, ModelAlarm, ModelEvent, Prediction, TrainedModel
from predictions.scoring import score
from predictions.tests.ledger import forecast

NOW = timezone.now()
SCORED, OPEN = 200, 800  # forecasts of bitcoin's with an outcome, and open ones of many coins
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Rows:
    """Makes `count` rows of each model, numbered from `first`; what one row points at is different for each of them."""

    def __init__(self, world: World, *, first: int, count: int) -> None:
        self.owner = world.people["owner"]
        self.session = SessionStore(world.sessions["owner"]).load()
        self.numbers = range(first, first + count)
        self.bitcoin = Cryptocurrency.objects.get(coingecko_id="bitcoin")
        self.portfolio = Portfolio.objects.get(owner=self.owner, name__startswith=MARK)
        self.sync = SyncRun.objects.earliest("pk")
        self.champion = TrainedModel.objects.get(state="serving")

    def fill(self) -> None:
        for model, make in MAKERS.items():
            model._base_manager.bulk_create([make(self, number) for number in self.numbers], batch_size=500)
        self.fill_ledger()
        self.fill_sessions()
        roles = User.groups.through
        support = Group.objects.get(name="support").pk
        new = self.people[self.numbers.start :]
        roles._base_manager.bulk_create(roles(user_id=person.pk, group_id=support) for person in new)

    def fill_ledger(self) -> None:
        """A settled record of bitcoin's, and yesterday's forecasts of all other coins."""
        midnight = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
        new = [
            forecast(self.bitcoin, self.champion, cutoff_at=midnight - (number + 10) * DAY)
            for number in self.numbers
            if number < SCORED
        ]
        settled = len(new)
        new += [
            forecast(self.coins[number], self.champion, cutoff_at=midnight - DAY, horizon_days=7)
            for number in self.numbers
            if number < OPEN
        ]
        stored = append(predictions=new)
        for prediction in stored[:settled]:
            score(prediction, 101.0, prediction.target_at + HOUR)
        outcome = [name for name in Prediction.OUTCOME if name != "void_reason"]
        Prediction.objects.bulk_update(stored[:settled], outcome, batch_size=50)

    def fill_sessions(self) -> None:
        """As many places as the owner is signed in from."""
        rows, sessions = [], []
        for number in self.numbers:
            key = f"{number:032x}"
            sessions.append(
                Session(session_key=key, session_data=SessionStore(key).encode(self.session), expire_date=NOW + DAY)
            )
            rows.append(UserSession(user=self.owner, ip="192.0.2.1", session_key=key, user_agent="A browser", data={}))
        Session.objects.bulk_create(sessions)
        UserSession.objects.bulk_create(rows)

    @cached_property
    def coins(self) -> list[Cryptocurrency]:
        """Those made before."""
        return list(Cryptocurrency.objects.filter(coingecko_id__startswith="many-").order_by("pk"))

    @cached_property
    def people(self) -> list[User]:
        """Those made before."""
        return list(User.objects.filter(email__startswith="many-").order_by("pk"))


Maker = Callable[[Rows, int], Model]


def before(number: int, step: timedelta = HOUR) -> datetime:
    return NOW - number * step


def make_coin(rows: Rows, number: int) -> Cryptocurrency:
    name = f"many-{number}"
    return Cryptocurrency(
        coingecko_id=name, symbol=name, name=name, is_tracked=True, market_cap_rank=100 + number, price_usd=1.0,
        price_at=NOW, change_24h_percent=(-1) ** number * 2.5, market_cap_usd=1e9 - number, volume_24h_usd=1e6,
    )  # fmt: skip


def make_user(rows: Rows, number: int) -> User:
    return User(email=f"many-{number}@example.org", password="!", name=f"Many {number}", joined_at=before(number))


def make_token(rows: Rows, number: int) -> ApiToken:
    secret = {"start": "cpt_many", "digest": f"{number:064x}"}
    return ApiToken(user=rows.owner, name=f"Program {number}", scopes=["read"], **secret)


def make_model(rows: Rows, number: int) -> TrainedModel:
    return TrainedModel(
        version=f"many-{number}", state="candidate", origin="own", folder="/somewhere", manifest_sha256="c" * 64,
        cutoff_on=NOW.date(), metrics=rows.champion.metrics,
    )  # fmt: skip


def make_price(rows: Rows, number: int) -> PriceData:
    price = {"open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0}
    return PriceData(coin=rows.coins[number], interval="1h", at=NOW.replace(minute=0, second=0, microsecond=0), **price)


def make_fault(rows: Rows, number: int) -> DataFault:
    start = before(number + 2)
    return DataFault(coin=rows.bitcoin, interval="1h", kind="gap", start_at=start, end_at=start + HOUR)


def make_restatement(rows: Rows, number: int) -> Restatement:
    return Restatement(coin=rows.bitcoin, interval="1h", at=before(number), field="close", old_value=1.0, new_value=2.0)


def make_sync(rows: Rows, number: int) -> SyncRun:
    ended = {"state": "succeeded", "finished_at": NOW}
    return SyncRun(kind="prices", started_at=before(number), task_id=f"many-{number}", **ended)


def make_rejected(rows: Rows, number: int) -> RejectedPoint:
    return RejectedPoint(run=rows.sync, coingecko_id=f"many-{number}", reason="not a number", value="NaN")


def make_run(rows: Rows, number: int) -> TaskRun:
    return TaskRun(
        task_id=f"many-{number}", name="markets.sync_all_prices", state="running", queue="ingest",
        queued_at=before(number), queued_by=rows.people[number],
    )  # fmt: skip


def make_sign(rows: Rows, number: int) -> Heartbeat:
    return Heartbeat(name=f"worker@many-{number}", kind="worker", host="a host", pid=1, started_at=NOW, at=NOW)


def make_entry(rows: Rows, number: int) -> PeriodicTask:
    interval = IntervalSchedule.objects.earliest("pk")
    return PeriodicTask(name=f"Many {number}", task="markets.repack_prices", interval=interval, enabled=False)


def make_crontab(rows: Rows, number: int) -> CrontabSchedule:
    return CrontabSchedule(minute=str(number % 60), hour=str(number // 60), timezone="UTC")


def make_transaction(rows: Rows, number: int) -> Transaction:
    """One of the owner's portfolio, each in a coin of its own."""
    return Transaction(
        portfolio=rows.portfolio, coin=rows.coins[number], kind="buy", quantity=1, unit_price_usd=1,
        occurred_at=before(number),
    )  # fmt: skip


def make_alarm(rows: Rows, number: int) -> ModelAlarm:
    return ModelAlarm(model=rows.champion, kind="drift", message="Drifted.", raised_at=before(number), resolved_at=NOW)


def make_event(rows: Rows, number: int) -> ModelEvent:
    return ModelEvent(model=rows.champion, kind="registered", by=rows.people[number], reason="A test.")


def make_backtest(rows: Rows, number: int) -> BacktestRun:
    return BacktestRun(model=rows.champion, start_on=NOW.date() - 2 * DAY, end_on=NOW.date(), queued_at=before(number))


# In an order in which each finds what it points at. Every model of the admin is here or in `Rows.fill`.
MAKERS: dict[type[Model], Maker] = {
    Cryptocurrency: make_coin,
    User: make_user,
    Group: lambda rows, number: Group(name=f"many-{number}"),
    EmailAddress: lambda rows, number: EmailAddress(user=rows.people[number], email=f"many-{number}@example.org"),
    ApiToken: make_token,
    KnownAddress: lambda rows, number: KnownAddress(user=rows.owner, address=f"192.0.2.{number}"),
    PriceData: make_price,
    DataFault: make_fault,
    Restatement: make_restatement,
    SyncRun: make_sync,
    RejectedPoint: make_rejected,
    TaskRun: make_run,
    Heartbeat: make_sign,
    AuditEntry: lambda rows, number: AuditEntry(actor="staff@example.org", action="task.run", channel="api"),
    IntervalSchedule: lambda rows, number: IntervalSchedule(every=10_000 + number, period="seconds"),
    CrontabSchedule: make_crontab,
    ClockedSchedule: lambda rows, number: ClockedSchedule(clocked_time=before(number)),
    SolarSchedule: lambda rows, number: SolarSchedule(event="sunrise", latitude=number / 100, longitude=1),
    PeriodicTask: make_entry,
    Portfolio: lambda rows, number: Portfolio(owner=rows.owner, name=f"Portfolio {number}"),
    Transaction: make_transaction,
    WatchlistItem: lambda rows, number: WatchlistItem(user=rows.owner, coin=rows.coins[number]),
    TrainedModel: make_model,
    ModelEvent: make_event,
    ModelAlarm: make_alarm,
    BacktestRun: make_backtest,
    ForecastRefusal: lambda rows, number: ForecastRefusal(coin=rows.coins[number], reason="not enough data"),
}
FILLED = {*MAKERS, Prediction, UserSession}
