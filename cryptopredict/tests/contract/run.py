"""Starts a site on PostgreSQL and Redis, fills it, and lets schemathesis try every operation."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cryptopredict.tests.processes import ROOT, Installation, wait_for
from cryptopredict.tests.servers import accepts_connections, free_port

HERE = Path(__file__).parent
DOCUMENT = ROOT / "docs" / "openapi.yaml"
GENEROUS = {
    "API_RATE_ANONYMOUS": "1000000/min",
    "API_RATE_USER": "1000000/min",
    "API_RATE_SIGN_IN": "1000000/min",
    "API_RATE_ACCOUNT": "1000000/hour",
    "API_RATE_MAIL": "1000000/hour",
}


@dataclass
class Outcome:
    """What came of a run: schemathesis' own report, and the calls it made."""

    exit_code: int
    report: str
    calls: list[dict[str, Any]] = field(default_factory=list)

    def accepted(self) -> set[str]:
        return {call["operation"] for call in self.calls if 200 <= call["status"] < 300}

    def cases(self) -> Counter[str]:
        return Counter(call["phase"] for call in self.calls)


def operations() -> list[str]:
    document = yaml.safe_load(DOCUMENT.read_text())
    return [operation["operationId"] for item in document["paths"].values() for operation in item.values()]


def documented_task_id() -> str:
    document = yaml.safe_load(DOCUMENT.read_text())
    (parameter,) = document["paths"]["/api/v1/tasks/runs/{task_id}/"]["get"]["parameters"]
    return str(parameter["example"])


def caller(operation: dict[str, Any], credentials: dict[str, Any]) -> dict[str, str]:
    """Staff where staff are asked for, a person where someone must be signed in, nobody where anybody may call."""
    ways = operation["security"]
    if not ways or {} in ways:
        return {}
    token = credentials["staff" if {"apiToken": ["staff"]} in ways else "user"]
    return {"Authorization": f"Bearer {token}"}


@contextmanager
def serving(folder: Path, database_url: str, redis_url: str) -> Iterator[tuple[str, Path]]:
    """A site by gunicorn, with a seeded database; yields its address and the file of credentials."""
    site = Installation(folder, DATABASE_URL=database_url, REDIS_URL=redis_url, **GENEROUS)
    port = free_port()
    try:
        site.migrate()
        site.evaluate(
            f"from cryptopredict.tests.contract import seed\nseed.main({str(folder)!r}, {documented_task_id()!r})"
        )
        site.start_web(port, "--threads", "4")
        wait_for("gunicorn", lambda: accepts_connections(port), log=site.log)
        yield f"http://127.0.0.1:{port}", folder / "credentials.json"
    finally:
        site.stop()


def try_contract(
    *, url: str, credentials: Path, folder: Path, examples: int, document: Path = DOCUMENT, options: Sequence[str] = ()
) -> Outcome:
    """Runs schemathesis to its end; nothing but the loopback address is called."""
    calls = folder / "calls.jsonl"
    calls.touch()
    program = str(Path(sys.executable).with_name("schemathesis"))
    command = [program, "--config-file", str(HERE / "schemathesis.toml"), "run", str(document), "--url", url]
    done = subprocess.run(
        [*command, "--max-examples", str(examples), *options],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "SCHEMATHESIS_HOOKS": "cryptopredict.tests.contract.hooks",
            "CONTRACT_CREDENTIALS": str(credentials),
            "CONTRACT_CALLS": str(calls),
        },
        capture_output=True,
        text=True,
    )
    return Outcome(done.returncode, done.stdout + done.stderr, [json.loads(line) for line in calls.open()])
