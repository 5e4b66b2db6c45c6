"""The addresses of the health checks under /api/v1/."""

from django.urls import path

from cryptopredict.operations.api_views import LiveView, ReadyView

urlpatterns = [
    path("health/live/", LiveView.as_view(), name="health-live"),
    path("health/ready/", ReadyView.as_view(), name="health-ready"),
]
