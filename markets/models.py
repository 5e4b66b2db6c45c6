"""Coins, their prices over time, and the runs that fetched them."""

from datetime import datetime, timedelta

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from markets.fields import WrittenJSONField
from markets.querysets import CryptocurrencyQuerySet, DataFaultQuerySet, PriceDataQuerySet, SyncRunQuerySet


class Interval(models.TextChoices):
    """The length of a price slot; a slot's time is its start in UTC."""

    FIVE_MINUTES = "5m", "5 minutes"
    HOUR = "1h", "1 hour"
    DAY = "1d", "1 day"

    @property
    def length(self) -> timedelta:
        return {"5m": timedelta(minutes=5), "1h": timedelta(hours=1), "1d": timedelta(days=1)}[self.value]


class Cryptocurrency(models.Model):
    """A coin as CoinGecko lists it, with the latest figures kept on its own row."""

    # How often a price is synced unless the call budget asks for less; figures older than two periods are stale.
    SHORTEST_PERIOD = timedelta(minutes=5)

    coingecko_id = models.CharField("CoinGecko id", max_length=150, unique=True)
    symbol = models.CharField(max_length=50, db_index=True)
    name = models.CharField(max_length=200)
    image_url = models.CharField(max_length=500, blank=True)
    is_tracked = models.BooleanField("tracked", default=False, help_text="Prices are synced and forecasts issued.")
    is_excluded = models.BooleanField(
        "excluded", default=False, help_text="Staff stopped its tracking: discovery leaves it alone."
    )
    is_listed = models.BooleanField("listed", default=True, help_text="CoinGecko still lists this coin.")

    market_cap_rank = models.PositiveIntegerField("rank", null=True, blank=True)
    price_usd = models.FloatField(null=True, blank=True)
    market_cap_usd = models.FloatField(null=True, blank=True)
    volume_24h_usd = models.FloatField(null=True, blank=True)
    high_24h_usd = models.FloatField(null=True, blank=True)
    low_24h_usd = models.FloatField(null=True, blank=True)
    change_1h_percent = models.FloatField(null=True, blank=True)
    change_24h_percent = models.FloatField(null=True, blank=True)
    change_7d_percent = models.FloatField(null=True, blank=True)
    circulating_supply = models.FloatField(null=True, blank=True)
    max_supply = models.FloatField(null=True, blank=True)
    all_time_high_usd = models.FloatField(null=True, blank=True)
    all_time_high_at = models.DateTimeField(null=True, blank=True)
    sparkline_7d = WrittenJSONField(default=list, blank=True, help_text="Up to 168 hourly prices, oldest first.")
    price_at = models.DateTimeField(null=True, blank=True, help_text="When upstream last saw this price.")
    sync_every_seconds = models.PositiveIntegerField(
        default=300, help_text="How often the call budget lets this coin's price be synced: its tier's promise."
    )
    price_synced_at = models.DateTimeField(
        null=True, blank=True, help_text="When a tick last asked for this coin and stored what it got."
    )

    history_synced_at = models.DateTimeField(null=True, blank=True)
    history_problem = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects = CryptocurrencyQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "cryptocurrencies"
        ordering = (F("market_cap_rank").asc(nulls_last=True), "coingecko_id")
        # In the order of the market list: a page of it is read without sorting all coins (on PostgreSQL, where an
        # index ends with the nulls).
        indexes = (models.Index(fields=["market_cap_rank", "coingecko_id"], name="coin_rank"),)
        constraints = (
            models.CheckConstraint(condition=~Q(coingecko_id=""), name="coin_id_not_empty"),
            models.CheckConstraint(
                condition=Q(price_usd__isnull=True) | Q(price_usd__gt=0), name="coin_price_positive"
            ),
            models.CheckConstraint(
                condition=Q(market_cap_usd__isnull=True) | Q(market_cap_usd__gt=0), name="coin_cap_positive"
            ),
            models.CheckConstraint(
                condition=Q(price_usd__isnull=True) | Q(price_at__isnull=False),
                name="coin_price_has_its_time",
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} ({self.symbol.upper()})"

    def is_stale_at(self, now: datetime) -> bool:
        """Whether the latest price is missing or older than two of this coin's sync periods."""
        return self.price_at is None or now - self.price_at > self.fresh_for

    @property
    def fresh_for(self) -> timedelta:
        return 2 * timedelta(seconds=self.sync_every_seconds)

    @property
    def is_stale(self) -> bool:
        return self.is_stale_at(timezone.now())


class PriceData(models.Model):
    """One price slot of one coin: its first, highest, lowest and last price in US dollars.

    A day's ``close`` is the price at 00:00 UTC of the next day, and so equals the next day's ``open``.
    """

    # No index of its own: the one of price_once_per_slot begins with the coin. On PostgreSQL that one also carries
    # the figures (migration 0003), so that a chart is read without the table.
    coin = models.ForeignKey(Cryptocurrency, on_delete=models.CASCADE, related_name="prices", db_index=False)
    interval = models.CharField(max_length=2, choices=Interval.choices)
    at = models.DateTimeField(help_text="Start of the slot, UTC.")
    open = models.FloatField()
    high = models.FloatField()
    low = models.FloatField()
    close = models.FloatField()
    volume_24h = models.FloatField(null=True, blank=True, help_text="Trailing 24-hour volume in USD at the close.")
    market_cap = models.FloatField(null=True, blank=True, help_text="In USD at the close.")
    samples = models.PositiveIntegerField(
        default=1,
        help_text="How many observed prices made this row; a row never gives way to one made of fewer.",
    )
    is_quarantined = models.BooleanField(
        "quarantined",
        default=False,
        db_default=False,
        help_text="Kept but not shown, rolled up or forecast from: see its data fault.",
    )

    objects = PriceDataQuerySet.as_manager()

    class Meta:
        verbose_name = "price"
        verbose_name_plural = "price data"
        ordering = ("coin", "interval", "at")
        constraints = (
            models.UniqueConstraint(fields=["coin", "interval", "at"], name="price_once_per_slot"),
            models.CheckConstraint(condition=Q(interval__in=["5m", "1h", "1d"]), name="price_interval_known"),
            models.CheckConstraint(condition=Q(low__gt=0), name="price_positive"),
            models.CheckConstraint(
                condition=Q(low__lte=F("open"))
                & Q(low__lte=F("close"))
                & Q(high__gte=F("open"))
                & Q(high__gte=F("close")),
                name="price_within_low_and_high",
            ),
            models.CheckConstraint(condition=Q(volume_24h__isnull=True) | Q(volume_24h__gte=0), name="price_volume"),
            models.CheckConstraint(condition=Q(market_cap__isnull=True) | Q(market_cap__gt=0), name="price_cap"),
            models.CheckConstraint(condition=Q(samples__gte=1), name="price_samples"),
        )

    def __str__(self) -> str:
        return f"{self.coin_id} {self.interval} {self.at:%Y-%m-%d %H:%M}"


class SyncRun(models.Model):
    """One run of a sync job: what it asked, wrote, refused, and how it ended."""

    class Kind(models.TextChoices):
        PRICES = "prices", "Prices"
        HISTORY = "history", "History"
        DISCOVER = "discover", "Discover coins"
        CLEANUP = "cleanup", "Clean up"
        COIN = "coin", "One coin"
        BACKFILL = "backfill", "Backfill"
        QUALITY = "quality", "Data quality"

    class State(models.TextChoices):
        RUNNING = "running", "Running"
        SUCCEEDED = "succeeded", "Succeeded"
        PARTIAL = "partial", "Partly done"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    kind = models.CharField(max_length=10, choices=Kind.choices)
    state = models.CharField(max_length=10, choices=State.choices, default=State.RUNNING)
    started_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)
    done = models.PositiveIntegerField(default=0, help_text="Steps done, of `total`.")
    total = models.PositiveIntegerField(default=0)
    calls = models.PositiveIntegerField(default=0, help_text="Calls made to CoinGecko.")
    rows_written = models.PositiveIntegerField(default=0)
    rows_rejected = models.PositiveIntegerField(default=0)
    rows_stale = models.PositiveIntegerField(
        default=0, help_text="Prices that upstream last saw too long ago to stand for this slot; not stored."
    )
    problem = models.TextField(blank=True)
    slot_at = models.DateTimeField(
        null=True, blank=True, help_text="The five-minute slot that a run of prices is for; each is filled once."
    )
    task_id = models.CharField(max_length=64, blank=True, db_index=True, help_text="The job that made this run.")
    is_cancel_requested = models.BooleanField(
        "cancel requested", default=False, help_text="The run stops at its next step."
    )

    objects = SyncRunQuerySet.as_manager()

    class Meta:
        ordering = ("-started_at", "-id")
        indexes = (models.Index(fields=["kind", "-started_at"], name="sync_kind_started"),)
        constraints = (
            models.CheckConstraint(
                condition=(Q(state="running") & Q(finished_at__isnull=True))
                | (~Q(state="running") & Q(finished_at__isnull=False)),
                name="sync_finished_when_not_running",
            ),
            models.UniqueConstraint(
                fields=["kind", "slot_at"], condition=Q(state="succeeded"), name="sync_slot_succeeds_once"
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.started_at:%Y-%m-%d %H:%M}"


class RejectedPoint(models.Model):
    """A value from upstream that was refused, kept for staff to look at."""

    run = models.ForeignKey(SyncRun, on_delete=models.CASCADE, related_name="rejected")
    coingecko_id = models.CharField(max_length=150, blank=True)
    reason = models.CharField(max_length=200)
    value = models.CharField(max_length=500, blank=True)
    seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("-seen_at", "-id")

    def __str__(self) -> str:
        return f"{self.coingecko_id}: {self.reason}"


class Lease(models.Model):
    """The right to do one kind of work, held by one run at a time.

    `token` grows with every new holder. A write confirms its token in its own transaction, so a holder that was
    frozen past the end of its lease writes nothing once another one has taken over.
    """

    name = models.CharField(max_length=200, unique=True)
    token = models.PositiveBigIntegerField(default=0)
    holder = models.CharField(max_length=100, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.name} #{self.token}"


class DataFault(models.Model):
    """Something wrong in one coin's stored prices: where, what, and what was done about it."""

    class Kind(models.TextChoices):
        GAP = "gap", "Gap"
        DUPLICATE = "duplicate", "Duplicate"
        FROZEN = "frozen", "Frozen feed"
        OUTLIER = "outlier", "Outlier"

    coin = models.ForeignKey(Cryptocurrency, on_delete=models.CASCADE, related_name="faults")
    interval = models.CharField(max_length=2, choices=Interval.choices)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    start_at = models.DateTimeField(help_text="Start of the first slot concerned, UTC.")
    end_at = models.DateTimeField(help_text="End of the last slot concerned, UTC.")
    slots = models.PositiveIntegerField(default=1, help_text="How many slots are missing, frozen or quarantined.")
    detail = models.CharField(max_length=300, blank=True)
    found_at = models.DateTimeField(default=timezone.now)
    resolved_at = models.DateTimeField(null=True, blank=True, help_text="When it was filled, or released by staff.")
    resolution = models.CharField(max_length=300, blank=True)
    is_opened_by_staff = models.BooleanField(default=False, help_text="The hourly check leaves it open.")
    is_closed_by_staff = models.BooleanField(default=False, help_text="The hourly check does not open it again.")

    objects = DataFaultQuerySet.as_manager()

    class Meta:
        ordering = ("-found_at", "-id")
        indexes = (models.Index(fields=["coin", "interval", "start_at"], name="fault_coin_interval_start"),)
        constraints = (
            models.UniqueConstraint(
                fields=["coin", "interval", "kind", "start_at"],
                condition=Q(resolved_at__isnull=True),
                name="fault_open_once",
            ),
            models.CheckConstraint(condition=Q(end_at__gt=F("start_at")), name="fault_ends_after_start"),
        )

    def __str__(self) -> str:
        return f"{self.coin_id} {self.interval} {self.kind} {self.start_at:%Y-%m-%d %H:%M}"


class Restatement(models.Model):
    """A stored price that was later told otherwise: what it was, what it became and who said so."""

    class Source(models.TextChoices):
        UPSTREAM = "upstream", "CoinGecko"
        IMPORT = "import", "A file that staff imported"

    coin = models.ForeignKey(Cryptocurrency, on_delete=models.CASCADE, related_name="restatements")
    interval = models.CharField(max_length=2, choices=Interval.choices)
    at = models.DateTimeField(help_text="Start of the slot, UTC.")
    field = models.CharField(max_length=10, choices=[(name, name) for name in ("open", "high", "low", "close")])
    old_value = models.FloatField()
    new_value = models.FloatField()
    seen_at = models.DateTimeField(default=timezone.now)
    stated_by = models.CharField(max_length=10, choices=Source.choices, default=Source.UPSTREAM)

    class Meta:
        ordering = ("-seen_at", "-id")
        indexes = (models.Index(fields=["coin", "-seen_at"], name="restatement_coin_seen"),)

    def __str__(self) -> str:
        return f"{self.coin_id} {self.interval} {self.at:%Y-%m-%d %H:%M} {self.field}"
