"""Where the sign-in API and the staff's view of accounts are."""

from django.urls import path

from accounts.api import token_views, user_views, views

urlpatterns = [
    path("auth/register/", views.RegisterView.as_view(), name="api-register"),
    path("auth/token/", views.TokenView.as_view(), name="api-token"),
    path("auth/token/refresh/", views.TokenRefreshView.as_view(), name="api-token-refresh"),
    path("auth/token/verify/", views.TokenVerifyView.as_view(), name="api-token-verify"),
    path("auth/logout/", views.LogoutView.as_view(), name="api-logout"),
    path("auth/me/", views.MeView.as_view(), name="api-me"),
    path("auth/me/export/", views.ExportView.as_view(), name="api-me-export"),
    path("auth/password/change/", views.PasswordChangeView.as_view(), name="api-password-change"),
    path("auth/password/reset/", views.PasswordResetView.as_view(), name="api-password-reset"),
    path("auth/password/reset/confirm/", views.PasswordResetConfirmView.as_view(), name="api-password-reset-confirm"),
    path("auth/email/verify/", views.EmailVerifyView.as_view(), name="api-email-verify"),
    path("auth/tokens/", token_views.ApiTokensView.as_view(), name="api-tokens"),
    path("auth/tokens/<int:token_id>/", token_views.ApiTokenView.as_view(), name="api-token-revoke"),
    path("users/", user_views.UsersView.as_view(), name="api-users"),
    path("users/stats/", user_views.UserStatsView.as_view(), name="api-user-stats"),
    path("users/<int:user_id>/", user_views.UserView.as_view(), name="api-user"),
    path("users/<int:user_id>/activate/", user_views.UserActivateView.as_view(), name="api-user-activate"),
]
