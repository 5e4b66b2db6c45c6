"""The addresses of the operations under /api/v1/."""

from django.urls import path

from cryptopredict.operations.api import health, sync, tasks

urlpatterns = [
    path("sync/status/", sync.SyncStatusView.as_view(), name="api-sync-status"),
    path("sync/prices/", sync.SyncPricesView.as_view(), name="api-sync-prices"),
    path("sync/history/", sync.SyncHistoryView.as_view(), name="api-sync-history"),
    path("sync/discover/", sync.SyncDiscoverView.as_view(), name="api-sync-discover"),
    path("sync/cleanup/", sync.SyncCleanupView.as_view(), name="api-sync-cleanup"),
    path("sync/coins/<str:coingecko_id>/", sync.SyncCoinView.as_view(), name="api-sync-coin"),
    path("sync/coins/<str:coingecko_id>/backfill/", sync.BackfillView.as_view(), name="api-sync-backfill"),
    path("sync/runs/", sync.SyncRunsView.as_view(), name="api-sync-runs"),
    path("sync/runs/<int:run_id>/", sync.SyncRunView.as_view(), name="api-sync-run"),
    path("sync/budget/", sync.BudgetView.as_view(), name="api-sync-budget"),
    path("sync/breaker/", sync.BreakerView.as_view(), name="api-sync-breaker"),
    path("sync/breaker/reset/", sync.BreakerResetView.as_view(), name="api-sync-breaker-reset"),
    path("tasks/", tasks.TasksView.as_view(), name="api-tasks"),
    path("tasks/runs/", tasks.TaskRunsView.as_view(), name="api-task-runs"),
    path("tasks/runs/<str:task_id>/", tasks.TaskRunView.as_view(), name="api-task-run"),
    path("tasks/runs/<str:task_id>/cancel/", tasks.TaskCancelView.as_view(), name="api-task-cancel"),
    path("tasks/runs/<str:task_id>/retry/", tasks.TaskRetryView.as_view(), name="api-task-retry"),
    path("tasks/workers/", tasks.WorkersView.as_view(), name="api-workers"),
    path("tasks/queues/", tasks.QueuesView.as_view(), name="api-queues"),
    path("tasks/schedule/", tasks.ScheduleView.as_view(), name="api-schedule"),
    path("tasks/schedule/<str:name>/", tasks.ScheduleEntryView.as_view(), name="api-schedule-entry"),
    path("health/live/", health.LiveView.as_view(), name="health-live"),
    path("health/ready/", health.ReadyView.as_view(), name="health-ready"),
    path("health/database/", health.DatabaseHealthView.as_view(), name="health-database"),
    path("health/cache/", health.CacheHealthView.as_view(), name="health-cache"),
    path("health/workers/", health.WorkersHealthView.as_view(), name="health-workers"),
    path("health/upstream/", health.UpstreamHealthView.as_view(), name="health-upstream"),
    path("health/system/", health.SystemHealthView.as_view(), name="health-system"),
]
