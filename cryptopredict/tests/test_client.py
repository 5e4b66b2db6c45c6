"""The typed client: generated from the document as it is served, checked by mypy, and used against a running site."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django.live_server_helper import LiveServer

from cryptopredict.tests.processes import ROOT
from markets.models import Cryptocurrency
from portfolios.models import Transaction
from predictions.tests.ledger import make_coin, make_fan, make_model

CLIENT = ROOT / "clients" / "python"
BIN = Path(sys.executable).parent


def run(*command: str, folder: Path, **environment: str) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env={"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "HOME": str(folder), **environment},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_it_is_generated_without_a_warning_type_checks_and_works(live_server: LiveServer, tmp_path: Path) -> None:
    bitcoin = make_coin()
    Cryptocurrency.objects.filter(pk=bitcoin.pk).update(price_usd=64_000.0, price_at=timezone.now())
    make_fan(bitcoin, make_model())

    source = ["--url", f"{live_server.url}/api/schema/", "--config", str(CLIENT / "config.yml")]
    target = ["--output-path", str(tmp_path / "made"), "--fail-on-warning"]
    run("openapi-python-client", "generate", *source, *target, folder=tmp_path)

    example = CLIENT / "example.py"
    strict = ["--strict", "--config-file=", "--cache-dir", os.devnull]
    run("mypy", *strict, "made/cryptopredict_client", str(example), folder=tmp_path, MYPYPATH=str(tmp_path / "made"))

    output = run(
        sys.executable, str(example), live_server.url, "you@example.com", "a long passphrase of one's own",
        folder=tmp_path, PYTHONPATH=str(tmp_path / "made"),
    )  # fmt: skip
    assert "bitcoin 64000.0 " in output
    assert output.count("baseline:") == 3
    assert "1 transaction, worth 16000" in output
    assert output.splitlines()[-1] == "400 invalid"
    assert Transaction.objects.count() == 1
