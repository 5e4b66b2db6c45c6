"""The forecasts' part of /api/v1/."""

from django.urls import path

from predictions.api import model_views, views

urlpatterns = [
    path("cryptocurrencies/<str:coingecko_id>/forecast/", views.ForecastView.as_view(), name="api-forecast"),
    path("predictions/", views.LedgerView.as_view(), name="api-predictions"),
    path("predictions/<int:prediction_id>/", views.PredictionView.as_view(), name="api-prediction"),
    path("predictions/track-record/", views.TrackRecordView.as_view(), name="api-track-record"),
    path("predictions/track-record/export/", views.TrackRecordExportView.as_view(), name="api-track-record-export"),
    path("predictions/export/", views.LedgerExportView.as_view(), name="api-predictions-export"),
    path("predictions/verify/", views.VerifyView.as_view(), name="api-verify"),
    path("models/", model_views.ModelListView.as_view(), name="api-models"),
    path("models/train/", model_views.TrainView.as_view(), name="api-train"),
    path("models/monitoring/", model_views.MonitoringView.as_view(), name="api-monitoring"),
    path("models/<str:version>/", model_views.ModelView.as_view(), name="api-model"),
    path("models/<str:version>/promote/", model_views.PromoteView.as_view(), name="api-promote"),
    path("models/<str:version>/rollback/", model_views.RollbackView.as_view(), name="api-rollback"),
    path("models/<str:version>/backtest/", model_views.BacktestView.as_view(), name="api-backtest"),
]
