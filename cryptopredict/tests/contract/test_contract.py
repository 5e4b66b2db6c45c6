"""Every operation keeps to the document: no 5xx, no answer outside its schema, no invalid input accepted.

CONTRACT_EXAMPLES sets how many requests are drawn for each operation; `make test-contract EXAMPLES=500` tries long.
"""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

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
    outcome = run.try_contract(url=url, credentials=credentials, folder=tmp_path, examples=EXAMPLES)
    record_property("contract", summary(outcome))
    assert outcome.exit_code == 0, outcome.report
    names = set(run.operations())
    assert {call["operation"] for call in outcome.calls} == names
    assert names - outcome.accepted() == set(NEVER_ACCEPTED), "no request of these was ever accepted"
    assert set(outcome.cases()) >= {"examples", "coverage", "fuzzing", "stateful"}


def summary(outcome: Outcome) -> str:
    phases = ", ".join(f"{number:,} {name}" for name, number in sorted(outcome.cases().items()))
    return f"{len(run.operations())} operations, {len(outcome.calls):,} requests: {phases}"


def test_it_would_tell_an_answer_outside_its_schema(site: tuple[str, Path], tmp_path: Path) -> None:
    url, credentials = site
    text = run.DOCUMENT.read_text()
    wrong = tmp_path / "openapi.yaml"
    start = text.index("    Portfolio:\n")
    properties = re.sub(r"(\n        name:\n          type: )string", r"\1integer", text[start:], count=1)
    wrong.write_text(text[:start] + properties)
    outcome = run.try_contract(
        url=url,
        credentials=credentials,
        folder=tmp_path,
        examples=1,
        document=wrong,
        options=["--phases", "examples", "--include-operation-id", "list_portfolios"],
    )
    assert outcome.exit_code == 1, outcome.report
    assert "schema" in outcome.report.lower()
    assert {call["status"] for call in outcome.calls} == {200}
