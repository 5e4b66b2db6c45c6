"""Who a user is."""

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from accounts.models import User
from accounts.tests.conftest import PASSWORD


@pytest.mark.django_db
def test_it_keeps_addresses_in_lower_case_and_once() -> None:
    user = User.objects.create_user(" Alice@Example.com ", PASSWORD)
    assert user.email == "alice@example.com"
    with pytest.raises(ValidationError):
        User.objects.create_user("ALICE@example.com", PASSWORD)
    with pytest.raises(IntegrityError):
        User.objects.bulk_create([User(email="Alice@example.com")])


@pytest.mark.django_db
def test_it_refuses_a_time_zone_that_is_none() -> None:
    with pytest.raises(ValidationError) as refused:
        User.objects.create_user("a@example.com", PASSWORD, time_zone="Mars/Phobos")
    assert set(refused.value.message_dict) == {"time_zone"}


def test_it_greets_by_name_or_by_the_address() -> None:
    assert User(email="a@example.com", name="Al").short_name == "Al"
    assert User(email="a@example.com").short_name == "a"
