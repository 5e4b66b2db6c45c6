"""Everybody who may ask, by the credential that they show: good ones, bad ones, and some in the wrong place."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import jwt
from django.conf import settings
from django.utils import timezone
from rest_framework_simplejwt.settings import api_settings

from accounts.models import ApiToken
from cryptopredict.tests.access.table import Access, Operation, Standing
from cryptopredict.tests.access.world import PASSWORD, World

SCOPES = frozenset(ApiToken.Scope.values)
FOR_STAFF = {Access.STAFF, Access.PEOPLE}


@dataclass(frozen=True)
class Shown:
    """What a request shows of who asks."""

    header: str = ""
    cookies: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Persona:
    """One column of the matrix."""

    name: str
    standing: Standing | None  # None: that of the rightful caller, whoever it is
    show: Callable[[World, Operation], Shown]
    person: str = ""  # whose name in the world, where the body depends on it
    has_scope: bool | None = None  # None for what is no API token

    def wanted(self, operation: Operation) -> Standing:
        """Its standing before an operation."""
        if self.standing is not None:
            return self.standing
        return Standing.ADMINISTRATOR if operation.access in FOR_STAFF else Standing.OWNER

    def who(self, operation: Operation) -> str:
        return self.person or rightful(operation)


def rightful(operation: Operation) -> str:
    """Whom an operation lets in: bad credentials are made out to that person, so that nothing else refuses them."""
    return "administrator" if operation.access in FOR_STAFF else "owner"


def bearer(text: str) -> Shown:
    return Shown(f"Bearer {text}")


def signed_in(name: str, standing: Standing) -> Persona:
    return Persona(name, standing, lambda world, operation: bearer(world.access_of(name)), person=name)


def forged(**changes: Any) -> Callable[[World, Operation], Shown]:
    """A token that is signed with the right key and says something else; None leaves a claim out."""

    def show(world: World, operation: Operation) -> Shown:
        payload = {**claims_of(world, operation), **changes}
        said = {name: value for name, value in payload.items() if value is not None}
        return bearer(jwt.encode(said, str(settings.SIMPLE_JWT["SIGNING_KEY"]), algorithm="HS256"))

    return show


def claims_of(world: World, operation: Operation) -> dict[str, Any]:
    """What a good token of the rightful caller's says, its issuer and audience with it."""
    found: dict[str, Any] = jwt.decode(world.access_of(rightful(operation)), options={"verify_signature": False})
    return found


def with_changed_payload(world: World, operation: Operation) -> Shown:
    """Another user's token, made to say that it is the rightful caller's; the signature is the old one."""
    head, _, signature = world.access_of("other").split(".")
    payload = json.dumps(claims_of(world, operation)).encode()
    return bearer(f"{head}.{base64.urlsafe_b64encode(payload).rstrip(b'=').decode()}.{signature}")


def with_other_key(world: World, operation: Operation) -> Shown:
    return bearer(jwt.encode(claims_of(world, operation), "another key that is as long as ours is", algorithm="HS256"))


def unsigned(world: World, operation: Operation) -> Shown:
    return bearer(jwt.encode(claims_of(world, operation), "", algorithm="none"))


def refresh_as_access(world: World, operation: Operation) -> Shown:
    return bearer(world.refresh_of(rightful(operation)))


def in_a_cookie(world: World, operation: Operation) -> Shown:
    token = world.access_of(rightful(operation))
    names = ("access", "access_token", "jwt", "token", "Authorization")
    return Shown(cookies=tuple((name, token) for name in names))


def session_only(world: World, operation: Operation) -> Shown:
    return Shown(cookies=(("sessionid", world.sessions[rightful(operation)]),))


def password_as_basic(world: World, operation: Operation) -> Shown:
    pair = f"{world.people[rightful(operation)].email}:{PASSWORD}"
    return Shown(f"Basic {base64.b64encode(pair.encode()).decode()}")


def api_token(*, with_scope: bool, **columns: Any) -> Callable[[World, Operation], Shown]:
    """A token of the rightful caller's with just the scope that is needed, or with all others."""

    def show(world: World, operation: Operation) -> Shown:
        needed = frozenset({operation.scope}) if operation.scope else SCOPES
        scopes = needed if with_scope else SCOPES - needed
        return bearer(world.api_token(rightful(operation), scopes, **columns))

    return show


def token_of(name: str) -> Callable[[World, Operation], Shown]:
    return lambda world, operation: bearer(world.api_token(name, SCOPES))


def refused(name: str, show: Callable[[World, Operation], Shown]) -> Persona:
    return Persona(name, Standing.REFUSED, show)


def nobody(name: str, show: Callable[[World, Operation], Shown]) -> Persona:
    return Persona(name, Standing.NOBODY, show)


PAST = timezone.now() - timedelta(days=1)

PERSONAS = (
    nobody("anonymous", lambda world, operation: Shown()),
    nobody("session cookie without Bearer", session_only),
    nobody("JWT in a cookie", in_a_cookie),
    nobody("address and password as Basic", password_as_basic),
    signed_in("owner", Standing.OWNER),
    signed_in("other", Standing.OTHER),
    signed_in("staff without a role", Standing.STAFF),
    signed_in("support", Standing.STAFF),
    signed_in("operator", Standing.STAFF),
    signed_in("administrator", Standing.ADMINISTRATOR),
    signed_in("superuser", Standing.ADMINISTRATOR),
    Persona("token made up by the tests, without a fault", None, forged()),
    refused("expired access token", forged(exp=int(PAST.timestamp()))),
    refused("access token that never ends", forged(exp=None)),
    refused("changed payload", with_changed_payload),
    refused("signature of another key", with_other_key),
    refused("algorithm none", unsigned),
    refused("another audience", forged(aud="another-api")),
    refused("no audience", forged(aud=None)),
    refused("another issuer", forged(iss="somebody else")),
    refused("refresh token as access token", refresh_as_access),
    refused("token from before a change of the password", forged(**{api_settings.REVOKE_TOKEN_CLAIM: "0" * 32})),
    refused("token of a deactivated user", lambda world, operation: bearer(world.access_of("deactivated"))),
    refused("token of a deleted user", forged(user_id="999999999")),
    refused("no token after Bearer", lambda world, operation: Shown("Bearer")),
    refused("text that is no token", lambda world, operation: bearer("abc.def.ghi")),
    refused("unknown API token", lambda world, operation: bearer(ApiToken.PREFIX + "x" * 43)),
    refused("revoked API token", api_token(with_scope=True, revoked_at=PAST)),
    refused("expired API token", api_token(with_scope=True, expires_at=PAST)),
    refused("API token of a deactivated user", token_of("deactivated")),
    Persona("API token with the scope", None, api_token(with_scope=True), has_scope=True),
    Persona("API token without the scope", None, api_token(with_scope=False), has_scope=False),
    Persona("API token of another user", Standing.OTHER, token_of("other"), person="other", has_scope=True),
    Persona("API token of staff", Standing.STAFF, token_of("operator"), person="operator", has_scope=True),
)
