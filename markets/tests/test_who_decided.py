"""The migration that moves decisions of staff from the beginning of a text into a column."""

from datetime import UTC, datetime, timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection

from markets.models import Cryptocurrency, DataFault

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.django_db
def test_it_knows_older_decisions_of_staff_by_their_texts() -> None:
    coin = Cryptocurrency.objects.create(coingecko_id="bitcoin", symbol="btc", name="Bitcoin")
    texts = [
        ("By staff: wrong coin", "", (True, False)),
        ("off by a factor of ten", "Released by ada: confirmed", (False, True)),
        ("3 days are missing", "Marked as resolved by ada: none", (False, True)),
        ("off by a factor of ten", "No longer found", (False, False)),
    ]
    for number, (detail, resolution, _) in enumerate(texts):
        start = NOON + timedelta(days=number)
        DataFault.objects.create(
            coin=coin, interval="1d", kind="outlier", start_at=start, end_at=start + timedelta(days=1),
            detail=detail, resolution=resolution,
        )  # fmt: skip
    migration = import_module("markets.migrations.0006_who_decided")
    migration.mark_decisions_of_staff(apps, connection.schema_editor())
    marked = DataFault.objects.order_by("start_at").values_list("is_opened_by_staff", "is_closed_by_staff")
    assert list(marked) == [expected for *_, expected in texts]
