"""What is staged is what was given, bit by bit, and PostgreSQL does not press long texts together on the way."""

from datetime import UTC, datetime

import pytest
from django.db import connection, transaction

from markets.staging import Column, Kind, lay_out

COLUMNS = (
    Column("coin_id", Kind.KEY),
    Column("price", Kind.FIGURE),
    Column("at", Kind.TIME),
    Column("words", Kind.TEXT),
    Column("detail", Kind.JSON),
)
TEXT = "0.1,0.30000000000000004," * 2000
AT = datetime(2026, 3, 10, 5, tzinfo=UTC)


@pytest.mark.django_db
def test_it_lays_out_texts_of_any_length_as_they_are() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        lay_out(cursor, "staged_words", COLUMNS, [(1, 0.1 + 0.2, AT, TEXT, {"a": [1]}), (2, None, None, "", None)])
        cursor.execute("SELECT coin_id, price, words FROM staged_words ORDER BY coin_id")
        assert cursor.fetchall() == [(1, 0.30000000000000004, TEXT), (2, None, "")]
        lay_out(cursor, "staged_words", COLUMNS, [(3, 1.0, AT, "x", None)])
        cursor.execute("SELECT coin_id FROM staged_words")
        assert cursor.fetchall() == [(3,)]


@pytest.mark.django_db
def test_postgresql_stages_long_texts_without_pressing_them_together() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("how PostgreSQL stores long texts: run it by make test, or with DATABASE_URL set")
    with transaction.atomic(), connection.cursor() as cursor:
        lay_out(cursor, "staged_words", COLUMNS, [(1, 1.0, AT, TEXT, {"text": TEXT})])
        cursor.execute("SELECT pg_column_size(words), pg_column_size(detail) FROM staged_words")
        sizes = cursor.fetchone()
    assert sizes is not None
    assert min(sizes) >= len(TEXT)
