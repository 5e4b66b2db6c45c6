"""Where the sign-in API is."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
