"""P7: the market list from the cache, and the 304 of who has it, against a view that only gives out the bytes."""

from collections.abc import Iterator
from functools import partial

from bench.http import Connection, request
from bench.measuring import ROUNDS, Result, at_least, rates_of
from bench.p6_list import LIST, fill_coins
from bench.peers.bare import BYTES_IN
from bench.servers import installation, start_ours

EACH = 40


def run() -> Iterator[Result]:
    fill_coins()
    with installation() as made:
        file = made.folder / "bytes"
        environment = {BYTES_IN: str(file), "DJANGO_SETTINGS_MODULE": "bench.peers.bare_settings"}
        line = Connection(start_ours(made, environment=environment))
        list_request = request("GET", LIST)
        answer = line.send(list_request)
        file.write_bytes(answer.body)
        if line.send(request("GET", "/bench/bytes/")).body != answer.body:
            raise RuntimeError("The bare view does not give out the same bytes.")
        held = request("GET", LIST, headers={"If-None-Match": answer.header("etag")})
        sides = [
            partial(line.timed, list_request),
            partial(line.timed, held, 304),
            partial(line.timed, request("GET", "/bench/bytes/")),
            partial(line.timed, request("GET", "/bench/304/"), 304),
        ]
        hit, unchanged, bare, bare_304 = rates_of(sides, each=EACH)
    for goal, id, what, ours, reference in (
        (0.4, "P7", "market list, cache hit", hit, bare),
        (0.6, "P7-304", "market list, 304", unchanged, bare),
        (0.6, "P7-304-bare", "the same against a bare 304", unchanged, bare_304),
    ):
        yield at_least(goal, id=id, what=what, ours=ours, reference=reference, unit="1/s", runs=ROUNDS)
