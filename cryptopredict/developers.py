"""The page for those who write programs: a quick start that runs as it stands, limits, errors."""

import re
from functools import cache
from typing import NamedTuple

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from rest_framework_simplejwt.settings import api_settings

from accounts.models import ApiToken
from cryptopredict.rest import idempotency
from cryptopredict.rest.pagination import MAX_PAGE_SIZE, PageNumbers
from cryptopredict.rest.throttling import read_rate
from markets.api.parameters import MAX_IDS
from markets.models import Cryptocurrency
from markets.series import MAX_POINTS
from markets.services import data_source

FOLDER = settings.BASE_DIR / "templates" / "developers"
WRITTEN_FOR = "http://127.0.0.1:8000"  # the address in the files, which is that of a site started by make run
HEADING = re.compile(r"^# (\d+)\. (.+)\n", re.MULTILINE)
LANGUAGES = {"sh": "curl", "py": "Python"}
PERIODS = {seconds: name for name, seconds in (("second", 1), ("minute", 60), ("hour", 3600), ("day", 86400))}


class Step(NamedTuple):
    """One step of the quick start: its heading, and its code by language."""

    number: str
    title: str
    snippets: list[tuple[str, str]]


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """How to use the API of the very site that is being read."""
    site = request.build_absolute_uri("/").rstrip("/")
    context = {
        "site": site,
        "steps": quick_start(site),
        "rates": [(scope, words(scope)) for scope in ("anonymous", "user", "sign-in")],
        "scopes": ApiToken.Scope.choices,
        "token_prefix": ApiToken.PREFIX,
        "access_minutes": api_settings.ACCESS_TOKEN_LIFETIME.total_seconds() / 60,
        "refresh_days": api_settings.REFRESH_TOKEN_LIFETIME.days,
        "must_confirm": settings.ACCOUNT_EMAIL_VERIFICATION == "mandatory",
        "page_size": PageNumbers.page_size,
        "max_page_size": MAX_PAGE_SIZE,
        "max_points": MAX_POINTS,
        "max_ids": MAX_IDS,
        "body_megabytes": settings.DATA_UPLOAD_MAX_MEMORY_SIZE / 2**20,
        "idempotency_hours": idempotency.KEPT_SECONDS // 3600,
        "period_minutes": Cryptocurrency.SHORTEST_PERIOD.total_seconds() / 60,
        "data_source": data_source(),
    }
    return render(request, "developers/page.html", context)


def quick_start(site: str) -> list[Step]:
    """The steps of the quick start, written for a site's own address."""
    files = {language: read_steps(language) for language in LANGUAGES}
    return [
        Step(
            number,
            title,
            [(LANGUAGES[name], steps[number, title].replace(WRITTEN_FOR, site)) for name, steps in files.items()],
        )
        for number, title in files["sh"]
    ]


@cache
def read_steps(language: str) -> dict[tuple[str, str], str]:
    """(number, heading) of each step of a file → its code."""
    text = (FOLDER / f"quickstart.{language}").read_text(encoding="utf-8")
    _, *parts = HEADING.split(text)
    return {(parts[i], parts[i + 1]): parts[i + 2].strip("\n") for i in range(0, len(parts), 3)}


def words(scope: str) -> str:
    """A rate as people say it: `120 calls a minute`."""
    calls, seconds = read_rate(scope)
    return f"{calls} calls {'an' if PERIODS[seconds] == 'hour' else 'a'} {PERIODS[seconds]}"
