"""Where the market's pages are."""

from django.urls import path

from markets import views

urlpatterns = [
    path("", views.markets, name="markets"),
    path("markets.csv", views.markets_csv, name="markets-csv"),
    path("coins/<str:coingecko_id>/", views.coin, name="coin"),
]
