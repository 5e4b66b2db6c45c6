"""Every operation of the API × everybody who may ask: who is let in, who is not, and that a refusal changes nothing.

The operations are those of the OpenAPI document; `table` says what each expects and `personas` who asks.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.apps import apps
from django.core import mail
from django.db import connection, transaction
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from cryptopredict.tests.access.conftest import Cells
from cryptopredict.tests.access.personas import PERSONAS, Persona, rightful
from cryptopredict.tests.access.table import EXPECTED, OK, OPERATIONS, Access, Operation, Standing
from cryptopredict.tests.access.world import MARK, World
from predictions.desk import desk

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture(scope="module")
def document() -> dict[str, dict[str, Any]]:
    """The operations of the OpenAPI document by method and path."""
    found = SchemaGenerator(urlconf="cryptopredict.urls").get_schema(request=None, public=True)
    return {
        f"{method.upper()} {path.removeprefix('/api/v1')}": operation
        for path, item in found["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


def test_its_table_has_each_operation_of_the_document_once_and_no_other(document: dict[str, Any]) -> None:
    named = [operation.name for operation in OPERATIONS]
    assert sorted(named) == sorted(document)


def test_the_document_says_of_each_operation_whom_it_lets_in(document: dict[str, Any]) -> None:
    for operation in OPERATIONS:
        ways = document[operation.name]["security"]
        is_for_all = operation.access in {Access.OPEN, Access.PUBLIC}
        assert (not ways or {} in ways) == is_for_all, operation.name
        scopes = [way["apiToken"] for way in ways if "apiToken" in way]
        assert scopes == ([[operation.scope]] if operation.scope else []), operation.name
        assert ({"jwtAuth": []} in ways) == (operation.access is not Access.OPEN), operation.name
        assert ("401" in document[operation.name]["responses"]) or operation.access is Access.OPEN, operation.name


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_it_lets_in_whom_it_should_and_nobody_else(
    world: World, document: dict[str, Any], operation: Operation, cells: Cells
) -> None:
    successes = {int(code) for code in document[operation.name]["responses"] if code.startswith("2")}
    let_in, kept_out = divided(operation)
    for persona in PERSONAS:
        persona.show(world, operation)  # makes the API tokens that it needs
    before, mails = fingerprint(), len(mail.outbox)
    with undone():
        for persona, status in kept_out:
            assert_refused(ask(world, operation, persona), status, f"{operation.name} by {persona.name}")
        assert changed(before) == [], f"{operation.name} was refused and changed something"
    assert len(mail.outbox) == mails
    for persona in let_in:
        with undone():
            answer = ask(world, operation, persona)
            assert answer.status_code in successes, (operation.name, persona.name, read(answer)[:500])
            assert_kept_private(answer, operation)
            if operation.access in {Access.USER, Access.OWN} and operation.is_read:
                is_owner = persona.wanted(operation) is Standing.OWNER
                assert (MARK in read(answer)) == is_owner, (operation.name, persona.name)
            if not operation.is_read and operation.is_stored and persona.name == rightful(operation):
                assert changed(before), f"{operation.name} was accepted and changed nothing"
    cells(len(kept_out) + len(let_in))


def divided(operation: Operation) -> tuple[list[Persona], list[tuple[Persona, int]]]:
    """Whom the table lets in, and whom it keeps out with which status."""
    let_in, kept_out = [], []
    for persona in PERSONAS:
        status = expected(operation, persona)
        if status == OK:
            let_in.append(persona)
        else:
            kept_out.append((persona, status))
    return let_in, kept_out


def expected(operation: Operation, persona: Persona) -> int:
    is_looked_at = operation.access is not Access.OPEN and persona.has_scope is not None
    if is_looked_at and (operation.scope is None or not persona.has_scope):
        return 403
    return EXPECTED[operation.access][persona.wanted(operation)]


def ask(world: World, operation: Operation, persona: Persona) -> Any:
    client = APIClient(enforce_csrf_checks=True)
    shown = persona.show(world, operation)
    for name, value in shown.cookies:
        client.cookies[name] = value
    address = operation.address(world)
    if operation.query:
        address += "?" + "&".join(f"{name}={value}" for name, value in operation.query(world).items())
    headers = {"Authorization": shown.header} if shown.header else {}
    body = operation.body(world, persona.who(operation)) if operation.body else None
    send = getattr(client, operation.method.lower())
    if operation.is_read:
        return send(address, headers=headers)
    if isinstance(body, str):
        return client.generic(operation.method, address, body, operation.content_type, headers=headers)
    return send(address, body, format="json", headers=headers)


def assert_refused(answer: Any, status: int, cell: str) -> None:
    """The status, the one shape of errors, and that nobody keeps the answer."""
    assert answer.status_code == status, f"{cell}: {answer.status_code} {answer.content[:300]!r}"
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "fields"}, cell
    assert "no-store" in answer.get("Cache-Control", ""), f"{cell}: a cache may keep this refusal"
    if status == 401:
        assert answer.get("WWW-Authenticate", "").startswith("Bearer"), cell
    assert MARK not in answer.content.decode(), cell


def assert_kept_private(answer: Any, operation: Operation) -> None:
    """What is not for everyone is kept by no cache that others share."""
    if operation.access not in {Access.OPEN, Access.PUBLIC}:
        kept = answer.get("Cache-Control", "")
        assert "no-store" in kept or "private" in kept, f"{operation.name}: {kept}"


def read(answer: Any) -> str:
    content = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return bytes(content).decode()


@contextmanager
def undone() -> Iterator[None]:
    """Takes back what is done inside, in the database and in this process."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
    desk.clear()


def fingerprint() -> dict[str, str]:
    """Every row of every table, by table."""
    found = {}
    with connection.cursor() as cursor:
        for model in apps.get_models(include_auto_created=True):
            cursor.execute(f'SELECT * FROM "{model._meta.db_table}"')
            rows = sorted(repr(row) for row in cursor.fetchall())
            found[model._meta.label] = hashlib.sha256("".join(rows).encode()).hexdigest()
    return found


def changed(before: dict[str, str]) -> list[str]:
    now = fingerprint()
    return [name for name, rows in now.items() if before[name] != rows]
