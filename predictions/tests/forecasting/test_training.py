"""Training: what it may look at, what it refuses, and what the trained network gives back."""

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from predictions.forecasting.artifact import ArtifactError, read_artifact
from predictions.forecasting.baselines import fhs
from predictions.forecasting.features import build_features, feature_names, step_names
from predictions.forecasting.recipe import DAILY, HOURLY, LINEAR, Recipe
from predictions.forecasting.series import Panel, dataset_hash
from predictions.forecasting.serving import BandNetwork, CoinForecast, load
from predictions.forecasting.training import NotEnoughData, Trained, fit_scale, save, train, training_set
from predictions.forecasting.windows import WindowReader, eligible_rows

from .simulate import day, market, with_prices

CUTOFF_ROW = 380


@pytest.fixture(scope="module")
def wide_panel() -> Panel:
    return market(days=400, coins=10, seed=2)


def test_it_trains_only_on_targets_that_ended_by_the_cutoff(wide_panel: Panel) -> None:
    past = wide_panel.until(day(wide_panel, CUTOFF_ROW))
    found = training_set(build_features(past), DAILY)
    for h, horizon in enumerate(DAILY.horizons):
        known = np.isfinite(found.standardised[:, h])
        assert found.rows.days[known].max() == CUTOFF_ROW - horizon
    assert np.isfinite(found.standardised).any(axis=1).all()


def test_it_divides_targets_by_the_scale_of_their_own_day(wide_panel: Panel) -> None:
    features = build_features(wide_panel)
    found = training_set(features, DAILY)
    i, h = 1234, DAILY.horizons.index(7)
    t, coin = found.rows.days[i], found.rows.coins[i]
    y = np.log(wide_panel.prices[t + 7, coin] / wide_panel.prices[t, coin])
    assert found.standardised[i, h] == pytest.approx(y / (features.sigma[t, coin] * 7**0.5))


def test_it_pools_quantiles_of_the_last_years_only(wide_panel: Panel) -> None:
    found = training_set(build_features(wide_panel), DAILY)
    brief = replace(DAILY, scale_years=100 / 365.25)
    z, rows = fit_scale(found, brief, last_day=399)
    recent = found.rows.days > 299
    assert rows == recent.sum() < len(found.rows)
    np.testing.assert_allclose(z[0], np.nanquantile(found.standardised[recent, 0], DAILY.levels))


def test_it_leans_on_the_starting_quantiles_for_years_it_has_not_seen(wide_panel: Panel, starter_folder: Path) -> None:
    found = training_set(build_features(wide_panel), DAILY)
    start = read_artifact(starter_folder)
    own, _ = fit_scale(found, DAILY, last_day=399)
    mixed, _ = fit_scale(found, DAILY, last_day=399, start=start)
    share = len(np.unique(found.rows.days)) / round(4 * 365.25)
    assert 0.2 < share < 0.22
    np.testing.assert_allclose(mixed, share * own + (1 - share) * start.z)


@pytest.mark.parametrize(("days", "coins"), [(60, 10), (208, 25), (300, 2)])
def test_it_refuses_too_short_a_history(days: int, coins: int) -> None:
    panel = market(days=days, coins=coins)
    with pytest.raises(NotEnoughData, match=r"of 90 dates and \d+ of 1000 rows"):
        train(panel, cutoff=panel.last_date)


def test_it_accepts_a_year_of_twenty_five_coins() -> None:
    found = training_set(build_features(market(days=365, coins=25)), DAILY)
    assert len(found.rows) > 6_000


def test_it_keeps_a_recipe_through_json() -> None:
    assert Recipe.from_dict(DAILY.as_dict()) == DAILY
    with pytest.raises(TypeError):
        Recipe.from_dict(DAILY.as_dict() | {"lambda": 1})


@dataclass(frozen=True)
class Fit:
    panel: Panel
    trained: Trained
    folder: Path
    sha256: str
    told: list[tuple[float, float]]


@pytest.fixture(scope="module")
def fitted(wide_panel: Panel, tmp_path_factory: pytest.TempPathFactory) -> Fit:
    told: list[tuple[float, float]] = []
    trained = train(wide_panel, cutoff=day(wide_panel, CUTOFF_ROW), progress=lambda *now: told.append(now))
    folder = tmp_path_factory.mktemp("trained") / "model"
    return Fit(wide_panel, trained, folder, save(trained, folder, extra={"site": "test"}, card="# Card"), told)


