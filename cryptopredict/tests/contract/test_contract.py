"""Every operation keeps to the document: no 5xx, no answer outside its schema, no invalid input accepted.

CONTRACT_EXAMPLES sets how many requests are drawn for each operation; `make test-contract EXAMPLES=500` tries long.
"""

import json
import os
import re
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
import yaml

from cryptopredict.tests.contract import run
from cryptopredict.tests.contract.run import Outcome
from cryptopredict.tests.servers import ServerMissing, running_postgres, running_redis

pytestmark = [pytest.mark.contract, pytest.mark.slow, pytest.mark.postgres, pytest.mark.redis]

EXAMPLES = int(os.environ.get("CONTRACT_EXAMPLES", "25"))
# Operations that no request of a test can get past, with the reason.
NEVER_ACCEPTED: dict[str, str] = {}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """On servers of its own: jobs stay in the queues, which other tests count."""
    try:
        with (
            running_postgres() as postgres,
            running_redis() as redis,
            run.serving(tmp_path_factory.mktemp("site"), postgres.url, redis.url) as served,
        ):
            yield served
    except ServerMissing as problem:
        pytest.fail(str(problem), pytrace=False)


def test_it_keeps_to_the_document(
    site: tuple[str, Path], tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    url, credentials = site
    for options in (["--phases", "examples,coverage,fuzzing"], *stateful_rounds()):
        outcome = run.try_contract(
            url=url, credentials=credentials, folder=tmp_path, examples=EXAMPLES, options=options
        )
        assert outcome.exit_code == 0, outcome.report
    record_property("contract", summary(outcome))
    names = set(run.operations())
    assert {call["operation"] for call in outcome.calls} == names
    assert names - outcome.accepted() == set(NEVER_ACCEPTED), "no request of these was ever accepted"
    assert set(outcome.cases()) >= {"examples", "coverage", "fuzzing", "stateful"}


def stateful_rounds() -> list[list[str]]:
    """Chains depend on what the site holds by then, and Hypothesis gives a round up when a replay finds it changed."""
    return [["--phases", "stateful", "--seed", str(seed)] for seed in range(max(6, EXAMPLES // 5))]


def summary(outcome: Outcome) -> str:
    phases = ", ".join(f"{number:,} {name}" for name, number in sorted(outcome.cases().items()))
    return f"{len(run.operations())} operations, {len(outcome.calls):,} requests: {phases}"


NASTY = ['"a\\u0000b"', '"\\ud800"', "1" + "0" * 30, '"' + "a" * 100_000 + '"', "[" * 2000 + "]" * 2000]


def test_it_takes_nothing_nasty_in_any_field_or_parameter(site: tuple[str, Path]) -> None:
    """What schemathesis does not draw: NULs, halves of surrogate pairs, endless numbers, texts and brackets."""
    url, credentials = site
    tried, wrong = 0, []
    for case in nasty_cases(json.loads(credentials.read_text())):
        answer = requests.request(case.method, url + case.path, data=case.body, headers=case.headers, timeout=30)
        tried += 1
        if not 400 <= answer.status_code < 500 or answer.json()["error"]["code"] in {"internal_error", "throttled"}:
            wrong.append((case.name, case.method, case.path[:200], (case.body or b"")[:200], answer.status_code))
    assert wrong == []
    assert tried > 400


class Nasty(NamedTuple):
    """A request with one nasty value."""

    name: str
    method: str
    path: str
    headers: dict[str, str]
    body: bytes | None = None


def nasty_cases(credentials: dict[str, Any]) -> Iterator[Nasty]:
    document = yaml.safe_load(run.DOCUMENT.read_text())
    for template, item in document["paths"].items():
        for method, operation in item.items():
            headers = run.caller(operation, credentials)
            parameters = operation.get("parameters", [])
            named = {one["name"]: one["example"] for one in parameters if one["in"] == "path"}
            path = template.format(**named)
            name = operation["operationId"]
            texts = [one["name"] for one in parameters if one["schema"].get("type") == "string"]
            for one in parameters:
                if one["in"] == "path" and one["name"] in texts:
                    yield Nasty(name, method, template.format(**{**named, one["name"]: "a%00b"}), headers)
                elif one["in"] == "query":
                    yield Nasty(name, method, f"{path}?{one['name']}=a%00b", headers)
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if content is None:
                continue
            headers = {**headers, "Content-Type": "application/json"}
            for field, value in product([*content["example"], "\ud800"], NASTY):
                rest = {key: one for key, one in content["example"].items() if key != field}
                body = json.dumps({**rest, field: "NASTY"}).replace('"NASTY"', value).encode()
                key = {"Idempotency-Key": f"{field!a}{value[:9]!a}"} if method == "post" else {}
                yield Nasty(name, method, path, {**headers, **key}, body)


def test_it_would_tell_an_answer_outside_its_schema(site: tuple[str, Path], tmp_path: Path) -> None:
    url, credentials = site
    text = run.DOCUMENT.read_text()
    wrong = tmp_path / "openapi.yaml"
    start = text.index("    CoinRow:\n")  # the list of coins is never empty
    properties = re.sub(r"(\n        name:\n          type: )string", r"\1integer", text[start:], count=1)
    wrong.write_text(text[:start] + properties)
    outcome = run.try_contract(
        url=url,
        credentials=credentials,
        folder=tmp_path,
        examples=1,
        document=wrong,
        options=["--phases", "examples", "--include-operation-id", "list_cryptocurrencies"],
    )
    assert outcome.exit_code == 1, outcome.report
    assert "schema" in outcome.report.lower()
    assert {call["status"] for call in outcome.calls} == {200}
