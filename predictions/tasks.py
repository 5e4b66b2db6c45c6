"""When forecasts are issued and scored and models are trained."""

from typing import Any

from celery import Task, shared_task
from celery.utils.log import get_task_logger

from predictions import issuing, registry, scoring
from predictions.frequency import Frequency
from predictions.history import NoHistory
from predictions.models import BacktestRun
from predictions.registry import NoModel

logger = get_task_logger(__name__)


@shared_task(name="predictions.prepare_model")
def prepare_model() -> None:
    """Lets the starter model serve on a new site."""
    registry.install_starter_model()


@shared_task(name="predictions.issue_forecasts", expires=3500)
def issue_forecasts() -> None:
    """Freezes the forecasts that are still missing for the newest closed day."""
    _issue(Frequency.DAY)


@shared_task(name="predictions.issue_hourly_forecasts", expires=3300)
def issue_hourly_forecasts() -> None:
    """Freezes the forecasts that are still missing for the newest closed hour."""
    _issue(Frequency.HOUR)


def _issue(frequency: Frequency) -> None:
    registry.install_starter_model(frequency)  # there may be none yet, or one that an earlier release shipped
    try:
        issue = issuing.issue_forecasts(frequency=frequency)
    except (NoModel, NoHistory) as error:
        logger.warning("no %s forecasts were issued: %s", frequency.word, error)
        return
    logger.info("%s forecasts of %s coins at %s", issue.forecasts, issue.coins, issue.cutoff_at)


@shared_task(name="predictions.score_due_forecasts", expires=3500)
def score_due_forecasts() -> None:
    """Scores what is due."""
    done = scoring.score_due_forecasts()
    logger.info("%s scored, %s void, %s waiting for a price", done.scored, done.void, done.waiting)


@shared_task(name="predictions.train_model", bind=True)
def train_model(self: "Task[Any, Any]", seed: int | None = None, frequency: str = Frequency.DAY.word) -> None:
    """Trains and validates a candidate, daily or hourly; runs in the trainer, which alone imports TensorFlow."""
    from predictions import training
    from predictions.forecasting.training import NotEnoughData

    try:
        model = training.train_model(
            frequency=Frequency.named(frequency),
            seed=training.DEFAULT_SEED if seed is None else seed,
            task_id=self.request.id or "",
            tell=logger.info,
        )
    except (NoHistory, NotEnoughData) as error:
        logger.warning("no model was trained: %s", error)
        return
    logger.info("%s is %s", model.version, model.state)


@shared_task(name="predictions.run_backtest")
def run_backtest(run_id: int) -> str:
    """Runs a back-test that was asked for and keeps its summary; runs in the trainer."""
    from predictions import training

    run = training.backtest_model(BacktestRun.objects.select_related("model").get(pk=run_id))
    return run.problem or f"{run.model.version}, {run.start_on} to {run.end_on}: {run.get_state_display()}"
