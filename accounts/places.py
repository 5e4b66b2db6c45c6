"""From where a user has signed in before: network addresses in the database, and a cookie on the device itself."""

import logging
from datetime import timedelta

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from rest_framework.request import Request

from accounts.models import KnownAddress, User
from cryptopredict.rest.throttling import client_address

logger = logging.getLogger(__name__)

COOKIE = "device"
COOKIE_SECONDS = 365 * 86_400
SALT = "accounts.device"
WRITTEN_EVERY = timedelta(days=1)
KEPT_PER_USER = 20


def is_known(request: HttpRequest | Request, email: str) -> bool:
    """Whether this device or this network address is one that the account was used from.

    It asks the database the same for an address that has no account.
    """
    user_id = User.objects.filter(email=email.strip().lower()).values_list("pk", flat=True).first() or 0
    by_address = KnownAddress.objects.filter(user_id=user_id, address=client_address(request)).exists()
    return by_address or user_id in device_users(request)


def device_users(request: HttpRequest | Request) -> list[int]:
    """The ids of the users who signed in on this device, by its cookie."""
    try:
        found = signing.loads(request.COOKIES.get(COOKIE, ""), salt=SALT, max_age=COOKIE_SECONDS)
    except signing.BadSignature:
        return []
    return [number for number in found if isinstance(number, int)] if isinstance(found, list) else []


def remember_address(request: HttpRequest | Request, user: User) -> None:
    """Keeps the network address of a sign-in, written at most once a day; the oldest ones are forgotten."""
    now = timezone.now()
    place, is_new = KnownAddress.objects.get_or_create(
        user=user, address=client_address(request), defaults={"used_at": now}
    )
    if is_new:
        kept = KnownAddress.objects.filter(user=user).order_by("-used_at", "-pk").values_list("pk", flat=True)
        KnownAddress.objects.filter(user=user).exclude(pk__in=list(kept[:KEPT_PER_USER])).delete()
    elif place.used_at < now - WRITTEN_EVERY:
        KnownAddress.objects.filter(pk=place.pk).update(used_at=now)


def remember_device(request: HttpRequest, response: HttpResponse, user: User) -> None:
    """Adds the user to the device's cookie."""
    users = [user.pk, *(number for number in device_users(request) if number != user.pk)][:5]
    response.set_cookie(
        COOKIE,
        signing.dumps(users, salt=SALT),
        max_age=COOKIE_SECONDS,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
