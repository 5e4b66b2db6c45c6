"""Checks that nothing after a cutoff reaches a forecast; each is seen to fail on a planted leak in the tests."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from predictions.forecasting import backtest, candles, features, folders, serving, training, windows
from predictions.forecasting.artifact import Artifact
from predictions.forecasting.forecasters.protocol import Past
from predictions.forecasting.frequency import HOURLY_STEPS
from predictions.forecasting.series import Panel, build_panel
from predictions.forecasting.serving import CoinForecast, Forecaster
from predictions.forecasting.training import Trained
from predictions.forecasting.windows import Rows


class Leak(Exception):
    """Something after a cutoff was seen before it, or a moment is off by one."""


@dataclass(frozen=True)
class Subject:
    """What is checked: a panel, a row of it as the cutoff, and the opened forecaster with its artefact."""

    panel: Panel
    row: int
    artifact: Artifact
    forecaster: Forecaster

    @property
    def cutoff(self) -> date:
        """The moment of the cutoff."""
        return self.panel.dates[self.row].astype(object)

    def altered(self) -> Panel:
        """The same past with another future: other prices and candles, some coins dead, some pegged."""
        random = np.random.default_rng(20)
        prices = self.panel.prices.copy()
        later = prices[self.row + 1 :]
        later *= random.uniform(0.2, 5, later.shape)
        later[:, 1::3] = np.nan
        later[:, 2::3] = 1.0
        realised = None if self.panel.realised is None else self.panel.realised.copy()
        if realised is not None:
            realised[self.row + 1 :] = random.uniform(0, 0.01, later.shape)
        return replace(self.panel, prices=prices, realised=realised)


def subject_of(panel: Panel, artifact: Artifact) -> Subject:
    """Checks in the middle of the last 120 days, where there is a past to learn from and a future to alter."""
    return Subject(panel, len(panel.dates) - 1 - panel.frequency.days(60), artifact, Forecaster(artifact))


def later_prices_change_no_features(subject: Subject) -> None:
    """Features, scales and eligibility up to the cutoff are the same bits whatever comes after it."""
    recipe, end = subject.forecaster.recipe, subject.row + 1
    built = features.build_features(subject.panel, recipe)
    for other in (features.build_features(subject.altered(), recipe), _cut(subject)):
        _same_bits(built.eligible[:end], other.eligible[:end], "eligibility")
        able = built.eligible[:end]
        for name in ("last", "steps", "sigma", "sigma_ewma"):
            _same_bits(getattr(built, name)[:end][able], getattr(other, name)[:end][able], name)
        _same_bits(built.market_sigma[:end], other.market_sigma[:end], "the market's volatility")


def _cut(subject: Subject) -> features.Features:
    return features.build_features(subject.panel.until(subject.cutoff), subject.forecaster.recipe)


def later_prices_change_no_forecast(subject: Subject) -> None:
    """The forecast of a truncated history and of one with another future is the same to the bit."""
    expected = subject.forecaster.forecast(subject.panel, cutoff=subject.cutoff)
    if all(isinstance(found, str) for found in expected.values()):
        raise Leak("nothing can be forecast at the cutoff: what was cut there does not end there")
    for panel in (subject.altered(), subject.panel.until(subject.cutoff)):
        found = subject.forecaster.forecast(panel, cutoff=subject.cutoff)
        if _fingerprint(found) != _fingerprint(expected):
            raise Leak("the forecast at a cutoff depends on prices after it")


def _fingerprint(forecasts: dict[str, CoinForecast | str]) -> dict[str, Any]:
    return {
        coin: found if isinstance(found, str) else (found.inputs_hash, found.base_price, found.log_quantiles.tobytes())
        for coin, found in forecasts.items()
    }


def later_prices_change_no_back_test(subject: Subject) -> None:
    """Every model's back-test, what is published included, is the same up to the cutoff whatever comes after."""
    first, second = (_back_test(subject, panel) for panel in (subject.panel, subject.altered()))
    past, other = first.rows.days <= subject.row, second.rows.days <= subject.row
    for name, quantiles in first.log_quantiles.items():
        _same_bits(quantiles[past], second.log_quantiles[name][other], f"the back-test of {name}")


