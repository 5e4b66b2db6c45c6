"""Every operation of the API with wrong input, asked by whom it lets in: a clear refusal, and nothing has changed."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from cryptopredict.tests.access.personas import rightful
from cryptopredict.tests.access.table import OPERATIONS, Operation
from cryptopredict.tests.access.test_matrix import changed, fingerprint, undone
from cryptopredict.tests.access.world import World

WITH_BODY = [one for one in OPERATIONS if one.body and one.content_type == "application/json"]
OF_ONE = [one for one in OPERATIONS if "{" in one.path]
UNKNOWN: dict[str, object] = {
    "coingecko_id": "nonesuch", "coin_id": "nonesuch", "version": "nonesuch", "task_id": "nonesuch", "name": "nonesuch",
}  # fmt: skip
NUMBERS = {"portfolio_id", "transaction_id", "prediction_id", "run_id", "user_id", "token_id"}


def name_of(operation: Operation) -> str:
    return operation.name


def client_of(world: World, operation: Operation) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {world.access_of(rightful(operation))}")
    return client


def ask(world: World, operation: Operation, address: str, body: Any = None, **more: Any) -> Any:
    send = getattr(client_of(world, operation), operation.method.lower())
    return send(address) if operation.is_read else send(address, body, **more)


def good_body(world: World, operation: Operation) -> Any:
    return operation.body(world, rightful(operation)) if operation.body else None


def faults(answer: Any) -> set[tuple[str, str]]:
    return {(fault["field"], fault["code"]) for fault in answer.json()["error"]["fields"]}


@pytest.mark.parametrize("operation", OPERATIONS, ids=name_of)
def test_it_names_a_parameter_that_there_is_not(world: World, operation: Operation) -> None:
    before = fingerprint()
    with undone():
        address = f"{operation.address(world)}?nonsense=1"
        body, kind = good_body(world, operation), {"content_type": operation.content_type}
        answer = ask(world, operation, address, body, **(kind if isinstance(body, str) else {"format": "json"}))
        assert answer.status_code == 400, answer.content[:300]
        assert ("nonsense", "unknown_parameter") in faults(answer)
        assert changed(before) == []


@pytest.mark.parametrize("operation", WITH_BODY, ids=name_of)
def test_it_names_a_field_that_there_is_not(world: World, operation: Operation) -> None:
    before = fingerprint()
    with undone():
        body = {**good_body(world, operation), "nonsense": 1}
        answer = ask(world, operation, operation.address(world), body, format="json")
        assert answer.status_code == 400, answer.content[:300]
        assert ("nonsense", "unknown_field") in faults(answer)
        assert changed(before) == []


@pytest.mark.parametrize("operation", WITH_BODY, ids=name_of)
@pytest.mark.parametrize("body", ["{", "[]", "3"], ids=["broken", "list", "number"])
def test_it_refuses_a_body_that_is_no_object(world: World, operation: Operation, body: str) -> None:
    before = fingerprint()
    with undone():
        answer = ask(world, operation, operation.address(world), body, content_type="application/json")
        assert answer.status_code == 400, answer.content[:300]
        assert set(answer.json()["error"]) == {"code", "message", "fields"}
        assert changed(before) == []


@pytest.mark.parametrize("operation", OF_ONE, ids=name_of)
def test_it_knows_nothing_of_what_there_is_not(world: World, operation: Operation) -> None:
    before = fingerprint()
    with undone():
        values = {**world.values, **UNKNOWN, **dict.fromkeys(NUMBERS, 999_999_999)}
        address = "/api/v1" + operation.path.format_map(values)
        if operation.query:
            address += "?" + "&".join(f"{name}={value}" for name, value in operation.query(world).items())
        answer = ask(world, operation, address, good_body(world, operation), format="json")
        assert answer.status_code == 404, answer.content[:300]
        assert changed(before) == []
