"""What the tests of the operations share: the three persons, and asking as one of them."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken

from accounts.models import User

Ask = Callable[..., Any]


@pytest.fixture
def staff_user(db: None) -> User:
    return User.objects.create_user("staff@example.org", "correct horse battery", is_staff=True)


@pytest.fixture
def alice(db: None) -> User:
    return User.objects.create_user("alice@example.org", "correct horse battery")


def client_of(user: User) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {AccessToken.for_user(user)}")
    return client


@pytest.fixture
def api(staff_user: User) -> APIClient:
    """The API as staff."""
    return client_of(staff_user)


@pytest.fixture
def pages(staff_user: User) -> Client:
    """The pages as staff."""
    client = Client()
    client.force_login(staff_user)
    return client
