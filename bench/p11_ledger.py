"""P11: the page of the ledger that holds its 100,000th forecast, against its first page."""

import json
from collections.abc import Iterator
from functools import partial

from bench.http import Connection, request
from bench.ledger import fill_ledger
from bench.measuring import ROUNDS, Result, at_most, rates_of
from bench.servers import installation, start_ours

DEEP = 100_000
ROWS = DEEP + 5000
STEP = 250
PAGE = 50
PATH = "/api/v1/predictions/"


def run() -> Iterator[Result]:
    fill_ledger(ROWS)
    with installation() as made:
        line = Connection(start_ours(made))
        deep = path_at(line, DEEP)
        sides = [partial(line.timed, request("GET", path)) for path in (f"{PATH}?page_size={PAGE}", deep)]
        first, far = (1000 / rate for rate in rates_of(sides))
    yield at_most(1.2, id="P11", what=f"item {DEEP:,} of the ledger", ours=far, reference=first, unit="ms", runs=ROUNDS)


def path_at(line: Connection, item: int) -> str:
    """The address of the page that holds the item, found as a client finds it: from page to page."""
    path = f"{PATH}?page_size={STEP}"
    for _ in range(item // STEP - 1):
        path = next_of(line, path)
    path = next_of(line, path).replace(f"page_size={STEP}", f"page_size={PAGE}")
    newest = json.loads(line.send(request("GET", path)).body)["results"][0]["chain"]["sequence"]
    if newest != ROWS - item:
        raise RuntimeError(f"The page begins with forecast {newest}, not {ROWS - item}.")
    return path


def next_of(line: Connection, path: str) -> str:
    found: str = json.loads(line.send(request("GET", path)).body)["next"]
    return found[found.index("/api/") :]
