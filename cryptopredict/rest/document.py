"""Where the OpenAPI document is served from."""

import threading
from typing import Any

from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.views import SpectacularAPIView

from cryptopredict.rest.conditional import ConditionalMixin

_ONE_AT_A_TIME = threading.Lock()


class DocumentOnce(SchemaGenerator):
    """Generates the document once in a process, however many ask: it depends on nothing that a request says."""

    _document: dict[str, Any] | None = None

    def get_schema(self, request: Any = None, public: bool = False) -> dict[str, Any]:
        with _ONE_AT_A_TIME:  # several at once would each hold some ten megabytes of it
            if DocumentOnce._document is None:
                DocumentOnce._document = super().get_schema(request=None, public=public)
            return DocumentOnce._document


class SchemaView(ConditionalMixin, SpectacularAPIView):
    """The OpenAPI document, in YAML or JSON."""

    generator_class = DocumentOnce
    max_age_seconds = 300
