"""GET parameters: read once, checked whole, and never ignored."""

import functools
from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.utils.serializer_helpers import BindingDict
from rest_framework.views import APIView

from cryptopredict.rest.pagination import PageNumbers


class QuerySerializer(serializers.Serializer[Any]):
    """The parameters of one endpoint; with no fields of its own it accepts none at all.

    A list endpoint names its `pagination_class`, whose parameters are then accepted too, for it to read.
    """

    pagination_class: ClassVar[type[BasePagination] | None] = None

    @property
    def fields(self) -> BindingDict:
        """Made once for a class and not for each request: they know of no request, nor of its context."""
        return fields_of(type(self))

    @classmethod
    def read(cls, request: Request) -> dict[str, Any]:
        """The validated parameters.

        Raises ValidationError (400) with all faults: `unknown_parameter`, `repeated_parameter`, the fields'.
        """
        serializer = cls(data=request.query_params.dict())
        faults = serializer.unknown_or_repeated(request)
        if not serializer.is_valid():
            faults = {**serializer.errors, **faults}
        if faults:
            raise ValidationError(faults)
        return dict(serializer.validated_data)

    def unknown_or_repeated(self, request: Request) -> dict[str, Any]:
        known = set(self.fields) | self.paging_names()
        faults: dict[str, Any] = {}
        for name, values in request.query_params.lists():
            if name not in known:
                faults[name] = [ErrorDetail("There is no such parameter.", code="unknown_parameter")]
            elif len(values) > 1:
                faults[name] = [ErrorDetail("Give this parameter once.", code="repeated_parameter")]
        return faults

    @classmethod
    def paging_names(cls) -> set[str]:
        attributes = ("page_query_param", "page_size_query_param", "cursor_query_param")
        names = (getattr(cls.pagination_class, attribute, None) for attribute in attributes)
        return {name for name in names if name}


@functools.cache
def fields_of(query_class: type[QuerySerializer]) -> BindingDict:
    prototype = query_class()
    fields = BindingDict(prototype)
    for name, field in prototype.get_fields().items():
        fields[name] = field
    return fields


class PageQuery(QuerySerializer):
    """A list endpoint's parameters when it has none beside the page's."""

    pagination_class = PageNumbers


class StrictQueryMixin(APIView):
    """Reads `query_class` into `self.query` before the view's method runs; OpenAPI lists its fields."""

    query_class: type[QuerySerializer] = QuerySerializer
    query: dict[str, Any]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if hasattr(self, str(request.method).lower()):  # a method that there is not is told as that, whatever it asks
            self.query = self.query_class.read(request)


class ListQueryMixin(StrictQueryMixin):
    """For views that list and create: a GET has the list's parameters, all else has none."""

    list_query_class: type[QuerySerializer] = PageQuery

    @property
    def query_class(self) -> type[QuerySerializer]:  # type: ignore[override]
        return self.list_query_class if self.request.method in {"GET", "HEAD"} else QuerySerializer
