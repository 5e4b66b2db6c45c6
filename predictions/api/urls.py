"""The forecasts' part of /api/v1/."""

from django.urls import path

from predictions.api import views

urlpatterns = [
    path("cryptocurrencies/<str:coingecko_id>/forecast/", views.ForecastView.as_view(), name="api-forecast"),
    path("predictions/", views.LedgerView.as_view(), name="api-predictions"),
    path("predictions/<int:prediction_id>/", views.PredictionView.as_view(), name="api-prediction"),
    path("predictions/track-record/", views.TrackRecordView.as_view(), name="api-track-record"),
    path("predictions/export/", views.LedgerExportView.as_view(), name="api-predictions-export"),
    path("predictions/verify/", views.VerifyView.as_view(), name="api-verify"),
    path("models/", views.ModelListView.as_view(), name="api-models"),
    path("models/<str:version>/", views.ModelView.as_view(), name="api-model"),
]
