"""Log lines without secrets."""

import logging
import re

from django.conf import settings

MASK = "***"
NAMED_KEYS = ("SECRET_KEY", "JWT_SIGNING_KEY", "COINGECKO_API_KEY", "EMAIL_HOST_PASSWORD")
MIN_KEY_LENGTH = 8  # masking a shorter text would riddle every line
PATTERNS = (
    re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"),  # a JWT
    re.compile(r"\bcpt_[\w-]+"),  # an API token
    re.compile(r"(?i)(?<=bearer )[^\s\"',]+"),
    re.compile(r"(?<=://)[^\s/:@]*:[^\s/@]+(?=@)"),  # user and password in an address
    re.compile(r"(?<=/account/reset/)[0-9A-Za-z]+-[^\s/]+|(?<=/account/confirm-email/)[^\s/]+"),  # links that let in
    re.compile(
        r"""(?i)\b[\w-]*(?:password|passwd|secret|token|otp|api_key|signing_key|sessionid)\w*["']?\s*[=:]\s*"""
        r"""(?P<value>"[^"]*"|'[^']*'|[^\s,;&"')}\]]+)"""
    ),
)


def mask(text: str) -> str:
    """The text with every token, password and key in it replaced."""
    for name in NAMED_KEYS:
        key = str(getattr(settings, name, ""))
        if len(key) >= MIN_KEY_LENGTH:
            text = text.replace(key, MASK)
    for pattern in PATTERNS:
        text = pattern.sub(hide, text)
    return text


def hide(found: re.Match[str]) -> str:
    """Hides the value alone where the pattern names it, else all that was found."""
    if "value" not in found.re.groupindex:
        return MASK
    start = found.start("value") - found.start()
    return found[0][:start] + MASK


class MaskingFormatter(logging.Formatter):
    """Masks whole lines, tracebacks included, after everything was put into them."""

    def format(self, record: logging.LogRecord) -> str:
        return mask(super().format(record))
