"""Daily and hourly: what follows from how often the prices come that a forecast is made from."""

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from django.db import models

from predictions.forecasting.frequency import DAILY_STEPS, HOURLY_STEPS
from predictions.forecasting.recipe import RECIPES

if TYPE_CHECKING:
    from predictions.forecasting.frequency import Frequency as Steps
    from predictions.forecasting.recipe import Recipe


class Frequency(models.TextChoices):
    """Of the prices that a forecast is made from, and so the unit of its horizons; values are those of Interval."""

    DAY = "1d", "Daily"
    HOUR = "1h", "Hourly"

    @property
    def steps(self) -> "Steps":
        """What a step of its panels is."""
        return DAILY_STEPS if self is Frequency.DAY else HOURLY_STEPS

    @property
    def word(self) -> str:
        """daily or hourly, as addresses and commands have it."""
        return self.steps.name

    @property
    def noun(self) -> str:
        """The unit of its horizons in words."""
        return self.steps.noun

    @property
    def unit(self) -> str:
        """The unit of its horizons in one letter."""
        return self.steps.unit.lower()

    @property
    def length(self) -> timedelta:
        return timedelta(hours=self.hours)

    @property
    def hours(self) -> int:
        return 24 // self.steps.steps_per_day

    @property
    def recipe(self) -> "Recipe":
        """By which a model of this site is trained."""
        return RECIPES[self.word][0]

    @property
    def horizons(self) -> tuple[int, ...]:
        """In its own unit, shortest first."""
        return self.recipe.horizons

    def floor(self, at: datetime) -> datetime:
        """The full hour, or the 00:00 UTC, that lies at or before a moment."""
        at = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        return at if self is Frequency.HOUR else at.replace(hour=0)

    def columns(self, horizon: int) -> dict[str, int | None]:
        """A horizon as answers and exports have it: in days (none for one of hours), and always in hours."""
        return {"horizon_days": horizon if self is Frequency.DAY else None, "horizon_hours": horizon * self.hours}

    @classmethod
    def named(cls, word: str) -> "Frequency":
        """By `word` or by value; ValueError for another one."""
        return next((one for one in cls if one.word == word), None) or cls(word)


def instant(at: date) -> datetime:
    """A date's 00:00 UTC, or a panel's moment (UTC without a zone) with its zone."""
    if isinstance(at, datetime):
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    return datetime.combine(at, time(), tzinfo=UTC)
