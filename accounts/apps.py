"""The accounts app: who may sign in."""

from typing import Any

from django.apps import AppConfig
from django.http import HttpRequest, HttpResponse


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        from allauth.account.signals import user_logged_in

        from accounts.api import document  # noqa: F401  (registers itself)

        user_logged_in.connect(remember_place, dispatch_uid="accounts.remember_place")


def remember_place(request: HttpRequest, response: HttpResponse, user: Any, **kwargs: Any) -> None:
    """Keeps from where somebody signed in, all steps done."""
    from accounts import places

    places.remember_address(request, user)
    places.remember_device(request, response, user)
