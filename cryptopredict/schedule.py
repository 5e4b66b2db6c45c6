"""When each job runs, as data; the database holds the schedule that counts, and the admin may change it there."""

from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True)
class Clock:
    """A time of day and week in UTC, in the fields of cron."""

    minute: str
    hour: str = "*"
    day_of_week: str = "*"


@dataclass(frozen=True)
class Entry:
    """One job: its task and arguments, when it is queued, and how long it may wait before it is dropped."""

    name: str
    task: str
    when: timedelta | Clock
    expires: timedelta
    description: str
    arguments: dict[str, str] = field(default_factory=dict)


# A job that waited longer than `expires` is dropped: the next one is due by then, and stale work helps nobody.
SCHEDULE = (
    Entry(
        "Sync all prices",
        "markets.sync_all_prices",
        timedelta(minutes=5),
        timedelta(minutes=4, seconds=50),
        "The latest price of every tracked coin.",
    ),
    Entry(
        "Sync historical data",
        "markets.sync_historical_data",
        Clock(minute="3"),
        timedelta(minutes=55),
        "Pulls the history of new coins and fills gaps.",
    ),
    Entry(
        "Score due forecasts",
        "predictions.score_due_forecasts",
        Clock(minute="10"),
        timedelta(minutes=55),
        "Compares forecasts whose day has come with what happened.",
    ),
    Entry(
        "Issue forecasts",
        "predictions.issue_forecasts",
        Clock(minute="20"),
        timedelta(minutes=55),
        "Freezes the forecasts of the newest closed day that are still missing; most hours there are none.",
    ),
    Entry(
        "Issue hourly forecasts",
        "predictions.issue_hourly_forecasts",
        Clock(minute="7,12"),
        timedelta(minutes=50),
        "Freezes the forecasts of the newest closed hour; the second run finds what came late to the first.",
    ),
    Entry(
        "Check data quality",
        "markets.check_data_quality",
        Clock(minute="25"),
        timedelta(minutes=55),
        "Finds gaps, frozen feeds, repeated rows and outliers in prices, and quarantines what cannot be true.",
    ),
    Entry(
        "Discover new cryptocurrencies",
        "markets.discover_new_cryptocurrencies",
        Clock(minute="35", hour="2"),
        timedelta(hours=20),
        "Compares the coins with CoinGecko's list.",
    ),
    Entry(
        "Tidy the record of jobs",
        "operations.tidy_task_runs",
        Clock(minute="50"),
        timedelta(minutes=55),
        "Ends runs that never came back and forgets old ones.",
    ),
    Entry(
        "Clean up old data",
        "markets.cleanup_old_data",
        Clock(minute="15", hour="3", day_of_week="0"),
        timedelta(hours=20),
        "Deletes fine price slots past their keep time.",
    ),
    Entry(
        "Repack prices",
        "markets.repack_prices",
        Clock(minute="45", hour="4"),
        timedelta(hours=20),
        "Packs the index of prices and vacuums their table; on PostgreSQL.",
    ),
    Entry(
        "Train a model",
        "predictions.train_model",
        Clock(minute="40", hour="3", day_of_week="1"),
        timedelta(hours=20),
        "Trains and validates a candidate; it serves only when it is better.",
    ),
    Entry(
        "Train an hourly model",
        "predictions.train_model",
        Clock(minute="40", hour="4", day_of_week="1"),
        timedelta(hours=20),
        "The same for hours; not before there are 240 days of them.",
        {"frequency": "hourly"},
    ),
)
