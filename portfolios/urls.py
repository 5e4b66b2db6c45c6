"""Where the pages of a signed-in user are."""

from django.urls import path

from portfolios import views

urlpatterns = [
    path("dashboard/", views.dashboard, name="dashboard"),
    path("portfolios/add/", views.portfolio_create, name="portfolio-create"),
    path("portfolios/<int:pk>/", views.portfolio, name="portfolio"),
    path("portfolios/<int:pk>/rename/", views.portfolio_rename, name="portfolio-rename"),
    path("portfolios/<int:pk>/delete/", views.portfolio_delete, name="portfolio-delete"),
    path("portfolios/<int:pk>/transactions/add/", views.transaction_add, name="transaction-add"),
    path(
        "portfolios/<int:pk>/transactions/<int:transaction_pk>/edit/",
        views.transaction_edit,
        name="transaction-edit",
    ),
    path(
        "portfolios/<int:pk>/transactions/<int:transaction_pk>/delete/",
        views.transaction_delete,
        name="transaction-delete",
    ),
    path("watchlist/<str:coingecko_id>/", views.watch, name="watch"),
]
