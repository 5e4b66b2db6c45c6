"""Columns of our own kind."""

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper


class WrittenJSONField(models.JSONField):
    """JSON that is always read and written whole: every database keeps it as the text that we wrote.

    PostgreSQL would take `jsonb` apart when it is stored and write each number anew when it is read.
    """

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return "text"
