"""Where the forecasts' pages are."""

from django.urls import path
from django.views.generic import TemplateView

from predictions import views

urlpatterns = [
    path("forecasts/<int:pk>/", views.forecast, name="forecast"),
    path("track-record/", views.track_record, name="track-record"),
    path("method/", TemplateView.as_view(template_name="predictions/method.html"), name="method"),
]
