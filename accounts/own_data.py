"""All that is kept about one user: exactly the rows that go when the account is deleted."""

import json
from collections.abc import Iterator
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.http import HttpResponse
from django.utils import timezone

from accounts.models import User

# Secrets, and what only guards them: of no use to their owner, and of much to a thief of the file.
HIDDEN_FIELDS = frozenset({"password", "digest", "session_key", "token", "jti", "data", "key"})
HIDDEN_MODELS = frozenset({"blacklistedtoken", "outstandingtoken"})


def collect(user: User) -> dict[str, Any]:
    """The user's profile, and every table with rows that hang on it, by the table's name."""
    found: dict[str, list[dict[str, Any]]] = {}
    gather(User.objects.filter(pk=user.pk), found, seen=set())
    (profile,) = found.pop("users")
    return {"exported_at": timezone.now(), "profile": profile, **dict(sorted(found.items()))}


def gather(rows: "models.QuerySet[Any]", found: dict[str, list[dict[str, Any]]], seen: set[type[models.Model]]) -> None:
    """Adds the rows, and those of other tables that are deleted with them."""
    model = rows.model
    if model in seen or model._meta.model_name in HIDDEN_MODELS:
        return
    seen.add(model)
    written = [as_written(row) for row in with_related(rows)]
    if written:
        found[str(model._meta.verbose_name_plural)] = written
    for relation in model._meta.related_objects:
        if relation.on_delete is models.CASCADE and not relation.related_model._meta.auto_created:
            child = relation.related_model
            gather(child._base_manager.filter(**{f"{relation.field.name}__in": rows.order_by()}), found, seen)


def with_related(rows: "models.QuerySet[Any]") -> "Iterator[models.Model]":
    names = [field.name for field in foreign_keys(rows.model)]
    return (rows.select_related(*names) if names else rows).order_by("pk").iterator(chunk_size=2000)


def foreign_keys(model: type[models.Model]) -> "list[models.ForeignKey[Any, Any]]":
    return [field for field in model._meta.concrete_fields if isinstance(field, models.ForeignKey)]


def as_written(row: models.Model) -> dict[str, Any]:
    """The row's own fields; what it points to by its name, since the reader has no other tables."""
    links = {field.name for field in foreign_keys(type(row))}
    written: dict[str, Any] = {}
    for field in row._meta.concrete_fields:
        if field.name in HIDDEN_FIELDS:
            continue
        value = getattr(row, field.name)
        written[field.name] = (str(value) if value is not None else None) if field.name in links else value
    return written


def file_response(user: User) -> HttpResponse:
    """The user's data as a JSON file to keep."""
    content = json.dumps(collect(user), cls=DjangoJSONEncoder, ensure_ascii=False, indent=2)
    response = HttpResponse(content, content_type="application/json; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="cryptopredict-my-data.json"'
    response["Cache-Control"] = "no-store"
    return response
