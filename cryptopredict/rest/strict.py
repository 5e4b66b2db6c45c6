"""Serializers that name every field they do not know, and every value of another type, instead of making do."""

from typing import Any

from django.http import QueryDict
from rest_framework.exceptions import ErrorDetail
from rest_framework.serializers import (
    BooleanField,
    CharField,
    Field,
    FloatField,
    IntegerField,
    Serializer,
    ValidationError,
)

# What JSON has a type of its own for; the base class reads 5 as "5", "yes" as true and "5" as 5.
JSON_TYPES: tuple[tuple[type[Any], type | tuple[type, ...], str], ...] = (
    (CharField, str, "Not a valid string."),
    (BooleanField, bool, "Must be a valid boolean."),
    (IntegerField, (int, float), "A valid integer is required."),
    (FloatField, (int, float), "A valid number is required."),
)


class StrictMixin(Serializer[Any]):
    """Adds an error for each name in the body that the serializer does not write (`unknown_field`), and for each
    value of a JSON body that has another type than its field (`invalid`)."""

    def to_internal_value(self, data: Any) -> Any:
        faults: dict[str, Any] = {}
        value: Any = None
        try:
            value = super().to_internal_value(data)
        except ValidationError as error:
            faults.update(error.detail if isinstance(error.detail, dict) else {"": error.detail})
        if isinstance(data, dict) and not isinstance(data, QueryDict):
            faults.update(self.wrong_types(data))
        if isinstance(data, dict):
            writable = {name for name, field in self.fields.items() if not field.read_only}
            for name in data:
                if name not in writable:
                    message = "This field is read only." if name in self.fields else "There is no such field."
                    faults[str(name)] = [ErrorDetail(message, code="unknown_field")]
        if faults:
            raise ValidationError(faults)
        return value

    def wrong_types(self, data: dict[Any, Any]) -> dict[str, Any]:
        return {
            name: [ErrorDetail(message, code="invalid")]
            for name, field in self.fields.items()
            if (value := data.get(name)) is not None
            for message in wrong_type(field, value)
        }


def wrong_type(field: Field[Any, Any, Any, Any], value: Any) -> list[str]:
    """A sentence when the value is of a type that is not the field's."""
    return [
        message
        for kind, types, message in JSON_TYPES
        if isinstance(field, kind) and (not isinstance(value, types) or (isinstance(value, bool) and types is not bool))
    ]
