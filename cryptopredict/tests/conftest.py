"""Fixtures for the tests of processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cryptopredict.tests.processes import Installation


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """The product in embedded mode in a folder of its own, migrated."""
    made = Installation(tmp_path)
    made.migrate()
    yield made
    made.stop()