def keras_quantiles(trained: Trained, panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    """The Keras network's and the ONNX graph's answers for 500 rows."""
    from predictions.forecasting import network

    features = build_features(panel)
    rows = eligible_rows(features, window=DAILY.window).take(np.arange(500))
    steps = WindowReader(features, DAILY.window).read(rows)
    last = features.last[rows.days, rows.coins]
    model = network.build_network(trained.recipe, trained.z, step_features=3, features=last.shape[1])
    model.set_weights([trained.weights[variable.path] for variable in model.weights])
    inputs = [steps, last] if len(model.inputs) > 1 else [last]
    return model(inputs, training=False).numpy(), BandNetwork(trained.onnx, trained.recipe).run(steps, last)


@pytest.mark.slow
def test_it_reports_its_progress_and_loss_while_it_trains(fitted: Fit) -> None:
    shares = [share for share, _ in fitted.told]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert {0.25, 0.5, 0.75, 1} <= set(shares)
    assert [round(loss, 6) for share, loss in fitted.told if share % 0.25 == 0] == fitted.trained.metrics["losses"]


@pytest.mark.slow
def test_it_goes_on_after_a_kill_and_ends_with_the_same_weights(fitted: Fit, tmp_path: Path) -> None:
    def kill(share: float, _: float) -> None:
        if share > 0.6:
            raise KeyboardInterrupt

    panel, cutoff = fitted.panel, fitted.trained.cutoff
    with pytest.raises(KeyboardInterrupt):
        train(panel, cutoff=cutoff, progress=kill, checkpoints=tmp_path)
    told: list[float] = []
    resumed = train(panel, cutoff=cutoff, progress=lambda share, _: told.append(share), checkpoints=tmp_path)
    assert min(told) > 0.5
    assert resumed.metrics["losses"] == fitted.trained.metrics["losses"]
    for name, array in fitted.trained.weights.items():
        assert resumed.weights[name].tobytes() == array.tobytes(), name
    other = train(panel, cutoff=cutoff, seed=8, checkpoints=tmp_path, progress=lambda share, _: told.append(-share))
    assert -1 <= min(told) < max(share for share in told if share < 0) > -0.3
    assert other.metrics["losses"] != resumed.metrics["losses"]


@pytest.mark.slow
def test_it_has_the_size_of_the_recipe(fitted: Fit) -> None:
    assert fitted.trained.metrics["parameters"] == DAILY.towers * (1595 + 8 * 9)


@pytest.mark.slow
def test_its_towers_are_averaged_in_the_log_of_the_width() -> None:
    from predictions.forecasting import network

    recipe, z = replace(DAILY, towers=3, dropout=0.0), np.outer(np.arange(1.0, 10), np.arange(-6.0, 7))
    random = np.random.default_rng(5)
    model = network.build_network(recipe, z, step_features=3, features=4)
    model.set_weights([random.normal(0, 0.2, variable.shape) for variable in model.weights])
    inputs = [random.normal(size=(20, 60, 3)).astype("f4"), random.normal(size=(20, 4)).astype("f4")]
    own = network.by_tower(model, recipe)(inputs).numpy()
    widths = [np.log(own[:, tower, :, -1] / z[:, -1]) for tower in range(3)]
    assert np.abs(widths[0] - widths[2]).max() > 0.1
    expected = z * np.exp(np.mean(widths, axis=0))[:, :, None]
    np.testing.assert_allclose(model(inputs).numpy(), expected, rtol=1e-4)


@pytest.mark.slow
def test_each_tower_learns_as_it_would_alone() -> None:
    from predictions.forecasting import network

    random = np.random.default_rng(6)

    def normal(*shape: int) -> np.ndarray:
        return random.normal(size=shape).astype(np.float32)

    batches = [(normal(64, 60, 3), normal(64, 4), normal(64, 9), np.ones(64, np.float32)) for _ in range(3)]
    z = np.outer(np.ones(9), np.arange(-6.0, 7)) / 4
    pair = network.build_network(
        many := replace(DAILY, towers=2, dropout=0.0, epochs=1), z, step_features=3, features=4
    )
    alone = network.build_network(one := replace(many, towers=1), z, step_features=3, features=4)
    before = {variable.path: variable.numpy() for variable in pair.weights}
    alone.set_weights([before[variable.path] for variable in alone.weights])
    trainers = [network.Trainer(pair, many, epoch_steps=3), network.Trainer(alone, one, epoch_steps=3)]
    for batch in batches:
        for trainer in trainers:
            trainer.step(batch)
    after = {variable.path: variable.numpy() for variable in pair.weights}
    for variable in alone.weights:
        np.testing.assert_allclose(after[variable.path], variable.numpy(), atol=1e-6, err_msg=variable.path)
    assert np.abs(after["lstm_head_2/kernel"] - after["lstm_head/kernel"]).max() > 1e-4
    assert np.abs(after["lstm/lstm_cell/kernel"] - before["lstm/lstm_cell/kernel"]).max() > 1e-4


def rows_with_and_without_candles(count: int, recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    """Steps (B, 72, 5) and features (B, F) drawn at random; every second row says that its candles are known."""
    random = np.random.default_rng(7)
    steps = random.normal(size=(count, recipe.window, len(step_names(recipe)))).astype(np.float32)
    last = random.normal(size=(count, len(feature_names(recipe)))).astype(np.float32)
    last[:, -1] = np.arange(count) % 2
    return steps, last


CANDLES_RECIPE = replace(HOURLY, lstm_units=4, dropout=0.0, epochs=1)
CANDLES_Z = np.outer(np.ones(8), np.arange(-6.0, 7)) / 4


@pytest.mark.slow
def test_a_row_without_candles_is_answered_by_the_tower_that_sees_none() -> None:
    from predictions.forecasting import network

    recipe = CANDLES_RECIPE
    steps, last = rows_with_and_without_candles(20, recipe)
    model = network.build_network(recipe, CANDLES_Z, step_features=5, features=last.shape[1])
    random = np.random.default_rng(5)
    model.set_weights([random.normal(0, 0.2, variable.shape) for variable in model.weights])
    other_steps, other_last = steps.copy(), last.copy()
    other_steps[:, :, 3:] += 1
    other_last[:, -1 - 5 : -1] += 1  # five columns of candles, and the flag
    first = model([steps, last]).numpy()
    second = model([other_steps, other_last]).numpy()
    np.testing.assert_array_equal(first[::2], second[::2])
    assert (np.abs(first[1::2] - second[1::2]).max(axis=(1, 2)) > 1e-3).all()
    plain, candles = network.by_tower(model, recipe)([steps, last]).numpy().transpose(1, 0, 2, 3)
    np.testing.assert_allclose(first[::2], plain[::2], rtol=1e-5)
    np.testing.assert_allclose(first[1::2], candles[1::2], rtol=1e-5)


@pytest.mark.slow
def test_the_tower_of_candles_learns_from_rows_that_have_them_and_changes_no_other() -> None:
    from predictions.forecasting import network

    recipe = CANDLES_RECIPE
    steps, last = rows_with_and_without_candles(64, recipe)
    target = np.random.default_rng(8).normal(size=(64, 8)).astype(np.float32)
    elsewhere = target.copy()
    elsewhere[::2] *= 9  # rows without candles
    unknown = last.copy()
    unknown[:, -1] = 0
    found = []
    for columns, goals in ((last, target), (last, elsewhere), (unknown, target)):
        network.seed_everything(3)
        model = network.build_network(recipe, CANDLES_Z, step_features=5, features=last.shape[1])
        trainer = network.Trainer(model, recipe, epoch_steps=3)
        losses = [trainer.step((steps, columns, goals, np.ones(64, np.float32))) for _ in range(3)]
        found.append(({variable.path: variable.numpy() for variable in model.weights}, losses))
    (known, told), (moved, _), (without, told_without) = found
    assert told[0] == told_without[0]  # all towers begin at z
    assert told[2] != told_without[2]
    candles = {name for name in known if "candles" in name}
    assert len(candles) == len(known) / 2
    for name, array in known.items():
        if name in candles:
            assert array.tobytes() == moved[name].tobytes(), name
        else:
            assert array.tobytes() == without[name].tobytes(), name
    assert any(array.tobytes() != moved[name].tobytes() for name, array in known.items() if name not in candles)
    assert any(array.tobytes() != without[name].tobytes() for name, array in known.items() if name in candles)


@pytest.mark.slow
def test_it_answers_alike_through_onnx_and_keras(fitted: Fit) -> None:
    by_keras, by_onnx = keras_quantiles(fitted.trained, fitted.panel)
    assert np.abs(by_keras - by_onnx).max() <= 1e-5
    assert np.abs(by_onnx - fitted.trained.z).max() > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [DAILY, LINEAR], ids=lambda recipe: recipe.name)
@pytest.mark.parametrize("symmetric", [False, True], ids=["as pooled", "symmetric"])
def test_it_equals_fhs_before_training(wide_panel: Panel, recipe: Recipe, *, symmetric: bool) -> None:
    cutoff = day(wide_panel, CUTOFF_ROW)
    recipe = replace(recipe, epochs=0, symmetric=symmetric)
    untrained = train(wide_panel, cutoff=cutoff, recipe=recipe)
    features = build_features(wide_panel)
    rows = eligible_rows(features, first_day=CUTOFF_ROW, window=DAILY.window)
    found = BandNetwork(untrained.onnx, recipe).log_quantiles(features, rows, untrained.scale)
    expected = fhs(features.sigma[rows.days, rows.coins], untrained.z)
    if symmetric:
        expected = (expected - expected[:, :, ::-1]) / 2
    assert np.abs(found - expected).max() <= 1e-5


@pytest.mark.slow
def test_its_bands_lean_neither_up_nor_down(fitted: Fit) -> None:
    found = keras_quantiles(fitted.trained, fitted.panel)[1]
    assert np.abs(found[:, :, 6]).max() == 0
    np.testing.assert_allclose(found, -found[:, :, ::-1], atol=1e-6)
    assert np.abs(fitted.trained.z[:, 6]).max() > 1e-3


@pytest.mark.slow
def test_it_repeats_itself_and_never_looks_beyond_the_cutoff(fitted: Fit) -> None:
    changed = fitted.panel.prices.copy()
    changed[CUTOFF_ROW + 1 :] *= np.random.default_rng(3).uniform(0.2, 5, changed[CUTOFF_ROW + 1 :].shape)
    again = train(with_prices(fitted.panel, changed), cutoff=fitted.trained.cutoff)
    assert again.z.tobytes() == fitted.trained.z.tobytes()
    for name, array in fitted.trained.weights.items():
        assert again.weights[name].tobytes() == array.tobytes(), name
    other = train(fitted.panel, cutoff=fitted.trained.cutoff, seed=8)
    assert other.weights["lstm_head/kernel"].tobytes() != fitted.trained.weights["lstm_head/kernel"].tobytes()


@pytest.mark.slow
def test_it_saves_what_it_was_trained_on(fitted: Fit) -> None:
    manifest = load(fitted.folder, expected_sha256=fitted.sha256).manifest
    assert date.fromisoformat(manifest["cutoff"]) == day(fitted.panel, CUTOFF_ROW)
    assert manifest["dataset_sha256"] == dataset_hash(fitted.panel.until(fitted.trained.cutoff))
    assert manifest["seed"] == 7
    assert manifest["extra"] == {"site": "test"}
    assert manifest["training_rows"] == fitted.trained.metrics["rows"] > 2_000
    assert set(manifest["files"]) == {"model.onnx", "weights.npz", "z.json", "card.md"}
    assert {"numpy", "tensorflow", "keras", "onnxruntime", "python"} <= set(manifest["versions"])


@pytest.mark.slow
def test_it_serves_what_it_trained(fitted: Fit) -> None:
    cutoff = day(fitted.panel, 399)
    served = load(fitted.folder).forecast(fitted.panel, cutoff=cutoff)["coin-07"]
    assert isinstance(served, CoinForecast)
    features = build_features(fitted.panel)
    rows = eligible_rows(features, first_day=399, window=DAILY.window)
    expected = BandNetwork(fitted.trained.onnx, DAILY).log_quantiles(features, rows, fitted.trained.scale)[7]
    np.testing.assert_allclose(served.log_quantiles, expected, rtol=1e-6)


@pytest.mark.slow
def test_it_goes_on_from_a_saved_forecaster(fitted: Fit) -> None:
    untouched = replace(DAILY, epochs=0)
    panel, cutoff = fitted.panel, fitted.trained.cutoff
    resumed = train(panel, cutoff=cutoff, recipe=untouched, initial=fitted.folder)
    assert resumed.started_from == fitted.sha256
    for name, array in fitted.trained.weights.items():
        assert resumed.weights[name].tobytes() == array.tobytes(), name
    with pytest.raises(ValueError, match="another recipe"):
        train(panel, cutoff=cutoff, recipe=LINEAR, initial=fitted.folder)


def test_it_refuses_to_go_on_from_a_damaged_forecaster(wide_panel: Panel, copied_starter: Path) -> None:
    (copied_starter / "weights.npz").write_bytes(b"")
    with pytest.raises(ArtifactError, match=r"weights\.npz"):
        train(wide_panel, cutoff=day(wide_panel, CUTOFF_ROW), initial=copied_starter)