def _back_test(subject: Subject, panel: Panel) -> backtest.BacktestResult:
    def fit(past: Panel, **options: Any) -> Trained:
        found = subject.artifact
        return Trained(found.recipe, options["cutoff"], 0, found.z, {}, found.onnx, "", {}, None, found.scale.season)

    span = timedelta(days=40)
    start, end = (datetime.fromisoformat(str(subject.panel.dates[row])).date() for row in (subject.row, -1))
    return backtest.run_backtest(
        panel, start=start - span, end=min(start + span, end), refit_every_days=1000, step_days=1, fit=fit
    )


def horizons_end_on_their_dates(subject: Subject) -> None:
    """A target of h steps ends h steps later, measured on prices that rise by one thousandth a step."""
    count, horizons = 200, subject.forecaster.recipe.horizons
    counted = np.exp(np.arange(float(count)) / 1000)[:, None]
    rows = Rows(np.arange(count - max(horizons)), np.zeros(count - max(horizons), np.int64))
    y = windows.targets(counted, rows, horizons, cutoff_day=count - 1)
    if not np.allclose(y, np.asarray(horizons) / 1000, atol=1e-9):
        raise Leak("a horizon is not as many steps long as it says")


def windows_end_on_their_dates(subject: Subject) -> None:
    """The last step of an input window is the cutoff's own, the first one a window's length before."""
    recipe, built = subject.forecaster.recipe, _cut(subject)
    steps = np.broadcast_to(np.arange(len(built.dates), dtype=np.float32)[:, None, None], built.steps.shape)
    rows = Rows(np.array([recipe.window - 1, len(built.dates) - 1]), np.array([0, 0]))
    read = windows.WindowReader(replace(built, steps=steps), recipe.window).read(rows)[:, :, 0]
    expected = rows.days[:, None] + np.arange(-recipe.window + 1, 1)
    if not np.array_equal(read, expected):
        raise Leak("an input window does not end at its cutoff")


def training_ends_at_the_cutoff(subject: Subject) -> None:
    """No training row has a target that ends after the cutoff, and none changes with what comes after it."""
    recipe = subject.forecaster.recipe
    found = []
    for panel in (subject.panel, subject.altered()):
        rows = training.training_set(features.build_features(panel.until(subject.cutoff), recipe), recipe)
        ends = rows.rows.days[:, None] + np.asarray(recipe.horizons)
        if (np.isfinite(rows.standardised) & (ends > subject.row)).any():
            raise Leak("a training target ends after the cutoff")
        found.append(rows.standardised)
    _same_bits(found[0], found[1], "the training targets")


def scales_see_training_rows_only(subject: Subject) -> None:
    """Pooled quantiles and the hour of day are those of the rows that had settled by the cutoff."""
    recipe = subject.forecaster.recipe
    found = [
        Past(panel.until(subject.cutoff), subject.cutoff, 0, training.train).scale(recipe)
        for panel in (subject.panel, subject.altered())
    ]
    _same_bits(found[0].z, found[1].z, "the pooled quantiles")
    _same_bits(found[0].season, found[1].season, "the hour of day")


def gaps_are_filled_from_the_past(subject: Subject) -> None:
    """A short gap repeats the price before it; a long one, a coin's beginning and its end stay unknown."""
    nan = np.nan
    prices = np.array([nan, 1, nan, nan, 2, nan, nan, nan, nan, 3, nan])[:, None]
    expected = np.array([nan, 1, 1, 1, 2, nan, nan, nan, nan, 3, nan])[:, None]
    if not np.array_equal(features.fill_short_gaps(prices), expected, equal_nan=True):
        raise Leak("a gap was filled with a price from after it")


def an_unfinished_step_is_left_out(subject: Subject) -> None:
    """The live point of a step that has not closed, and anything after now, is in no panel."""
    first, frequency = datetime(2024, 1, 1, tzinfo=UTC), subject.panel.frequency
    step = timedelta(hours=24 / frequency.steps_per_day)
    closed = [(coin, first + n * step, 1.0 + n) for coin in ("a", "b") for n in range(5)]
    now = first + 4.6 * step
    late = [(coin, at, 99.0) for coin in ("a", "b") for at in (now, now + 2.4 * step)]
    found = build_panel([*closed, *late], now=now, frequency=frequency)
    if len(found.dates) != 5 or found.prices.max() != 5.0:
        raise Leak("the price of an unfinished step entered a panel")


