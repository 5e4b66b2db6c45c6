"""What the tests of cryptopredict.rest share: small views and an empty cache of their own."""

from collections.abc import Iterator

import pytest
from django.core.cache import cache
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import User
from cryptopredict.tests.rest.urls import Orders


@pytest.fixture(autouse=True)
def small_views(settings: Settings) -> Iterator[None]:
    settings.ROOT_URLCONF = "cryptopredict.tests.rest.urls"
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    cache.clear()
    Orders.effects = 0
    yield
    cache.clear()


@pytest.fixture
def client() -> APIClient:
    return APIClient()


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create_user("alice@example.com", "correct horse battery")
