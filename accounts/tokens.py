"""Refresh tokens in families: all that descend from one sign-in share the first half of their ids.

A family ends when one of its used tokens comes back, since then two hold it and only one of them is the user.
"""

import logging
from datetime import UTC, datetime
from typing import NamedTuple, cast
from uuid import uuid4

from django.db import transaction
from django.db.models import QuerySet
from rest_framework_simplejwt import tokens
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from rest_framework_simplejwt.utils import get_md5_hash_password

from accounts.models import User

logger = logging.getLogger(__name__)


class TokenPair(NamedTuple):
    """What a client holds: `access` for requests, `refresh` for the next pair."""

    access: str
    refresh: str


class RefreshToken(tokens.RefreshToken):
    """A refresh token whose id is `<family>.<own>`; whether it was used is looked up under its user's lock."""

    def set_jti(self) -> None:
        earlier = str(self.payload.get(api_settings.JTI_CLAIM, ""))
        family = earlier.partition(".")[0] or uuid4().hex
        self.payload[api_settings.JTI_CLAIM] = f"{family}.{uuid4().hex}"

    def check_blacklist(self) -> None:
        """Left to `is_used`, for which the caller holds the lock."""

    @property
    def family(self) -> str:
        return str(self.payload[api_settings.JTI_CLAIM]).partition(".")[0]

    @property
    def is_used(self) -> bool:
        return BlacklistedToken.objects.filter(token__jti=self.payload[api_settings.JTI_CLAIM]).exists()

    def keep_no_text(self) -> None:
        """Takes the token itself out of the database, where its id is enough: who reads a backup gets in nowhere."""
        OutstandingToken.objects.filter(jti=self.payload[api_settings.JTI_CLAIM]).update(token="")

    def pair(self) -> TokenPair:
        return TokenPair(access=str(self.access_token), refresh=str(self))


def issue_tokens(user: User) -> TokenPair:
    """The first pair of a new family."""
    token = cast(RefreshToken, RefreshToken.for_user(user))
    token.keep_no_text()
    return token.pair()


def rotate_tokens(refresh: str) -> TokenPair:
    """The next pair of a family, in exchange for its newest refresh token, which is used up by this.

    Of several requests with one token exactly one succeeds. Any other use of a used token ends the family.
    Raises TokenError for a token that is forged, expired or used, or whose user is gone or inactive.
    """
    token = RefreshToken(refresh)  # type: ignore[arg-type]  # the stub asks for a Token, the code for its text
    with transaction.atomic():
        user = lock_user(token)
        is_replayed = token.is_used
        if is_replayed:
            revoke_family(user, token.family)
        else:
            token.blacklist()
            token.set_jti()
            token.set_exp()
            token.set_iat()
            token.outstand()
            token.keep_no_text()
    if is_replayed:  # raised outside, so that the revocation stays
        logger.warning("User %s: a used refresh token came back, its family is revoked", user.pk)
        raise TokenError("This token was used already; sign in again.")
    return token.pair()


def end_family(refresh: str, user: User) -> None:
    """Signs one device out. Raises TokenError unless the token is good and the user's own; again is no error."""
    token = RefreshToken(refresh)  # type: ignore[arg-type]
    if str(token.payload.get(api_settings.USER_ID_CLAIM)) != str(user.pk):
        raise TokenError("This token belongs to somebody else.")
    with transaction.atomic():
        lock_user(token)
        revoke_family(user, token.family)


def end_all_families(user: User) -> None:
    """Makes every refresh token of a user useless."""
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        revoke(OutstandingToken.objects.filter(user=user))


def lock_user(token: RefreshToken) -> User:
    """The token's user, whose refreshes and revocations wait for each other until the transaction ends."""
    user = active_user(token).select_for_update().first()
    if user is None or not is_of_password(token, user):
        raise TokenError("There is no active account for this token.")
    return user


def is_of_password(token: tokens.Token, user: User) -> bool:
    """Whether the token was issued under the password that the user has now, whoever changed it since."""
    held = token.payload.get(api_settings.REVOKE_TOKEN_CLAIM)
    return held == get_md5_hash_password(user.password)


def active_user(token: tokens.Token) -> QuerySet[User]:
    return User.objects.filter(pk=int(token.payload.get(api_settings.USER_ID_CLAIM) or 0), is_active=True)


def revoke_family(user: User, family: str) -> None:
    revoke(OutstandingToken.objects.filter(user=user, jti__startswith=f"{family}."))


def revoke(found: QuerySet[OutstandingToken]) -> None:
    rows = [BlacklistedToken(token=token) for token in found.filter(blacklistedtoken=None)]
    BlacklistedToken.objects.bulk_create(rows)


def verify_token(text: str) -> tuple[str, datetime]:
    """The type and the end of a token that would be accepted now; raises TokenError for any other."""
    token = tokens.UntypedToken(text)  # type: ignore[arg-type]
    token_type = str(token.payload.get(api_settings.TOKEN_TYPE_CLAIM))
    jti = token.payload[api_settings.JTI_CLAIM]
    if BlacklistedToken.objects.filter(token__jti=jti).exists():
        raise TokenError("This token was used or revoked.")
    user = active_user(token).first()
    if user is None or not is_of_password(token, user):
        raise TokenError("There is no active account for this token.")
    return token_type, datetime.fromtimestamp(token.payload["exp"], tz=UTC)
