"""Where the API of portfolios and the watchlist is."""

from django.urls import path

from portfolios.api import views

urlpatterns = [
    path("portfolios/", views.PortfoliosView.as_view()),
    path("portfolios/<int:portfolio_id>/", views.PortfolioView.as_view()),
    path("portfolios/<int:portfolio_id>/transactions/", views.TransactionsView.as_view()),
    path("portfolios/<int:portfolio_id>/transactions/<int:transaction_id>/", views.TransactionView.as_view()),
    path("portfolios/<int:portfolio_id>/valuation/", views.ValuationView.as_view()),
    path("watchlist/", views.WatchlistView.as_view()),
    path("watchlist/<str:coin_id>/", views.WatchedView.as_view()),
]
