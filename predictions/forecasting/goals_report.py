"""The report of the forecasting goals as Markdown, from measurements that its own command makes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from predictions.forecasting import goals
from predictions.forecasting.backtest import BacktestResult, by_regime_json
from predictions.forecasting.folders import read_csv_folder
from predictions.forecasting.forecasters.protocol import EWMA_N, FHS, LINEAR_HEAD, LSTM, PUBLISHED
from predictions.forecasting.frequency import HOURLY_STEPS
from predictions.forecasting.goals import Cost, Goal

DAILY_RETRAIN, HOURLY_RETRAIN = 183, 183
COMMAND = "python manage.py report_goals --data ../shared/data --out docs/forecasting-report.md"


@dataclass(frozen=True)
class Measured:
    """Everything that the report tells."""

    daily: BacktestResult
    hourly: BacktestResult
    cost: Cost
    spread: dict[int, list[float]]

    def goals(self) -> list[Goal]:
        """All goals in order."""
        daily = goals.judge_daily(self.daily)
        found = [*daily, *goals.judge_hourly(self.hourly), *goals.judge_cost(self.cost, self.spread)]
        return sorted(found, key=lambda goal: (int(goal.name[1:].rstrip("+")), goal.name))


def measure(data: Path, say: Callable[[str], object]) -> Measured:
    """Runs every back-test on `data`/daily and `data`/hourly: some fifty fits. Imports TensorFlow."""

    def fits(done: int, total: int) -> None:
        say(f"  fit {done} of {total}")

    daily = read_csv_folder(data / "daily")
    say("training cost, in a process of its own")
    cost = goals.training_cost(daily)
    say("daily back-test")
    walk = goals.daily_walk(daily, retrain_days=DAILY_RETRAIN, progress=fits)
    say("seeds")
    spread = goals.seed_spread(daily)
    say("hourly back-test")
    hourly = read_csv_folder(data / "hourly", frequency=HOURLY_STEPS)
    return Measured(walk, goals.hourly_walk(hourly, retrain_days=HOURLY_RETRAIN, progress=fits), cost, spread)


def write_report(measured: Measured) -> str:
    """The report in Markdown."""
    found = measured.goals()
    missed = [goal.name for goal in found if goal.reached is False]
    reached = [goal.name for goal in found if goal.reached]
    lines = [
        "# Forecasting: what was measured",
        "",
        f"Made by `{COMMAND}`; nothing below was typed by hand.",
        "",
        f"**Reached: {', '.join(reached) or 'none'}. Not reached: {', '.join(missed) or 'none'}.**",
        "",
        "A walk-forward back-test, not evidence: only forecasts written before their window opened are. Test period "
        f"{goals.TEST_FROM} to {goals.TEST_TO}; every choice was made on earlier data. Daily fits every "
        f"{DAILY_RETRAIN} days, hourly ones every {HOURLY_RETRAIN}, each on what was known by then; the published "
        f"bands are calibrated on forecasts that had settled, from {goals.WARM_UP_FROM} on. Every figure is weighted "
        "by date: means over coins per date, then over dates. n counts distinct dates. Intervals are 95 %, from a "
        "circular moving-block bootstrap over dates with blocks of max(30, 2h) days; t is Diebold and Mariano's with "
        "Newey and West's variance, lag max(10, h - 1): negative favours the model. Skills repeat to the last digit. "
        "The times of G12 and G14 depend on what else the machine does: at a lowered priority beside other work the "
        "same runs took up to 64 s and 11.5 ms.",
        "",
        "## Goals",
        "",
        "| | what | goal | found | n | reached |",
        "|---|---|---|---|---|---|",
        *(
            f"| {g.name} | {g.what} | {g.goal} | {g.found} | {g.n} | {'yes' if g.reached else '**no**'} |"
            for g in found
        ),
        "",
        "## Daily: every model against every baseline",
        "",
        *_table(measured.daily, (LSTM, LINEAR_HEAD, FHS, PUBLISHED), "days"),
        "",
        "## Hourly: every model against every baseline",
        "",
        *_table(measured.hourly, (LSTM, LINEAR_HEAD, FHS, PUBLISHED), "hours"),
        "",
        "## By volatility of the market",
        "",
        "Thirds of the market's volatility before the test period; a date belongs to the third of its cutoff.",
        "",
        *_regimes(measured.daily),
        "",
    ]
    return "\n".join(lines)


def _table(result: BacktestResult, models: Sequence[str], unit: str) -> Iterator[str]:
    yield (
        f"| {unit} | model | n dates | n forecasts | skill vs EWMA-N | t | skill vs FHS | t | skill vs linear | t | "
        "80 % band | 95 % band | interval score / EWMA-N |"
    )
    yield "|---" * 13 + "|"
    for horizon in result.horizons:
        for model in models:
            row = result.row(model, horizon)
            cells = []
            for baseline in (EWMA_N, FHS, LINEAR_HEAD):
                known = row.against.get(baseline)
                test = row.tests.get(baseline)
                cells += [goals.skill_text(known) if known else "", f"{test.t:+.1f}" if test else ""]
            yield (
                f"| {horizon} | {model} | {row.n_dates} | {row.n_forecasts:,} | {' | '.join(cells)} | "
                f"{row.coverage_80:.1%} | {row.coverage_95:.1%} | {row.interval_ratio.get(EWMA_N, 1):.3f} |"
            )


def _regimes(result: BacktestResult) -> Iterator[str]:
    yield "| days | market | n dates | LSTM vs EWMA-N | LSTM vs FHS | published 80 % | published 95 % |"
    yield "|---|---|---|---|---|---|---|"
    found = by_regime_json(result, start=goals.TEST_FROM)
    published = {(row["horizon"], row["regime"]): row for row in found if row["model"] == PUBLISHED}
    for row in found:
        if row["model"] == LSTM and row["horizon"] in (1, 7, 30):
            bands = published[row["horizon"], row["regime"]]
            against = " | ".join(_json_skill(row["against"][name]) for name in (EWMA_N, FHS))
            yield (
                f"| {row['horizon']} | {row['regime']} | {row['n_dates']} | {against} | "
                f"{bands['coverage_80']:.1%} | {bands['coverage_95']:.1%} |"
            )


def _json_skill(found: dict[str, object]) -> str:
    interval = found["interval"]
    text = f" [{interval[0]:+.2%}, {interval[1]:+.2%}]" if isinstance(interval, tuple | list) else ""
    return f"{found['skill']:+.2%}{text}"
