"""What schemathesis cannot read in the document: who calls, and the secrets that only this installation knows.

Loaded by schemathesis from SCHEMATHESIS_HOOKS. Writes a line for each call to CONTRACT_CALLS.
"""

import json
import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import schemathesis
from schemathesis import AuthContext, Case, HookContext
from schemathesis.core.transport import Response

from cryptopredict.tests.contract.run import caller

CREDENTIALS: dict[str, Any] = json.loads(Path(os.environ["CONTRACT_CREDENTIALS"]).read_text())
CALLS = Path(os.environ["CONTRACT_CALLS"]).open("a")  # noqa: SIM115 (open as long as the process runs)
SPARE: Iterator[dict[str, str]] = iter(CREDENTIALS["spare"][1:])
# The document's examples hold made-up secrets; these are the real ones that stand in their place.
SECRETS = {
    "verify_token": {"token": "access"},
    "refresh_tokens": {"refresh": "refresh"},
    "sign_out": {"refresh": "refresh"},
    "verify_email": {"key": "verify_key"},
    "confirm_password_reset": {"key": "reset_key"},
    "change_password": {},
    "delete_account": {},
}
USES_UP_ITS_USER = {"sign_out", "change_password", "delete_account"}


KEY = "Idempotency-Key"
NUMBERS = count()


def is_stateful(case: Case[Any]) -> bool:
    return case.meta is not None and case.meta.phase.name.value == "stateful"


def name_of(case: Case[Any]) -> str:
    return str(case.operation.definition.raw["operationId"])


def example_of(case: Case[Any]) -> Any:
    return case.operation.definition.raw["requestBody"]["content"]["application/json"]["example"]


@schemathesis.auth(refresh_interval=None)
class Callers:
    """As run.caller says; operations that use up an account are called by one that is there for that."""

    def get(self, case: Case[Any], context: AuthContext) -> str | None:
        if name_of(case) in USES_UP_ITS_USER:
            return f"Bearer {CREDENTIALS['spare'][0]['access']}"
        return caller(case.operation.definition.raw, CREDENTIALS).get("Authorization")

    def set(self, case: Case[Any], data: str | None, context: AuthContext) -> None:
        if data is not None:
            case.headers["Authorization"] = data


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """Puts real secrets in the place of the examples', and spares what the rest of the run stands on.

    Those are the people whom it signs in as, and the portfolio of the examples.
    """
    name = name_of(case)
    given = case.path_parameters or {}
    if given.get("user_id") in CREDENTIALS["people"] or (name == "delete_portfolio" and given["portfolio_id"] == 1):
        given[next(iter(given))] = 2
    if is_stateful(case) and str(case.headers.get(KEY, "")).isprintable() and case.headers.get(KEY):
        # A key that comes again brings back the answer of then, whatever became of the resource since.
        case.headers[KEY] = f"{next(NUMBERS)}-{case.headers[KEY]}"[:255]
    if name not in SECRETS or not isinstance(case.body, dict) or case.body != example_of(case):
        return
    if spare := next(SPARE, None):
        case.body = {**case.body, **{field: spare[secret] for field, secret in SECRETS[name].items()}}
        if name in USES_UP_ITS_USER and "Authorization" in case.headers:
            case.headers["Authorization"] = f"Bearer {spare['access']}"


@schemathesis.hook
def after_call(context: HookContext, case: Case[Any], response: Response) -> None:
    meta = case.meta
    phase = meta.phase.name.value if meta is not None else "checks"
    line = {"operation": name_of(case), "phase": phase, "method": case.method, "status": response.status_code}
    CALLS.write(json.dumps(line) + "\n")
    CALLS.flush()
