"""Where the sign-in API is."""

from django.urls import path

from accounts.api import views

urlpatterns = [
    path("register/", views.RegisterView.as_view(), name="api-register"),
    path("token/", views.TokenView.as_view(), name="api-token"),
    path("token/refresh/", views.TokenRefreshView.as_view(), name="api-token-refresh"),
    path("token/verify/", views.TokenVerifyView.as_view(), name="api-token-verify"),
    path("logout/", views.LogoutView.as_view(), name="api-logout"),
    path("me/", views.MeView.as_view(), name="api-me"),
    path("password/change/", views.PasswordChangeView.as_view(), name="api-password-change"),
]
