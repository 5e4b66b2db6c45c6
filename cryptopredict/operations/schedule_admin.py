"""The schedule in the admin: a change that breaks the budget of calls to CoinGecko is refused there too."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django_celery_beat import admin as beat_admin
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from cryptopredict.operations.scheduling import check_entries
from markets.coingecko.budget import ScheduleDoesNotFit


class PeriodicTaskForm(beat_admin.PeriodicTaskForm):
    """Holds the entry, as it would be, against the call budget."""

    def _post_clean(self) -> None:
        super()._post_clean()  # fills self.instance
        if not self.errors:
            try:
                check_entries([self.instance])
            except ScheduleDoesNotFit as error:
                self.add_error(None, str(error))


class PeriodicTaskAdmin(beat_admin.PeriodicTaskAdmin):
    form = PeriodicTaskForm
    actions = ("enable_tasks", "disable_tasks", "run_tasks")

    @admin.action(description="Enable the chosen entries")
    def enable_tasks(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        try:
            check_entries(enabled(queryset))
        except ScheduleDoesNotFit as error:
            messages.error(request, f"Nothing was changed. {error}")
            return
        super().enable_tasks(request, queryset)


def enabled(entries: Iterable[PeriodicTask]) -> Iterable[PeriodicTask]:
    for entry in entries:
        entry.enabled = True
        yield entry


class FrozenTimesAdmin(admin.ModelAdmin[Any]):
    """Times that entries share: another one is chosen in the entry, where the budget is looked at."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class IntervalAdmin(FrozenTimesAdmin):
    list_display = ("__str__", "every", "period")


class CrontabAdmin(FrozenTimesAdmin):
    list_display = ("__str__", "human_readable")


for model, model_admin in (
    (PeriodicTask, PeriodicTaskAdmin),
    (IntervalSchedule, IntervalAdmin),
    (CrontabSchedule, CrontabAdmin),
):
    admin.site.unregister(model)
    admin.site.register(model, model_admin)
