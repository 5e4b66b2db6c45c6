"""A body that could fail later on is refused when it is read."""

from typing import Any

import pytest
from rest_framework import serializers
from rest_framework.test import APIClient

from accounts.models import User
from cryptopredict.rest.strict import StrictMixin
from cryptopredict.tests.rest.test_errors import error, faults

PATH = "/api/v1/portfolios/"


@pytest.fixture(autouse=True)
def whole_site(settings: Any) -> None:
    settings.ROOT_URLCONF = "cryptopredict.urls"


@pytest.mark.parametrize(
    "body",
    ['{"\\ud800": 1}', '{"name": "\\udfff"}', "[" * 50_000, '{"name": NaN}', '{"name": 1e400}', "{", b'"\xff"'],
)
@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "one"}])
def test_it_refuses_what_is_no_json_that_can_be_written_again(
    client: APIClient, user: User, body: Any, headers: dict[str, str]
) -> None:
    client.force_authenticate(user)
    answer = client.generic("POST", PATH, body, content_type="application/json", headers=headers)
    assert (answer.status_code, error(answer)["code"]) == (400, "parse_error")


def test_it_reads_a_number_beyond_64_bits_without_failing_on_it(client: APIClient, user: User) -> None:
    client.force_authenticate(user)
    body = '{"name": "A", "seed": 58688657204487764142161546444800}'
    headers = {"Idempotency-Key": "one"}
    answer = client.generic("POST", PATH, body, content_type="application/json", headers=headers)
    assert faults(answer) == {"seed": "unknown_field"}


class Typed(StrictMixin):
    text = serializers.CharField(required=False, allow_null=True)
    flag = serializers.BooleanField(required=False)
    whole = serializers.IntegerField(required=False)
    real = serializers.FloatField(required=False)


@pytest.mark.parametrize(
    "body",
    [{"text": 5}, {"text": True}, {"flag": "yes"}, {"flag": 1}, {"whole": "5"}, {"whole": True}, {"real": "1.5"}],
)
def test_it_names_a_value_of_another_type_than_its_fields(body: dict[str, Any]) -> None:
    typed = Typed(data=body)
    assert not typed.is_valid()
    assert {name: [one.code for one in found] for name, found in typed.errors.items()} == {
        next(iter(body)): ["invalid"]
    }


def test_it_takes_values_of_the_types_of_their_fields() -> None:
    typed = Typed(data={"text": None, "flag": False, "whole": 5, "real": 1})
    assert typed.is_valid(), typed.errors
    assert typed.validated_data == {"text": None, "flag": False, "whole": 5, "real": 1.0}


@pytest.mark.django_db
def test_a_method_that_there_is_not_is_told_before_a_fault_of_the_query(client: APIClient) -> None:
    answer = client.generic("TRACE", "/api/v1/predictions/track-record/?colour=red")
    assert answer.status_code == 405
    assert "GET" in answer["Allow"]


@pytest.mark.django_db
def test_it_refuses_an_amount_that_is_no_number(client: APIClient) -> None:
    for amount in ("nan", "inf", "1e999"):
        assert faults(client.get(f"/api/v1/cryptocurrencies/?min_price={amount}"))["min_price"] in {
            "invalid",
            "max_value",
        }


def test_it_starts_no_job_with_a_number_that_no_column_holds(client: APIClient, db: None) -> None:
    client.force_authenticate(User.objects.create_user("ops@example.org", "secret", is_staff=True))
    for seed in (-1, 2**31):
        body = {"name": "predictions.train_model", "arguments": {"seed": seed}}
        answer = client.post("/api/v1/tasks/runs/", body, format="json")
        assert answer.status_code == 400
        assert set(faults(answer)) == {"arguments.seed"}
