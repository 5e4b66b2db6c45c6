"""The bare products of P12 are those of the network that ships."""

from pathlib import Path

from django.conf import settings

from bench.p12_forecasts import towers_of
from predictions.forecasting.artifact import read_artifact


def test_it_finds_the_matrices_of_every_tower() -> None:
    files = read_artifact(Path(settings.STARTER_MODEL_DIR))
    towers = towers_of(files)
    assert len(towers) == files.recipe.towers == 3
    assert [matrix.shape for matrix in towers[0]] == [(3, 64), (16, 64), (16, 9), (25, 9)]
