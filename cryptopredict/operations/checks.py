"""Configurations that the site must not run with."""

from typing import Any

from django.conf import settings
from django.core import checks

STARTUP = "startup"  # the tag of the checks without which no web process starts
MIN_KEY_LENGTH = 32
MIN_KEY_LETTERS = 8  # distinct ones: "xxxxxxxx…" is no key


@checks.register(checks.Tags.security, STARTUP)
def check_keys(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    """A site that others can reach is given two good keys of its own, so that all its hosts share them."""
    if not settings.HTTPS:
        return []
    faults: list[checks.CheckMessage] = []
    given = settings.SECRETS_FROM_ENVIRONMENT
    for number, (name, key) in enumerate(given.items(), start=1):
        if len(key) < MIN_KEY_LENGTH or len(set(key)) < MIN_KEY_LETTERS or "insecure" in key:
            hint = "Draw one: python -c 'import secrets; print(secrets.token_urlsafe(64))'"
            text = f"{name} is not set, or too short, while HTTPS=1."
            faults.append(checks.Error(text, hint=hint, id=f"cryptopredict.E00{number}"))
    if not faults and given["SECRET_KEY"] == given["JWT_SIGNING_KEY"]:
        faults.append(checks.Error("JWT_SIGNING_KEY must differ from SECRET_KEY.", id="cryptopredict.E003"))
    if settings.DEBUG:
        faults.append(checks.Error("DEBUG=1 shows the source of errors to everybody.", id="cryptopredict.E004"))
    return faults


def refuse_unsafe_start() -> None:
    """Ends the process, naming every fault, when one of these checks fails."""
    faults = checks.run_checks(tags=[STARTUP])
    if faults:
        raise SystemExit("CryptoPredict does not start:\n" + "\n".join(str(fault) for fault in faults))
