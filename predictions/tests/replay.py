"""The recorded market played through the whole product: sync, score, issue, day after day on one clock."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from markets import sync
from markets.sample.replay import replay_market
from markets.sync.history import HOURLY_DAYS, history_gaps
from markets.tests.world import World
from predictions import registry
from predictions.issuing import Issue, issue_forecasts
from predictions.models import TrainedModel
from predictions.scoring import score_due_forecasts

RECORDED_UNTIL = date(2025, 9, 30)
DAY = timedelta(days=1)
# As the schedule has it: a tick at midnight, scoring ten minutes past each hour and issuing ten minutes after that.
TICK, SCORE, ISSUE = timedelta(seconds=1), timedelta(minutes=10), timedelta(minutes=20)
HISTORY = timedelta(minutes=13)  # from ten minutes past midnight on, CoinGecko's history knows the day's first price


def recorded_coins(source: Path, *days: date) -> list[str]:
    """The ids of the recorded coins that have a price on each of the days."""
    asked = {str(day) for day in days}
    return [
        file.stem
        for file in sorted((source / "daily").glob("*.csv"))
        if asked <= {row[:10] for row in file.read_text().splitlines()[1:] if not row[10:].startswith(",,")}
    ]


def copy_recorded(source: Path, folder: Path, coins: list[str], *, without: dict[str, tuple[date, date]]) -> Path:
    """A folder with the recorded days of some coins; of those named in `without` a span of days is missing."""
    (folder / "daily").mkdir(parents=True)
    (folder / "coins.csv").symlink_to(source / "coins.csv")
    for coin in coins:
        lines = (source / "daily" / f"{coin}.csv").read_text().splitlines(keepends=True)
        first, last = (str(day) for day in without.get(coin, (date.max, date.min)))
        kept = lines[:1] + [line for line in lines[1:] if not first <= line[:10] <= last]
        (folder / "daily" / f"{coin}.csv").write_text("".join(kept))
    return folder


@dataclass
class Life:
    """A site that lives through recorded days."""

    world: World
    model: TrainedModel
    issues: list[Issue] = field(default_factory=list)
    scored: int = 0
    void: int = 0

    def live(self, days: int) -> None:
        """So many days, each in the order of the schedule."""
        for _ in range(days):
            midnight = self.world.now.replace(hour=0, minute=0, second=0, microsecond=0) + DAY
            self.world.tick(midnight + TICK)
            done = score_due_forecasts(now=midnight + SCORE)
            self.scored, self.void = self.scored + done.scored, self.void + done.void
            self.issues.append(issue_forecasts(now=midnight + ISSUE))


def begin(folder: Path, data: Path, *, on: date, coins: int) -> Life:
    """A new site on its first day: its coins found, their year of history pulled, the shipped model serving."""
    start = datetime(on.year, on.month, on.day, tzinfo=UTC)
    market = replay_market(data, coin_count=coins, seed=7, today=RECORDED_UNTIL)
    world = World(folder, start=start, market=market)
    world.tick(start + TICK)
    world.now = start + HISTORY
    gaps = [gap for gap in history_gaps(now=world.now) if gap.days > HOURLY_DAYS]
    sync.sync_history(client=world.client, now=world.now, max_calls=len(gaps))
    model = registry.install_starter_model()
    assert model is not None
    return Life(world, model)
