"""The market's part of /api/v1/."""

from django.urls import path

from markets.api import global_views, import_views, price_views, quality_views, staff_views, views

urlpatterns = [
    path("cryptocurrencies/", staff_views.CoinsView.as_view(), name="api-coins"),
    path("cryptocurrencies/search/", views.CoinSearchView.as_view(), name="api-coin-search"),
    path("cryptocurrencies/movers/", views.MoversView.as_view(), name="api-movers"),
    path("cryptocurrencies/global/", global_views.GlobalView.as_view(), name="api-global"),
    path("cryptocurrencies/<str:coingecko_id>/", staff_views.OneCoinView.as_view(), name="api-coin"),
    path(
        "cryptocurrencies/<str:coingecko_id>/statistics/",
        price_views.StatisticsView.as_view(),
        name="api-statistics",
    ),
    path("cryptocurrencies/<str:coingecko_id>/prices/", price_views.SeriesView.as_view(), name="api-prices"),
    path(
        "cryptocurrencies/<str:coingecko_id>/prices/latest/",
        price_views.LatestPriceView.as_view(),
        name="api-price-latest",
    ),
    path(
        "cryptocurrencies/<str:coingecko_id>/prices/at/",
        price_views.PriceAtView.as_view(),
        name="api-price-at",
    ),
    path(
        "cryptocurrencies/<str:coingecko_id>/prices/candles/",
        price_views.CandlesView.as_view(),
        name="api-candles",
    ),
    path(
        "cryptocurrencies/<str:coingecko_id>/prices/export/",
        price_views.PricesExportView.as_view(),
        name="api-prices-export",
    ),
    path(
        "cryptocurrencies/<str:coingecko_id>/prices/quality/",
        quality_views.QualityView.as_view(),
        name="api-quality",
    ),
    path("prices/import/", import_views.ImportView.as_view(), name="api-prices-import"),
    path("prices/latest/", price_views.LatestPricesView.as_view(), name="api-prices-latest"),
]
