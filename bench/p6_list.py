"""P6: the market list worked out anew, against what a user would pick instead of it."""

import json
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Any

from django.db import connection

from bench.http import Connection, request
from bench.market import COINS, coin_ids
from bench.measuring import ROUNDS, Result, at_least, rates_of
from bench.servers import installation, start_drf, start_fastapi, start_ours

LIST = "/api/v1/cryptocurrencies/?page_size=100"
# Answers to free parameters are not shared but worked out for each caller: all coins have a price above 0.
OURS = f"{LIST}&min_price=0"
PEERS = "/coins/?page_size=100"


def run() -> Iterator[Result]:
    fill_coins()
    with installation() as made:
        ours, drf, fastapi = (Connection(start(made)) for start in (start_ours, start_drf, start_fastapi))
        lines = [(ours, request("GET", OURS)), (drf, request("GET", PEERS)), (fastapi, request("GET", PEERS))]
        check_same([line.send(message).body for line, message in lines])
        rates = rates_of([partial(line.timed, message) for line, message in lines])
    for id, what, goal, peer in (
        ("P6", "market list, DRF", 3, rates[1]),
        ("P6-FastAPI", "market list, FastAPI", 1.5, rates[2]),
    ):
        yield at_least(goal, id=id, what=what, ours=rates[0], reference=peer, unit="1/s", runs=ROUNDS)


def fill_coins() -> None:
    """Gives the 5,000 coins all fourteen figures."""
    coin_ids()
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE markets_cryptocurrency SET price_usd = 1e5 / (id + 0.7), market_cap_usd = 1e12 / (id + 0.3),"
            " volume_24h_usd = 1e10 / (id + 0.9), change_1h_percent = sin(id), change_24h_percent = 3 * sin(id),"
            " change_7d_percent = 9 * sin(id), is_tracked = true, price_at = now()"
        )
        cursor.execute("VACUUM (ANALYZE) markets_cryptocurrency")


def check_same(bodies: list[bytes]) -> None:
    """Raises RuntimeError unless all answers mean the same: as many coins in all, and the same rows."""
    first, *others = (meaning(json.loads(body)) for body in bodies)
    if any(other != first for other in others):
        raise RuntimeError("The peers' answers do not mean the same as ours.")
    if (first[0], len(first[1])) != (COINS, 100):
        raise RuntimeError(f"{len(first[1])} of {first[0]} coins were answered.")


def meaning(page: dict[str, Any]) -> tuple[int, list[dict[str, Any]]]:
    """What a page says whatever its wording: the number of all coins and the rows, their times as times."""
    rows = [{**row, "as_of": datetime.fromisoformat(row["as_of"])} for row in page["results"]]
    return page["count"], rows
