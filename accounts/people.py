"""What staff do with other people's accounts."""

import logging
from datetime import date, timedelta
from typing import Any, TypedDict

from allauth.account.models import EmailAddress
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Count, Q
from django.db.models.functions import TruncDate
from django.http import HttpRequest
from django.utils import timezone

from accounts import services
from accounts.models import User

logger = logging.getLogger(__name__)

DAYS_SHOWN = 30
RIGHTS = frozenset({"is_staff"})  # given by superusers only


class DayCount(TypedDict):
    """How many accounts were made on a day (UTC)."""

    day: date
    count: int


def check_reach(actor: User, fields: set[str], target: User | None = None) -> None:
    """Raises PermissionDenied where one who may change users would reach beyond their own rights."""
    if actor.is_superuser:
        return
    if fields & RIGHTS or (target is not None and (target.is_staff or target.is_superuser)):
        raise PermissionDenied("Only a superuser gives rights and changes the accounts of staff.")


def create_user(*, request: HttpRequest, actor: User, **fields: Any) -> User:
    """Creates an account without a password and mails its owner a link to set one.

    Raises ValidationError when the address is taken, PermissionDenied when the actor may not give such rights.
    """
    check_reach(actor, {name for name in RIGHTS if fields.get(name)})
    try:
        with transaction.atomic():
            user = User.objects.create_user(password=None, **fields)
            EmailAddress.objects.create(user=user, email=user.email, primary=True)
    except IntegrityError:
        raise taken() from None
    services.request_password_reset(request=request, email=user.email)
    logger.info("User %s created user %s", actor.pk, user.pk)
    return user


def change_user(*, actor: User, user: User, fields: dict[str, Any]) -> User:
    """Changes an account; a new address counts as the owner's word, and ends what was signed in with the old one.

    Raises ValidationError when the address is taken, PermissionDenied beyond the actor's reach.
    """
    check_reach(actor, set(fields), user)
    try:
        with transaction.atomic():
            changed = User.objects.select_for_update().get(pk=user.pk)
            before = changed.email
            for name, value in fields.items():
                setattr(changed, name, value)
            changed.save(update_fields=[*fields])
            if changed.email != before:
                EmailAddress.objects.filter(user=changed).delete()
                EmailAddress.objects.create(user=changed, email=changed.email, primary=True)
                services.end_all_tokens(changed)
    except IntegrityError:
        raise taken() from None
    logger.info("User %s changed %s of user %s", actor.pk, ", ".join(sorted(fields)), user.pk)
    return changed


def set_active(*, actor: User, user: User, is_active: bool) -> None:
    """Lets somebody sign in, or keeps them out at once; nobody does that to themselves."""
    check_reach(actor, set(), user)
    if actor.pk == user.pk and not is_active:
        raise PermissionDenied("You stay active: somebody else can deactivate you.")
    if services.set_active(users=User.objects.filter(pk=user.pk), is_active=is_active):
        logger.info("User %s set is_active=%s of user %s", actor.pk, is_active, user.pk)


def taken() -> ValidationError:
    fault = ValidationError("There is an account with this e-mail address already.", code="unique")
    return ValidationError({"email": fault})


def statistics() -> dict[str, Any]:
    """Totals, and how many accounts were made on each of the last 30 days, days without any included."""
    today = timezone.now().date()
    since = today - timedelta(days=DAYS_SHOWN - 1)
    totals = User.objects.aggregate(
        total=Count("pk"),
        active=Count("pk", filter=Q(is_active=True)),
        staff=Count("pk", filter=Q(is_staff=True)),
        signed_in_30_days=Count("pk", filter=Q(last_login__gte=timezone.now() - timedelta(days=DAYS_SHOWN))),
    )
    counted = dict(
        User.objects.filter(joined_at__date__gte=since)
        .annotate(day=TruncDate("joined_at"))
        .order_by()
        .values_list("day")
        .annotate(Count("pk"))
    )
    days = (since + timedelta(days=number) for number in range(DAYS_SHOWN))
    per_day: list[DayCount] = [{"day": day, "count": counted.get(day, 0)} for day in days]
    return {**totals, "new_per_day": per_day, "as_of": timezone.now()}
