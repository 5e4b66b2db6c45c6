"""Every address whose queries are counted: the API's reads, the pages by name, the admin's lists.

A page that is new in the URL configuration gets a line here, or the test fails.
"""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.test import RequestFactory
from django.urls import get_resolver, reverse

from accounts.models import User
from cryptopredict.tests.access.table import OPERATIONS
from cryptopredict.tests.access.world import World

# Pages by name: the world's value for each part of the address, and the parameters without which it shows nothing.
PAGES: dict[str, dict[str, str]] = {
    "markets": {},
    "markets-csv": {},
    "coin": {"coingecko_id": "coingecko_id"},
    "forecast": {"pk": "prediction_id"},
    "track-record": {},
    "models": {},
    "model": {"version": "version"},
    "method": {},
    "status": {},
    "docs": {},
    "redoc": {},
    "developers": {},
    "schema": {},
    "dashboard": {},
    "portfolio-create": {},
    "portfolio": {"pk": "portfolio_id"},
    "portfolio-rename": {"pk": "portfolio_id"},
    "portfolio-delete": {"pk": "portfolio_id"},
    "transaction-add": {"pk": "portfolio_id"},
    "transaction-edit": {"pk": "portfolio_id", "transaction_pk": "transaction_id"},
    "transaction-delete": {"pk": "portfolio_id", "transaction_pk": "transaction_id"},
    "account": {},
    "account_email": {},
    "usersessions_list": {},
    "api-tokens-page": {},
    "account_inactive": {},
    "account_email_verification_sent": {},
    "account_reset_password": {},
    "account_reset_password_done": {},
    "account_reauthenticate": {},
    "mfa_index": {},
    "mfa_activate_totp": {},
    "mfa_list_webauthn": {},
    "mfa_add_webauthn": {},
    "ops": {},
    "ops-tasks": {},
    "ops-task": {"task_id": "task_id"},
    "ops-training": {"task_id": "training_id"},
    "ops-quality": {},
    "ops-coins": {},
    "ops-audit": {},
    "ops-models": {},
    "ops-model-step": {"version": "candidate_version", "?": "step=promote"},
}
# With parameters: the same page asks other questions then.
WITH_PARAMETERS = (
    "/?tab=watchlist", "/?tab=gainers", "/?q=bitcoin", "/coins/bitcoin/?range=1y", "/track-record/?horizon=1",
    "/ops/tasks/?state=running", "/ops/coins/?tracked=yes", "/ops/audit/?channel=api",
)  # fmt: skip
# Answer a POST only.
ACTIONS = {
    "watch", "theme", "sign-out", "account_logout", "account-password", "account-export", "account-delete",
    "api-token-revoke-page",
    "ops-breaker-reset", "ops-start", "ops-cancel", "ops-retry", "ops-coin-add", "ops-coin-sync", "ops-coin-track",
}  # fmt: skip
# For who is not signed in, or steps on a way that begins elsewhere; none of them lists anything.
WITHOUT_LISTS = {
    "sign-up", "account_signup", "sign-in", "account_login", "mfa_authenticate", "account_confirm_email",
    "account-reset-set", "account_reset_password_from_key", "mfa_deactivate_totp", "mfa_view_recovery_codes",
    "mfa_generate_recovery_codes", "mfa_reauthenticate", "mfa_download_recovery_codes", "mfa_reauthenticate_webauthn",
    "mfa_remove_webauthn", "mfa_edit_webauthn", "mfa_login_webauthn",
}  # fmt: skip


def names_of_pages(resolver: Any = None, prefix: str = "") -> Iterator[str]:
    """The name of every address of the site outside the API and the admin."""
    for pattern in (resolver or get_resolver("cryptopredict.urls")).url_patterns:
        route = prefix + str(pattern.pattern)
        if route.startswith(("api/v1/", "admin/")):
            continue
        if hasattr(pattern, "url_patterns"):
            yield from names_of_pages(pattern, route)
        else:
            yield str(pattern.name)


def pages(world: World) -> list[str]:
    named = []
    for name, parts in PAGES.items():
        values = {part: world.values[value] for part, value in parts.items() if part != "?"}
        named.append(reverse(name, kwargs=values) + ("?" + parts["?"] if "?" in parts else ""))
    return [*named, *WITH_PARAMETERS]


def api_reads(world: World) -> list[str]:
    """The address of every GET of the API."""
    found = []
    for operation in OPERATIONS:
        if operation.is_read:
            query = operation.query(world) if operation.query else {}
            text = "&".join(f"{name}={value}" for name, value in query.items())
            found.append(operation.address(world) + (f"?{text}" if text else ""))
    return found


def admin_lists(by: User) -> list[str]:
    """Every list of the admin: as it opens, with each of its filters, with a search, and by date."""
    found = [reverse("admin:index")]
    for model, model_admin in admin.site._registry.items():
        address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        changelist = model_admin.get_changelist_instance(request_of(by, address))
        found.append(address)
        for filtered in changelist.filter_specs:
            choices = [choice for choice in filtered.choices(changelist) if choice["query_string"] != "?"]
            found += [f"{address}{choice['query_string']}" for choice in choices[:1]]
        if model_admin.search_fields:
            found.append(f"{address}?q=a")
        if model_admin.date_hierarchy:
            found.append(f"{address}?{model_admin.date_hierarchy}__year=2026")
    return found


def request_of(user: User, address: str) -> HttpRequest:
    request = RequestFactory().get(address)
    request.user = user
    return request
