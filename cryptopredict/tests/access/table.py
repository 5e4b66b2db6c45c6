"""What every operation of the API expects: whom it lets in, with which scope, and a request that must succeed.

A new operation gets a line here: the matrix fails for one that the OpenAPI document has and this table has not.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, auto
from typing import Any

from django.utils import timezone

from cryptopredict.tests.access.world import PASSWORD, World

OK = 200  # stands for any 2xx that the document names


class Access(Enum):
    """Whom an operation lets in."""

    OPEN = auto()  # everyone: it does not even look at a credential
    PUBLIC = auto()  # everyone, but a credential that is shown has to be good
    USER = auto()  # whoever signed in, for rows of their own
    OWN = auto()  # the owner of the row in the address; for all others it is not there
    STAFF = auto()  # is_staff, whatever the role
    PEOPLE = auto()  # staff whose role may change accounts


class Standing(Enum):
    """What somebody who asks is, in the end."""

    NOBODY = auto()  # shows no credential that the API looks at
    REFUSED = auto()  # shows one that is not good
    OWNER = auto()
    OTHER = auto()  # another user
    STAFF = auto()  # staff whose role may not change accounts
    ADMINISTRATOR = auto()


EXPECTED: dict[Access, dict[Standing, int]] = {
    access: dict(zip(Standing, answers, strict=True))
    for access, *answers in (
        #              nobody refused owner other staff administrator
        (Access.OPEN, OK, OK, OK, OK, OK, OK),
        (Access.PUBLIC, OK, 401, OK, OK, OK, OK),
        (Access.USER, 401, 401, OK, OK, OK, OK),
        (Access.OWN, 401, 401, OK, 404, 404, 404),
        (Access.STAFF, 401, 401, 403, 403, OK, OK),
        (Access.PEOPLE, 401, 401, 403, 403, 403, OK),
    )
}

Body = Callable[[World, str], Any]  # of the world and of who asks


@dataclass(frozen=True)
class Operation:
    """One line of the table."""

    name: str  # method and path, as the document has them below /api/v1
    access: Access
    scope: str | None  # that an API token needs; None where API tokens are refused
    body: Body | None = None
    query: Callable[[World], dict[str, str]] | None = None
    of: dict[str, str] = field(default_factory=dict)  # the world's name of a path's value, where it is not the path's
    content_type: str = "application/json"
    is_stored: bool = True  # whether what it does is seen in the database

    @property
    def method(self) -> str:
        return self.name.partition(" ")[0]

    @property
    def path(self) -> str:
        return self.name.partition(" ")[2]

    @property
    def is_read(self) -> bool:
        return self.method == "GET"

    def address(self, world: World) -> str:
        values = {name: world.values[self.of.get(name, name)] for name in world.values}
        return "/api/v1" + self.path.format_map(values)


def value(body: Any) -> Body:
    """The same body, whoever asks."""
    return lambda world, name: body


def open_to_all(name: str, body: Body | None = None, **more: Any) -> Operation:
    return Operation(name, Access.OPEN, None, body, **more)


def public(name: str, query: Callable[[World], dict[str, str]] | None = None, **more: Any) -> Operation:
    return Operation(name, Access.PUBLIC, "read", query=query, **more)


def user(name: str, body: Body | None = None, **more: Any) -> Operation:
    return Operation(name, Access.USER, "read" if name.startswith("GET") else "write", body, **more)


def own(name: str, body: Body | None = None, **more: Any) -> Operation:
    return Operation(name, Access.OWN, "read" if name.startswith("GET") else "write", body, **more)


def person(name: str, body: Body | None = None, access: Access = Access.USER, **more: Any) -> Operation:
    """For people who signed in: an API token does not stand for them here."""
    return Operation(name, access, None, body, **more)


def staff(name: str, body: Body | None = None, **more: Any) -> Operation:
    return Operation(name, Access.STAFF, "staff", body, **more)


def people(name: str, body: Body | None = None, **more: Any) -> Operation:
    return Operation(name, Access.PEOPLE, "staff", body, **more)


def days_before_today(days: int) -> str:
    return str(timezone.now().date() - timedelta(days=days))


NEW_PASSWORD = "a longer horse battery"
REASON = value({"reason": "The matrix asks for it."})
TRADE = {"coin": "bitcoin", "kind": "buy", "quantity": "0.5", "unit_price_usd": "60000"}

OPERATIONS = (
    # Authentication
    open_to_all("POST /auth/register/", value({"email": "new@example.org", "password": NEW_PASSWORD})),
    open_to_all("POST /auth/token/", value({"email": "owner@example.org", "password": PASSWORD})),
    open_to_all("POST /auth/token/refresh/", lambda world, name: {"refresh": world.refresh_of("owner")}),
    open_to_all("POST /auth/token/verify/", lambda world, name: {"token": world.access_of("owner")}, is_stored=False),
    open_to_all("POST /auth/password/reset/", value({"email": "owner@example.org"}), is_stored=False),
    open_to_all(
        "POST /auth/password/reset/confirm/",
        lambda world, name: {"key": world.reset_key("owner"), "new_password": NEW_PASSWORD},
    ),
    open_to_all("POST /auth/email/verify/", lambda world, name: {"key": world.confirmation_key("owner")}),
    person("POST /auth/logout/", lambda world, name: {"refresh": world.refresh_of(name)}),
    person("GET /auth/me/"),
    person("PATCH /auth/me/", value({"name": "Another name"})),
    person("DELETE /auth/me/", value({"password": PASSWORD})),
    person("GET /auth/me/export/"),
    person("POST /auth/password/change/", value({"old_password": PASSWORD, "new_password": NEW_PASSWORD})),
    person("GET /auth/tokens/"),
    person("POST /auth/tokens/", value({"name": "A program", "scopes": ["read"]})),
    person("DELETE /auth/tokens/{token_id}/", access=Access.OWN),
    # Users
    staff("GET /users/"),
    people("POST /users/", value({"email": "hired@example.org"})),
    staff("GET /users/{user_id}/"),
    people("PATCH /users/{user_id}/", value({"name": "Another name"})),
    people("DELETE /users/{user_id}/"),
    people("POST /users/{user_id}/activate/", of={"user_id": "inactive_user_id"}),
    staff("GET /users/stats/"),
    # Cryptocurrencies
    public("GET /cryptocurrencies/"),
    staff("POST /cryptocurrencies/", value({"id": "dogecoin"})),
    public("GET /cryptocurrencies/{coingecko_id}/"),
    staff("PATCH /cryptocurrencies/{coingecko_id}/", value({"is_tracked": False})),
    staff("DELETE /cryptocurrencies/{coingecko_id}/"),
    public("GET /cryptocurrencies/search/", lambda world: {"q": "bitcoin"}),
    public("GET /cryptocurrencies/movers/"),
    public("GET /cryptocurrencies/global/"),
    public("GET /cryptocurrencies/{coingecko_id}/statistics/"),
    # Prices
    public("GET /cryptocurrencies/{coingecko_id}/prices/"),
    public("GET /cryptocurrencies/{coingecko_id}/prices/latest/"),
    public(
        "GET /cryptocurrencies/{coingecko_id}/prices/at/", lambda world: {"timestamp": f"{days_before_today(3)}T12:00Z"}
    ),
    public("GET /cryptocurrencies/{coingecko_id}/prices/candles/"),
    public("GET /cryptocurrencies/{coingecko_id}/prices/export/"),
    public("GET /cryptocurrencies/{coingecko_id}/prices/quality/"),
    public("GET /prices/latest/", lambda world: {"ids": "bitcoin"}),
    staff(
        "POST /prices/import/",
        lambda world, name: (
            "id,date,price,market_cap,volume\n"
            f"bitcoin,{days_before_today(400)},10000,,\n"
            f"bitcoin,{days_before_today(399)},10100,,\n"  # closes the day before
        ),
        query=lambda world: {"dry_run": "false"},
        content_type="text/csv",
    ),
    # Forecasts
    public("GET /cryptocurrencies/{coingecko_id}/forecast/"),
    public("GET /predictions/"),
    user("POST /predictions/", value({"coin": "bitcoin"})),
    public("GET /predictions/{prediction_id}/"),
    public("GET /predictions/track-record/"),
    public("GET /predictions/track-record/export/"),
    public("GET /predictions/export/"),
    public("GET /predictions/verify/"),
    public("GET /models/"),
    public("GET /models/{version}/"),
    staff("POST /models/train/", value({})),
    staff("POST /models/{version}/promote/", REASON, of={"version": "candidate_version"}),
    staff("POST /models/{version}/rollback/", REASON),
    staff("POST /models/{version}/backtest/", value({})),
    staff("GET /models/monitoring/"),
    # Portfolios and the watchlist
    user("GET /portfolios/"),
    user("POST /portfolios/", value({"name": "A new one"})),
    own("GET /portfolios/{portfolio_id}/"),
    own("PATCH /portfolios/{portfolio_id}/", value({"name": "Renamed"})),
    own("DELETE /portfolios/{portfolio_id}/"),
    own("GET /portfolios/{portfolio_id}/transactions/"),
    own("POST /portfolios/{portfolio_id}/transactions/", value(TRADE)),
    own("GET /portfolios/{portfolio_id}/transactions/{transaction_id}/"),
    own("PATCH /portfolios/{portfolio_id}/transactions/{transaction_id}/", value({"note": "Changed"})),
    own("DELETE /portfolios/{portfolio_id}/transactions/{transaction_id}/"),
    own("GET /portfolios/{portfolio_id}/valuation/"),
    user("GET /watchlist/"),
    user("PUT /watchlist/{coin_id}/"),
    user("DELETE /watchlist/{coin_id}/", of={"coin_id": "watched_coin_id"}),
    # Sync
    staff("GET /sync/status/"),
    staff("POST /sync/prices/"),
    staff("POST /sync/history/"),
    staff("POST /sync/discover/"),
    staff("POST /sync/cleanup/"),
    staff("POST /sync/coins/{coingecko_id}/"),
    staff(
        "POST /sync/coins/{coingecko_id}/backfill/",
        lambda world, name: {"start": days_before_today(3), "end": days_before_today(1)},
    ),
    staff("GET /sync/runs/"),
    staff("GET /sync/runs/{run_id}/"),
    staff("GET /sync/budget/"),
    staff("GET /sync/breaker/"),
    staff("POST /sync/breaker/reset/", REASON),
    # Tasks
    staff("GET /tasks/"),
    staff("GET /tasks/runs/"),
    staff("POST /tasks/runs/", value({"name": "markets.sync_all_prices"})),
    staff("GET /tasks/runs/{task_id}/"),
    staff("POST /tasks/runs/{task_id}/cancel/", REASON, of={"task_id": "queued_task_id"}),
    staff("POST /tasks/runs/{task_id}/retry/", REASON),
    staff("GET /tasks/workers/"),
    staff("GET /tasks/queues/"),
    staff("GET /tasks/schedule/"),
    staff("PATCH /tasks/schedule/{name}/", value({"is_enabled": False})),
    # Health
    open_to_all("GET /health/live/"),
    open_to_all("GET /health/ready/"),
    staff("GET /health/database/"),
    staff("GET /health/cache/"),
    staff("GET /health/workers/"),
    staff("GET /health/upstream/"),
    staff("GET /health/system/"),
)
