"""Notices every write to the tables that shared answers are made of, whoever writes and by whatever means."""

import re
from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.models import Model

from cryptopredict.rest import answers

WRITES = re.compile(
    r"\s*(?:INSERT|UPDATE|DELETE|TRUNCATE|WITH\b.*\b(?:INSERT|UPDATE|DELETE))\b", re.IGNORECASE | re.DOTALL
)
_tables: set[str] = set()


def watch(*models: type[Model]) -> None:
    """From now on a committed write to one of these tables makes the shared answers anew."""
    _tables.update(model._meta.db_table for model in models)
    connection_created.connect(_listen, dispatch_uid="cryptopredict.rest.changes")


def _listen(connection: BaseDatabaseWrapper, **_: Any) -> None:
    if _note_write not in connection.execute_wrappers:
        connection.execute_wrappers.append(_note_write)


def _note_write(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """Runs a statement; one that writes to a watched table is announced once it is committed.

    At the statement and not by signals of models: ticks, imports and clean-ups write by SQL of their own.
    """
    result = execute(sql, params, many, context)
    text = sql if isinstance(sql, str) else str(sql)
    if WRITES.match(text) and any(table in text for table in _tables):
        _announce_at_commit(context["connection"])
    return result


def _announce_at_commit(connection: BaseDatabaseWrapper) -> None:
    waiting = connection.run_on_commit
    # Once is enough for writes in a row; in another savepoint it is not, for that may be rolled back alone.
    if waiting and waiting[-1][:2] == (set(connection.savepoint_ids), answers.announce_change):
        return
    transaction.on_commit(answers.announce_change, using=connection.alias)
