"""The addresses under /ops/."""

from django.urls import path

from cryptopredict.operations.pages import actions, views

urlpatterns = [
    path("", views.overview, name="ops"),
    path("breaker/reset/", actions.reset_breaker, name="ops-breaker-reset"),
    path("tasks/", views.tasks, name="ops-tasks"),
    path("tasks/start/", actions.start, name="ops-start"),
    path("tasks/<str:task_id>/", views.task, name="ops-task"),
    path("tasks/<str:task_id>/cancel/", actions.cancel, name="ops-cancel"),
    path("tasks/<str:task_id>/retry/", actions.retry, name="ops-retry"),
    path("training/<str:task_id>/", views.training, name="ops-training"),
    path("quality/", views.quality, name="ops-quality"),
    path("coins/", views.coins, name="ops-coins"),
    path("coins/add/", actions.add_coin, name="ops-coin-add"),
    path("coins/<str:coingecko_id>/sync/", actions.sync_coin, name="ops-coin-sync"),
    path("coins/<str:coingecko_id>/track/", actions.track, name="ops-coin-track"),
    path("audit/", views.audit_log, name="ops-audit"),
]
