"""What the endpoint about data quality and the import of prices answer, for OpenAPI."""

from typing import Any

from rest_framework import serializers

from markets.api.serializers import SourcedSerializer, figure
from markets.models import Interval, Restatement
from markets.quality.report import FIELDS_RESTATED


class CoverageSerializer(serializers.Serializer[Any]):
    """How many slots of one interval are there."""

    interval = serializers.ChoiceField(choices=Interval.values)
    start = serializers.DateTimeField(
        allow_null=True, help_text="The range's start, or the coin's first slot if that is later; null without any."
    )
    end = serializers.DateTimeField()
    expected = serializers.IntegerField(help_text="Slots that were over by the end.")
    present = serializers.IntegerField(help_text="Stored, quarantined ones included.")
    quarantined = serializers.IntegerField()
    missing = serializers.IntegerField()
    share = figure("Sound slots of those expected, from 0 to 1; null without any slot.")


class FaultSerializer(serializers.Serializer[Any]):
    """A fault that is not resolved."""

    interval = serializers.ChoiceField(choices=Interval.values)
    start_at = serializers.DateTimeField(help_text="Start of the first slot concerned.")
    end_at = serializers.DateTimeField(help_text="End of the last slot concerned.")
    slots = serializers.IntegerField(help_text="How many slots are missing, frozen, repeated or quarantined.")
    detail = serializers.CharField(help_text="In words: for a quarantined point, why.")
    found_at = serializers.DateTimeField()


class RestatementSerializer(serializers.Serializer[Any]):
    """A stored price that was later told otherwise."""

    interval = serializers.ChoiceField(choices=Interval.values)
    at = serializers.DateTimeField(help_text="Start of the slot.")
    field = serializers.ChoiceField(choices=FIELDS_RESTATED)
    old_value = serializers.FloatField()
    new_value = serializers.FloatField()
    seen_at = serializers.DateTimeField()
    stated_by = serializers.ChoiceField(
        choices=Restatement.Source.choices, help_text="Who said so: `upstream` is CoinGecko, `import` a file of staff."
    )


class FaultListSerializer(serializers.Serializer[Any]):
    """The newest faults of one kind, and how many there are in all."""

    total = serializers.IntegerField()
    items = FaultSerializer(many=True)


class RestatementListSerializer(serializers.Serializer[Any]):
    """The restatements seen last, and how many there are in all."""

    total = serializers.IntegerField()
    items = RestatementSerializer(many=True)


class QualitySerializer(SourcedSerializer):
    """What is missing, doubtful or changed in one coin's prices over a range."""

    id = serializers.CharField()
    start = serializers.DateTimeField(allow_null=True, help_text="Null: from the coin's first slot on.")
    end = serializers.DateTimeField()
    checked_at = serializers.DateTimeField(allow_null=True, help_text="When the last check of all coins ended.")
    coverage = CoverageSerializer(many=True)
    gaps = FaultListSerializer()
    frozen_feeds = FaultListSerializer()
    duplicates = FaultListSerializer()
    quarantined = FaultListSerializer()
    restatements = RestatementListSerializer()


class ImportErrorSerializer(serializers.Serializer[Any]):
    """One fault of one cell."""

    line = serializers.IntegerField(help_text="In the file, from 1.")
    field = serializers.CharField(allow_blank=True, help_text="The column; empty for the row as a whole.")
    code = serializers.CharField(help_text="Stable.")
    message = serializers.CharField(help_text="For people; may change.")


class ImportSerializer(serializers.Serializer[Any]):
    """What a file holds and what importing it did, or in a dry run would do."""

    format = serializers.ChoiceField(choices=["slots", "daily"])
    is_dry_run = serializers.BooleanField()
    rows = serializers.IntegerField()
    coins = serializers.IntegerField()
    new = serializers.IntegerField(help_text="Slots that were not stored before.")
    changed = serializers.IntegerField(help_text="Slots that were stored with other figures.")
    unchanged = serializers.IntegerField(help_text="Slots that were stored like this.")
    kept_richer = serializers.IntegerField(help_text="Slots left alone: theirs were made of more observed prices.")
    left_out = serializers.IntegerField(help_text="Daily prices whose next day is missing, so that no day closes.")
    error_count = serializers.IntegerField()
    errors = ImportErrorSerializer(many=True, help_text="The first 100.")  # type: ignore[assignment]
