"""Page numbers for lists of millions of rows."""

from django.core.paginator import Paginator
from django.db import connections
from django.db.models import Model, QuerySet
from django.utils.functional import cached_property

COUNTED_UP_TO = 50_000  # rows; fewer are counted at once


class EstimatedPaginator(Paginator[Model]):
    """Takes the number of all rows of a large table from PostgreSQL's statistics instead of reading the table through.

    What is filtered is counted, and so is everything on SQLite, which keeps no such figure. The statistics are as old
    as the last vacuum or analyse, so a list may end some pages before or after its last row.
    """

    @cached_property
    def count(self) -> int:
        rows = self.object_list
        if isinstance(rows, QuerySet) and not rows.query.where:
            estimate = estimated_rows(rows)
            if estimate is not None and estimate > COUNTED_UP_TO:
                return estimate
        return super().count


def estimated_rows(rows: QuerySet[Model]) -> int | None:
    """What the database believes that the table holds; None where it does not know."""
    connection = connections[rows.db]
    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples FROM pg_class WHERE oid = %s::regclass", [rows.model._meta.db_table])
        (estimate,) = cursor.fetchone()
    return int(estimate) if estimate >= 0 else None
