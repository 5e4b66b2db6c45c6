"""Keeps the table of prices quick to read: packed indexes, and pages known to be visible to all."""

from django.db import connection

from markets.models import PriceData


def repack_prices() -> None:
    """Packs the index that charts are read from anew; readers and writers go on meanwhile. Call it nightly.

    Each tick adds one price behind the last one of every coin, in the middle of the index. A page that is full
    there is split into two halves, and the older half stays half empty for ever: a week's chart would cost 49 pages
    instead of 30. Only PostgreSQL is concerned. Not to be called in a transaction.
    """
    if connection.vendor != "postgresql":
        return
    table = PriceData._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")  # of millions of rows it takes minutes
        try:
            cursor.execute("REINDEX INDEX CONCURRENTLY price_once_per_slot")
            cursor.execute(f"VACUUM (ANALYZE) {table}")
        finally:
            cursor.execute("RESET statement_timeout")
