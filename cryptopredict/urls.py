"""The whole site."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from cryptopredict import developers, views
from cryptopredict.api import docs_urlpatterns

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("markets.urls")),
    path("", include("predictions.urls")),
    path("", include("portfolios.urls")),
    path("", include("accounts.urls")),
    path("developers/", developers.page, name="developers"),
    path("status/", views.status, name="status"),
    path("ops/", include("cryptopredict.operations.pages.urls")),
    path("theme/", views.theme, name="theme"),
    path("api/v1/", include("cryptopredict.api")),
    *docs_urlpatterns,
    path("admin/", admin.site.urls),
]

handler500 = "cryptopredict.views.server_error"
