"""What an installation needs once: a staff account, and the first prices, history, model and forecasts."""

import secrets

from celery import chain
from django.conf import settings
from django.contrib.auth import get_user_model
from django.utils import timezone

from cryptopredict.celery import app
from cryptopredict.operations.models import TaskRun
from markets.models import Cryptocurrency, SyncRun
from predictions.models import Prediction, TrainedModel

FIRST_JOBS = (
    "markets.sync_all_prices",
    "markets.sync_historical_data",
    "predictions.prepare_model",
    "predictions.issue_forecasts",
    "predictions.issue_hourly_forecasts",
    "predictions.train_model",
    "predictions.issue_forecasts",
)
WAIT_AT_MOST_SECONDS = 86_400
STAFF_EMAIL = "admin@localhost"


def create_staff_account() -> tuple[str, str] | None:
    """Creates the first staff account and returns its name and fresh password; None when there is staff already."""
    users = get_user_model().objects
    if users.filter(is_staff=True).exists():
        return None
    password = secrets.token_urlsafe(12)
    users.create_superuser(STAFF_EMAIL, password)
    return STAFF_EMAIL, password


def queue_first_jobs() -> bool:
    """Queues what leads to the first forecasts, one job after the other, unless they exist or are under way."""
    under_way = TaskRun.objects.filter(
        name__in=FIRST_JOBS, state__in=[TaskRun.State.QUEUED, TaskRun.State.RUNNING, TaskRun.State.RETRIED]
    )
    if Prediction.objects.exists() or under_way.exists():
        return False
    jobs = [app.signature(name, immutable=True, queue=queue_of(name)) for name in FIRST_JOBS]
    # Its own jobs would be dropped after minutes in the queue; here each is needed, however long it waits.
    chain(*(job.set(expires=WAIT_AT_MOST_SECONDS) for job in jobs)).apply_async()
    return True


def queue_of(name: str) -> str:
    """The queue that the settings route a task to."""
    return str(app.amqp.router.route({}, name)["queue"].name)


class Progress:
    """Tells on the terminal, line by line, how far the first jobs are."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.started_at = timezone.now()
        self._said: set[str] = set()
        self.has_forecasts = Prediction.objects.exists()
        self.is_done = self.has_forecasts

    def news(self) -> list[str]:
        """The lines that are new since the last call."""
        lines = [*self._sync_lines(), *self._forecast_lines(), *self._model_lines()]
        fresh = [line for line in lines if line not in self._said]
        self._said.update(fresh)
        return fresh

    def _sync_lines(self) -> list[str]:
        lines = []
        for kind, what in ((SyncRun.Kind.PRICES, "prices"), (SyncRun.Kind.HISTORY, "a year of history")):
            run = SyncRun.objects.filter(kind=kind, started_at__gte=self.started_at).order_by("started_at").last()
            if run is None:
                continue
            if run.state == SyncRun.State.RUNNING:
                step = run.done - run.done % max(run.total // 5, 1)
                lines.append(f"{what}: {step} of {run.total}")
            elif run.state == SyncRun.State.FAILED:
                lines.append(f"{what}: failed: {run.problem}")
        priced = Cryptocurrency.objects.tracked().priced().count()
        if priced:
            lines.append(f"prices of {priced} coins are there")
        return lines

    def _forecast_lines(self) -> list[str]:
        if self.has_forecasts or not Prediction.objects.exists():
            return []
        self.has_forecasts = True
        count, coins = Prediction.objects.count(), Prediction.objects.values("coin").distinct().count()
        seconds = (timezone.now() - self.started_at).total_seconds()
        return [
            f"first forecasts: {count} of {coins} coins, {seconds:.0f} s after the start",
            f"CryptoPredict is complete: {self.address}",
        ]

    def _model_lines(self) -> list[str]:
        own = TrainedModel.objects.filter(origin=TrainedModel.Origin.OWN, created_at__gte=self.started_at)
        model = own.order_by("created_at").last()
        if model is None:
            return []
        if model.state == TrainedModel.State.TRAINING:
            tenth = 10 * model.done // model.total if model.total else 0
            return [f"training on this market's history: {tenth * 10} %"]
        self.is_done = self.has_forecasts
        if model.state == TrainedModel.State.FAILED:
            return [f"training failed: {model.problem}"]
        return [f"trained: {model.version} is {model.get_state_display().lower()}. {model.reason}".strip()]


def describe_market() -> str:
    return {"live": "live prices from CoinGecko", "sample": "sample data", "replay": "replayed data"}[settings.MARKET]
