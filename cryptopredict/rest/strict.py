"""Serializers that name every field they do not know instead of ignoring it."""

from typing import Any

from rest_framework.exceptions import ErrorDetail
from rest_framework.serializers import Serializer, ValidationError


class StrictMixin(Serializer[Any]):
    """Adds an `unknown_field` error for each name in the body that the serializer does not write."""

    def to_internal_value(self, data: Any) -> Any:
        faults: dict[str, Any] = {}
        value: Any = None
        try:
            value = super().to_internal_value(data)
        except ValidationError as error:
            faults.update(error.detail if isinstance(error.detail, dict) else {"": error.detail})
        if isinstance(data, dict):
            writable = {name for name, field in self.fields.items() if not field.read_only}
            for name in data:
                if name not in writable:
                    message = "This field is read only." if name in self.fields else "There is no such field."
                    faults[str(name)] = [ErrorDetail(message, code="unknown_field")]
        if faults:
            raise ValidationError(faults)
        return value
