"""One's own account: profile, password, export and deletion."""

from typing import Any, cast

from allauth.account import signals
from allauth.account.adapter import get_adapter
from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.contrib.auth import logout, update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from accounts import addresses, own_data, second_factor, services
from accounts.forms import DeleteAccountForm, OwnPasswordChangeForm, ProfileForm
from accounts.models import ApiToken, User
from accounts.views.answers import refuse


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def account(request: HttpRequest) -> HttpResponse:
    """Shows the account and keeps the profile."""
    user = cast(User, request.user)
    if request.method != "POST":
        return account_page(request)
    # The form writes to the row's own object, so that a refused name does not show in the page's header.
    form = ProfileForm(request.POST, instance=User.objects.get(pk=user.pk))
    if not form.is_valid():
        return account_page(request, profile=form)
    form.save()
    messages.success(request, "Your profile is saved.")
    return redirect("account")


@sensitive_post_parameters()
@never_cache
@login_required
@require_POST
def change_password(request: HttpRequest) -> HttpResponse:
    """Changes the password; this session goes on, all others and all tokens end."""
    user = cast(User, request.user)
    form = OwnPasswordChangeForm(request, user, request.POST)
    if not form.is_valid():
        return account_page(request, password=form)
    form.change()
    update_session_auth_hash(request, user)
    signals.password_changed.send(sender=User, request=request, user=user)  # keeps this session in the list
    get_adapter(request).send_notification_mail("account/email/password_changed", user)
    messages.success(request, "Your password is changed. You are signed out everywhere else, and your tokens ended.")
    return redirect("account")


@sensitive_post_parameters()
@never_cache
@login_required
@require_POST
def delete_account(request: HttpRequest) -> HttpResponse:
    """Erases the account and all that belongs to it, after the password."""
    user = cast(User, request.user)
    form = DeleteAccountForm(request, user, request.POST)
    if not form.is_valid():
        return account_page(request, delete=form)
    logout(request)
    services.delete_account(user=user)
    messages.success(request, "Your account and all that belonged to it are deleted.")
    return redirect("markets")


@never_cache
@login_required
@require_POST
def export(request: HttpRequest) -> HttpResponse:
    """All that is kept about the user, as one file."""
    return own_data.file_response(cast(User, request.user))


def account_page(request: HttpRequest, **refused: BaseForm) -> HttpResponse:
    """The forms of the account, with the refused one as it was sent, and how it is guarded."""
    user = cast(User, request.user)
    forms: dict[str, Any] = {
        "is_confirmed": addresses.is_confirmed(user),
        "pending_address": addresses.pending_address(user),
        "has_second_factor": second_factor.has_second_factor(user),
        "session_count": UserSession.objects.filter(user=user).count(),
        "token_count": ApiToken.objects.of(user).usable(timezone.now()).count(),
        "profile": ProfileForm(instance=user),
        "password": OwnPasswordChangeForm(request, user),
        "delete": DeleteAccountForm(request, user),
        **refused,
    }
    wait_seconds = max((getattr(form, "wait_seconds", None) or 0 for form in refused.values()), default=0)
    if refused:
        return refuse(request, "accounts/account.html", forms, wait_seconds)
    return render(request, "accounts/account.html", forms)
