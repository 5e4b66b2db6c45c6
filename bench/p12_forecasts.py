"""P12: forecasts for 1,000 coins at once, against the same layers as bare matrix products and against Keras."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from bench.forecasting import DAY, FIRST, clear, closes, serving, store
from bench.measuring import Result, at_least, at_most, interleaved, seconds_of
from predictions.forecasting.artifact import Artifact
from predictions.forecasting.features import STEP_FEATURES, build_features
from predictions.forecasting.serving import BandNetwork
from predictions.forecasting.windows import Rows, WindowReader
from predictions.issuing import issue_forecasts
from predictions.scoring import score_due_forecasts

COINS, HISTORY = 1_000, 365  # the history that a free plan gives
RUNS = 5
ONE_BY_ONE = 10  # forecasts by `predict`, one call each; a thousand would take a minute
ISSUED = timedelta(minutes=20)

Floats = NDArray[np.float32]


def run() -> Iterator[Result]:
    panel = closes(COINS, HISTORY + RUNS + 1)
    store(panel)
    _, files = serving()
    features = build_features(panel, files.recipe)
    rows = Rows(np.full(COINS, len(panel.dates) - 1), np.arange(COINS))
    steps = WindowReader(features, files.recipe.window).read(rows)
    last = features.last[rows.days, rows.coins]
    network = BandNetwork(files.onnx, files.recipe)
    today = iter(datetime.combine(FIRST, datetime.min.time(), UTC) + (HISTORY + n) * DAY for n in range(RUNS + 1))

    def whole() -> float:
        midnight = next(today)
        score_due_forecasts(now=midnight)
        seconds = seconds_of(lambda: _issue(midnight + ISSUED))
        return seconds

    products = bare_products(files, steps, last)
    keras_predict = _predict_one_by_one(files, steps, last)
    bare, call, all_of_it, one_by_one = interleaved(
        lambda: seconds_of(products),
        lambda: seconds_of(lambda: network.run(steps, last)),
        whole,
        lambda: seconds_of(keras_predict) * COINS / ONE_BY_ONE,
        runs=RUNS,
    )
    milliseconds = [1000 * seconds for seconds in (bare, call, all_of_it, one_by_one)]
    for id, what, limit, ours in (
        ("P12", "model call for 1,000 coins", 4, milliseconds[1]),
        ("P12-issue", "read, scale, calibrate, forecast, freeze", 20, milliseconds[2]),
    ):
        yield at_most(limit, id=id, what=what, ours=ours, reference=milliseconds[0], unit="ms", runs=RUNS)
    rates = (COINS / call, COINS / one_by_one)
    yield at_least(
        300, id="P12-predict", what="against predict per coin", ours=rates[0], reference=rates[1],
        unit="coins/s", runs=RUNS,
    )  # fmt: skip
    clear()


def _issue(now: datetime) -> None:
    done = issue_forecasts(now=now)
    if done.coins != COINS or done.forecasts != COINS * 9:
        raise RuntimeError(f"{done.forecasts} forecasts of {done.coins} coins were issued.")


def bare_products(files: Artifact, steps: Floats, last: Floats):  # type: ignore[no-untyped-def]
    """The matrix products of every layer and step of every tower, and nothing else: no activation, no bias, no gate."""
    towers = towers_of(files)
    by_step = np.ascontiguousarray(steps.transpose(1, 0, 2))
    state = np.zeros((len(steps), files.recipe.lstm_units), np.float32)

    def work() -> None:
        for inputs, recurrent, head, linear in towers:
            for step in by_step:
                step @ inputs
                state @ recurrent
            state @ head
            last @ linear

    return work


def towers_of(files: Artifact) -> list[tuple[Floats, Floats, Floats, Floats]]:
    """Each tower's matrices: of the inputs, of the state, of the LSTM's head, of the linear head."""

    def all_of(start: str, end: str) -> list[Floats]:
        return [array for name, array in files.weights.items() if re.fullmatch(rf"{start}(_\d+)?/{end}", name)]

    inputs, recurrent = all_of("lstm", "lstm_cell/kernel"), all_of("lstm", "lstm_cell/recurrent_kernel")
    towers = list(zip(inputs, recurrent, all_of("lstm_head", "kernel"), all_of("linear_head", "kernel"), strict=True))
    if len(towers) != files.recipe.towers:
        raise RuntimeError(f"{len(towers)} of {files.recipe.towers} towers were found in the weights.")
    return towers


def _predict_one_by_one(files: Artifact, steps: Floats, last: Floats):  # type: ignore[no-untyped-def]
    from predictions.forecasting.network import build_network

    model = build_network(files.recipe, files.z, step_features=len(STEP_FEATURES), features=last.shape[1])
    model.set_weights([files.weights[variable.path] for variable in model.weights])

    def work() -> None:
        for number in range(ONE_BY_ONE):
            model.predict([steps[number : number + 1], last[number : number + 1]], verbose=0)

    return work
