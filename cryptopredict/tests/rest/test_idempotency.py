"""A POST that is repeated with its key takes effect once."""

from unittest.mock import patch

import pytest
from redis.exceptions import ConnectionError as RedisDown
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIClient

from accounts.models import User
from cryptopredict.rest import shared
from cryptopredict.tests.rest.test_errors import error, faults
from cryptopredict.tests.rest.urls import Orders

KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}


def test_it_sends_the_first_answer_again(client: APIClient) -> None:
    first = client.post("/api/v1/orders/", {"name": "a"}, headers=KEY)
    again = client.post("/api/v1/orders/", {"name": "a"}, headers=KEY)
    assert Orders.effects == 1
    assert (again.status_code, again.content) == (201, first.content)
    assert again["Location"] == first["Location"] == "/orders/1/"
    assert again["Content-Type"] == "application/json"
    assert again["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first


def test_it_works_twice_without_a_key(client: APIClient) -> None:
    for _ in range(2):
        client.post("/api/v1/orders/", {"name": "a"})
    assert Orders.effects == 2


def test_it_refuses_the_key_with_another_body(client: APIClient) -> None:
    client.post("/api/v1/orders/", {"name": "a"}, headers=KEY)
    response = client.post("/api/v1/orders/", {"name": "b"}, headers=KEY)
    assert (response.status_code, error(response)["code"]) == (422, "idempotency_key_reused")
    assert Orders.effects == 1


def test_it_keeps_the_keys_of_two_users_apart(client: APIClient, user: User) -> None:
    client.post("/api/v1/orders/", {"name": "a"}, headers=KEY)
    client.force_authenticate(user)
    assert client.post("/api/v1/orders/", {"name": "b"}, headers=KEY).status_code == 201
    assert Orders.effects == 2


def test_it_answers_409_while_the_first_runs(client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    inner: list[Response] = []
    post = Orders.post

    def slow(view: Orders, request: Request) -> Response:
        if not inner:
            inner.append(client.post("/api/v1/orders/", {"name": "a"}, headers=KEY))
        return post(view, request)

    monkeypatch.setattr(Orders, "post", slow)
    assert client.post("/api/v1/orders/", {"name": "a"}, headers=KEY).status_code == 201
    assert (inner[0].status_code, error(inner[0])["code"]) == (409, "idempotency_in_progress")
    assert inner[0]["Retry-After"] == "1"
    assert Orders.effects == 1


def test_it_frees_the_key_of_a_request_that_failed(client: APIClient) -> None:
    assert client.post("/api/v1/orders/", {"name": "far too long a name"}, headers=KEY).status_code == 400
    assert client.post("/api/v1/orders/", {"name": "a"}, headers=KEY).status_code == 201


def test_it_frees_the_key_of_a_request_that_broke() -> None:
    client = APIClient(raise_request_exception=False)
    assert client.post("/api/v1/orders/", {"name": "break"}, headers=KEY).status_code == 500
    assert client.post("/api/v1/orders/", {"name": "a"}, headers=KEY).status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 256, "caf\u00e9"])
def test_it_refuses_a_key_that_is_none(client: APIClient, key: str) -> None:
    response = client.post("/api/v1/orders/", {"name": "a"}, headers={"Idempotency-Key": key})
    assert response.status_code == 400
    assert faults(response) == {"Idempotency-Key": "invalid"}
    assert Orders.effects == 0


def test_it_changes_nothing_when_the_key_cannot_be_kept(client: APIClient) -> None:
    with patch.object(shared, "claim", side_effect=RedisDown("refused")):
        response = client.post("/api/v1/orders/", {"name": "a"}, headers=KEY)
    assert (response.status_code, error(response)["code"]) == (503, "unavailable")
    assert Orders.effects == 0
