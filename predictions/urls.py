"""Where the forecasts' pages are."""

from django.urls import path
from django.views.generic import TemplateView

from predictions import registry_views, views

urlpatterns = [
    path("forecasts/<int:pk>/", views.forecast, name="forecast"),
    path("track-record/", views.track_record, name="track-record"),
    path("models/", registry_views.models, name="models"),
    path("models/<str:version>/", registry_views.model, name="model"),
    path("ops/models/", registry_views.registry_page, name="ops-models"),
    path("ops/models/<str:version>/step/", registry_views.registry_step, name="ops-model-step"),
    path("method/", TemplateView.as_view(template_name="predictions/method.html"), name="method"),
]
