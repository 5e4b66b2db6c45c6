"""Where the account pages are; names with an underscore are those that django-allauth asks for."""

from allauth.account import views as allauth_views
from django.urls import include, path, re_path

from accounts.views import account, entrance, guards

urlpatterns = [
    path("sign-up/", entrance.sign_up, name="sign-up"),
    path("sign-up/", entrance.sign_up, name="account_signup"),
    path("sign-in/", entrance.SignInView.as_view(), name="sign-in"),
    path("sign-in/", entrance.SignInView.as_view(), name="account_login"),
    path("account/two-factor/authenticate/", entrance.SecondFactorView.as_view(), name="mfa_authenticate"),
    path("sign-out/", entrance.sign_out, name="sign-out"),
    path("sign-out/", entrance.sign_out, name="account_logout"),
    path("account/", account.account, name="account"),
    path("account/password/", account.change_password, name="account-password"),
    path("account/export/", account.export, name="account-export"),
    path("account/delete/", account.delete_account, name="account-delete"),
    path("account/email/", guards.address, name="account_email"),
    path("account/confirm/", allauth_views.reauthenticate, name="account_reauthenticate"),
    path("account/inactive/", allauth_views.account_inactive, name="account_inactive"),
    path("account/confirm-email/", entrance.verification_sent, name="account_email_verification_sent"),
    re_path(r"^account/confirm-email/(?P<key>[-:\w]+)/$", allauth_views.confirm_email, name="account_confirm_email"),
    path("account/reset/", entrance.request_reset, name="account_reset_password"),
    path("account/reset/done/", entrance.reset_requested, name="account_reset_password_done"),
    path("account/reset/set/", entrance.set_new_password, name="account-reset-set"),
    re_path(
        r"^account/reset/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>[^/]+)/$",
        entrance.open_reset_link,
        name="account_reset_password_from_key",
    ),
    path("account/sessions/", guards.sessions, name="usersessions_list"),
    path("account/tokens/", guards.api_tokens, name="api-tokens-page"),
    path("account/tokens/<int:token_id>/revoke/", guards.revoke_api_token, name="api-token-revoke-page"),
    path("account/two-factor/", include("allauth.mfa.urls")),
]