def a_candle_is_joined_by_its_opening(subject: Subject) -> None:
    """A candle's close is the price of the next step: the panel has its opening price, and its size a step later."""
    hours = [datetime(2024, 1, 1) + timedelta(hours=n) for n in range(6)]
    lines = [f"{at:%Y-%m-%dT%H:%MZ},{n + 1},{n + 9},{n + 1},{n + 2},1" for n, at in enumerate(hours)]
    with tempfile.TemporaryDirectory() as folder:
        text = "\n".join(["timestamp,open,high,low,close,volume", *lines, ""])
        (Path(folder) / "bitcoin.csv").write_text(text)
        panel = folders.read_csv_folder(Path(folder), frequency=HOURLY_STEPS)
    if not np.array_equal(panel.prices[:, 0], np.arange(1.0, 7.0)):
        raise Leak("a candle was joined by its close, which is the next step's price")
    first, high, last = np.arange(1.0, 6.0), np.arange(9.0, 14.0), np.arange(2.0, 7.0)
    expected = [np.nan, *candles.garman_klass(first, high, first, last)]
    if panel.realised is None or not np.array_equal(panel.realised[:, 0], expected, equal_nan=True):
        raise Leak("what an hour realised was known before the hour had closed")


def all_inputs_agree(subject: Subject) -> None:
    """Training, back-test and live serving put the same bits into the network."""
    recipe, cutoff, row = subject.forecaster.recipe, subject.cutoff, subject.row
    live = subject.forecaster.forecast(subject.panel, cutoff=cutoff)
    able = [coin for coin, found in live.items() if isinstance(found, CoinForecast)]
    columns = np.array([subject.panel.coins.index(coin) for coin in able], dtype=np.int64)
    rows = Rows(np.full(len(able), row), columns)
    for built in (
        training.build_features(subject.panel.until(cutoff), recipe),
        backtest.build_features(subject.panel, recipe),
    ):
        hashes = serving.inputs_hashes(built, rows, recipe)
        if hashes != [found.inputs_hash for found in live.values() if isinstance(found, CoinForecast)]:
            raise Leak("training, back-test and live serving compute different inputs")


Check = Callable[[Subject], None]
CHECKS: tuple[Check, ...] = (
    later_prices_change_no_features,
    later_prices_change_no_forecast,
    later_prices_change_no_back_test,
    horizons_end_on_their_dates,
    windows_end_on_their_dates,
    training_ends_at_the_cutoff,
    scales_see_training_rows_only,
    gaps_are_filled_from_the_past,
    an_unfinished_step_is_left_out,
    a_candle_is_joined_by_its_opening,
    all_inputs_agree,
)


def run_checks(subject: Subject) -> Iterator[tuple[Check, Leak | None]]:
    """Every check with the leak that it found, or None."""
    for check in CHECKS:
        try:
            check(subject)
        except Leak as leak:
            yield check, leak
        else:
            yield check, None


def simulated_panel(*, days: int = 400, coins: int = 6) -> Panel:
    """A market to check on without any data: daily, with clustered volatility, a dead coin and short gaps."""
    random = np.random.default_rng(5)
    calm = np.cumsum(random.standard_normal((days, coins)) * 0.1, axis=0) * 0.3
    moves = 0.03 * np.exp(np.clip(calm, -1, 1)) * random.standard_t(5, (days, coins))
    prices = 100 * np.exp(np.cumsum(moves, axis=0))
    prices[days - 40 :, -1] = np.nan
    prices[days // 2 : days // 2 + 2, 1] = np.nan
    names = ["bitcoin", *(f"coin-{n}" for n in range(1, coins))]
    return Panel(np.datetime64("2023-01-01", "D") + np.arange(days), names, prices)


def _same_bits(first: Any, second: Any, what: str) -> None:
    if first.shape != second.shape or first.tobytes() != second.tobytes():
        raise Leak(f"{what} up to a cutoff changed with prices after it")
