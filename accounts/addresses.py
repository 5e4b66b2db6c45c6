"""E-mail addresses: confirmed by a link, changed by confirming the new one."""

import logging
from typing import Any

from allauth.account import signals
from allauth.account.adapter import get_adapter
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from django.db import IntegrityError, transaction
from django.http import HttpRequest

from accounts import mailer
from accounts.models import User

logger = logging.getLogger(__name__)


def is_confirmed(user: User) -> bool:
    return bool(EmailAddress.objects.filter(user=user, email=user.email, verified=True).exists())


def pending_address(user: User) -> EmailAddress | None:
    """The address that the user wants to change to and has not confirmed yet."""
    return EmailAddress.objects.filter(user=user, verified=False).exclude(email=user.email).order_by("-pk").first()


def mark_confirmed(user: User) -> None:
    """Takes the user's address as confirmed: they followed a link that was mailed to it."""
    EmailAddress.objects.update_or_create(user=user, email=user.email, defaults={"verified": True, "primary": True})


def send_confirmation(*, request: HttpRequest, user: User, is_new: bool = False) -> None:
    """Mails the link that confirms the user's own address."""
    address, _ = EmailAddress.objects.get_or_create(user=user, email=user.email, defaults={"primary": True})
    get_adapter(request).send_confirmation_mail(request, EmailConfirmationHMAC(address), signup=is_new)


def resend_confirmation(*, request: HttpRequest, email: str) -> None:
    """Mails the link again; to an address without an unconfirmed account goes a mail that says so instead."""
    mailer.do_beside(request, lambda: mail_confirmation(request, email.strip().lower()))


def mail_confirmation(request: HttpRequest, email: str) -> None:
    user = User.objects.filter(email=email, is_active=True).first()
    if user is None:
        send_unknown_account(request=request, email=email)
    elif is_confirmed(user):
        send_account_exists(request=request, email=user.email)
    else:
        send_confirmation(request=request, user=user)


def send_account_exists(*, request: HttpRequest, email: str) -> None:
    get_adapter(request).send_account_already_exists_mail(email)


def send_unknown_account(*, request: HttpRequest, email: str) -> None:
    from allauth.account.internal.flows.signup import get_signup_url

    context = {"signup_url": get_signup_url(request)}
    get_adapter(request).send_mail("account/email/unknown_account", email, context)


def request_change(*, request: HttpRequest, user: User, email: str) -> None:
    """Mails a link to the new address; the old one stays until that is followed, whether or not the new is free."""
    new = email.strip().lower()
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        EmailAddress.objects.filter(user=user, verified=False).exclude(email=user.email).delete()
        address, _ = EmailAddress.objects.get_or_create(user=user, email=new)
    get_adapter(request).send_confirmation_mail(request, EmailConfirmationHMAC(address), signup=False)
    logger.info("User %s asked to change the address", user.pk)


def drop_change(*, user: User) -> None:
    """Forgets the address that the user wanted to change to."""
    EmailAddress.objects.filter(user=user, verified=False).exclude(email=user.email).delete()


def confirm_key(*, request: HttpRequest, key: str) -> bool:
    """Confirms the address of a mailed link; False for a link that is forged, old or used."""
    confirmation = EmailConfirmationHMAC.from_key(key)
    return confirmation is not None and confirm_address(request=request, address=confirmation.email_address)


def confirm_address(*, request: HttpRequest, address: Any) -> bool:
    """Makes a confirmed address its user's only one; False when another account has it by now."""
    try:
        with transaction.atomic():
            user = User.objects.select_for_update().get(pk=address.user_id)
            before = user.email
            EmailAddress.objects.filter(user=user).exclude(pk=address.pk).delete()
            EmailAddress.objects.filter(pk=address.pk).update(verified=True, primary=True)
            if before != address.email:
                user.email = address.email
                user.save(update_fields=["email"])
    except IntegrityError:
        return False
    address.verified = address.primary = True
    signals.email_confirmed.send(sender=EmailAddress, request=request, email_address=address)
    if before != address.email:
        context = {"from_email": before, "to_email": address.email}
        get_adapter(request).send_notification_mail("account/email/email_changed", user, context=context, email=before)
    logger.info("User %s confirmed an address", user.pk)
    return True
