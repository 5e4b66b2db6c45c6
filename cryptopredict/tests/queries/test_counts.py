"""How often the database is asked for one request: as often for a thousand rows as for one, and seldom."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib import admin
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings
from rest_framework_simplejwt.tokens import AccessToken

from accounts.models import User
from cryptopredict.tests.access.world import PASSWORD, World
from cryptopredict.tests.queries import addresses
from cryptopredict.tests.queries.rows import FILLED, Rows

MANY = 1_000
MOST_FOR_A_READ = 6  # of the API
# What asks more often than that, and why; it lists nothing that grows with the market.
DEARER = {
    "/api/v1/auth/me/export/": 12,  # each table that holds something of a person's
}

Ask = Callable[[str], Any]
Counts = dict[str, int]


def test_no_page_of_the_site_is_forgotten() -> None:
    named = {*addresses.PAGES, *addresses.ACTIONS, *addresses.WITHOUT_LISTS}
    assert set(addresses.names_of_pages()) == named


def test_no_list_of_the_admin_is_forgotten() -> None:
    assert set(admin.site._registry) - FILLED == set()


@pytest.mark.slow
@pytest.mark.django_db
def test_it_asks_as_often_for_a_thousand_rows_as_for_one(tmp_path: Path, settings: Settings) -> None:
    settings.CACHES = {**settings.CACHES, "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    if not django_settings.REDIS_URL:
        settings.SHARED_STATE_PATH = tmp_path / "state.sqlite3"
    rates = dict.fromkeys(settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"], "1000000/min")
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": rates}
    world = World(tmp_path)
    owner = world.people["owner"]
    owner.is_staff = owner.is_superuser = True
    owner.save()
    Rows(world, first=0, count=1).fill()
    reads, api = addresses.api_reads(world), api_of(owner)
    pages, site = addresses.pages(world), site_of(owner)
    public = [address for address in pages if Client().get(address).status_code == 200]
    lists = addresses.admin_lists(owner)
    for ask, found in ((api, reads), (site, pages), (site, [one for one in lists if "?" not in one])):
        for address in found:
            ask(address)  # so that nothing is counted which a process asks once only

    few = [counted(api, reads), counted(site, pages), counted(Client().get, public), counted(site, lists)]
    Rows(world, first=1, count=MANY).fill()
    many = [counted(api, reads), counted(site, pages), counted(Client().get, public), counted(site, lists)]

    grown = [
        f"{address} asks {before[address]} times for one row and {after[address]} times for {MANY}"
        for before, after in zip(few, many, strict=True)
        for address in after
        if after[address] > before[address]
    ]
    assert not grown, "\n".join(grown)
    kept = counted(api, reads, is_cold=False)
    dear = {address: count for address, count in kept.items() if count > MOST_FOR_A_READ}
    assert dear == DEARER


def api_of(user: User) -> Ask:
    client = Client(headers={"Authorization": f"Bearer {AccessToken.for_user(user)}"})
    return client.get


def site_of(user: User) -> Ask:
    """The pages, for somebody who signed in and has just typed the password once more."""
    client = Client()
    client.force_login(user)
    client.post("/account/confirm/", {"password": PASSWORD, "next": "/account/"})
    return client.get


def counted(ask: Ask, found: list[str], *, is_cold: bool = True) -> Counts:
    """How many queries each address takes; a refusal would take few, so there must be none.

    With `is_cold`, nothing that an earlier request worked out is kept; else the same was asked just before.
    """
    counts, refused = {}, {}
    for address in found:
        if is_cold:
            cache.clear()
        else:
            read(ask(address))
        with CaptureQueriesContext(connection) as queries:
            answer = read(ask(address))
        counts[address] = len(queries)
        if answer.status_code != 200:
            refused[address] = answer.status_code
    assert refused == {}
    return counts


def read(answer: Any) -> Any:
    """The answer, after its end was read: a download asks while it is sent."""
    if answer.streaming:
        list(answer.streaming_content)
    return answer
