"""The matrix's world, made once for all its tests, and the number of its cells for the report at the end."""

from collections.abc import Callable, Iterator

import pytest
from django.conf import settings as django_settings
from django.core.cache import cache
from django.db import transaction
from pytest_django import DjangoDbBlocker, Settings

from cryptopredict.tests.access.world import World

Cells = Callable[[int], None]


@pytest.fixture(scope="module")
def db(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """One transaction for all tests of a module, rolled back at the end: no job of theirs is ever queued for real."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture(scope="module")
def world(db: None, tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("models"))


@pytest.fixture(autouse=True)
def no_limits(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nobody is refused for asking often; what is counted or kept lies in this process alone."""
    rates = dict.fromkeys(settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"], "1000000/min")
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": rates}
    settings.CACHES = {**settings.CACHES, "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    if not django_settings.REDIS_URL:
        settings.SHARED_STATE_PATH = tmp_path_factory.mktemp("state") / "state.sqlite3"
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def cells(request: pytest.FixtureRequest) -> Cells:
    """Notes how many cells of the matrix a test went through."""
    return lambda number: request.node.user_properties.append(("cells", number))
