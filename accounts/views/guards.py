"""What guards an account: its address, its sessions, and the tokens of its owner's programs."""

from typing import cast

from allauth.account.decorators import reauthentication_required
from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts import addresses, services
from accounts.forms import ApiTokenForm, NewAddressForm
from accounts.models import ApiToken, User
from accounts.sessions import open_sessions
from accounts.views.answers import refuse
from accounts.views.entrance import is_mail_needed
from cryptopredict.rest import shared
from cryptopredict.rest.throttling import count_registration

BROWSERS = (
    ("Edge", "Edg"), ("Opera", "OPR/"), ("Firefox", "Firefox/"), ("Firefox", "FxiOS"),
    ("Chrome", "Chrome/"), ("Chrome", "CriOS"), ("Safari", "Safari/"),
)  # fmt: skip
SYSTEMS = (
    ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"),
    ("Windows", "Windows"), ("macOS", "Mac OS X"), ("Linux", "Linux"),
)  # fmt: skip
NEW_TOKEN = "new_api_token"  # in the session until its page is shown once


@never_cache
@login_required
@reauthentication_required
@require_http_methods(["GET", "POST"])
def address(request: HttpRequest) -> HttpResponse:
    """Shows the address; asks for a new one, which counts once its link is followed."""
    user, template = cast(User, request.user), "account/email_change.html"
    form = NewAddressForm(user, request.POST if "email" in request.POST else None)
    context = {
        "form": form,
        "is_confirmed": addresses.is_confirmed(user),
        "pending_address": addresses.pending_address(user),
        "is_mail_needed": is_mail_needed(),
    }
    if request.method != "POST":
        return render(request, template, context)
    if "drop" in request.POST:
        addresses.drop_change(user=user)
        messages.success(request, "Your address stays as it is.")
        return redirect("account_email")
    try:
        allowance = count_registration(request)
    except shared.CACHE_ERRORS:
        return render(request, template, context, status=503)
    if not allowance.is_allowed:
        messages.error(request, f"Too many tries. Try again in {allowance.reset_seconds} seconds.")
        return refuse(request, template, context, allowance.reset_seconds)
    if "resend" in request.POST:
        addresses.send_confirmation(request=request, user=user)
        messages.success(request, f"A mail with a link is on its way to {user.email}.")
        return redirect("account_email")
    if not form.is_valid():
        return refuse(request, template, context)
    addresses.request_change(request=request, user=user, email=form.cleaned_data["email"])
    messages.success(request, "A mail with a link is on its way to the new address. The old one counts until then.")
    return redirect("account_email")


@never_cache
@login_required
def sessions(request: HttpRequest) -> HttpResponse:
    """Where the user is signed in, the newest first; any session can be ended, or all others at once."""
    user = cast(User, request.user)
    if request.method == "POST":
        found = UserSession.objects.filter(user=user).exclude(session_key=request.session.session_key)
        if "session" in request.POST:
            number = request.POST["session"]
            found = found.filter(pk=number if number.isascii() and number.isdigit() and len(number) < 19 else 0)
        ended = list(found)
        for session in ended:
            session.end()
        messages.success(request, "Signed out there." if ended else "That session had ended already.")
        return redirect("usersessions_list")
    shown = open_sessions(user)
    for session in shown:
        session.browser = browser_name(session.user_agent)
    return render(request, "usersessions/usersession_list.html", {"sessions": shown})


def browser_name(user_agent: str) -> str:
    """What a person calls it, such as "Firefox on Windows"; the order matters, as browsers name each other."""
    browser = next((name for name, mark in BROWSERS if mark in user_agent), "")
    system = next((name for name, mark in SYSTEMS if mark in user_agent), "")
    if browser and system:
        return f"{browser} on {system}"
    return browser or system or user_agent[:60] or "An unknown browser"


@never_cache
@login_required
@reauthentication_required
@require_http_methods(["GET", "POST"])
def api_tokens(request: HttpRequest) -> HttpResponse:
    """Lists the user's API tokens and creates new ones, each shown once."""
    user, template = cast(User, request.user), "accounts/api_tokens.html"
    form = ApiTokenForm(user, request.POST if request.method == "POST" else None)
    tokens = ApiToken.objects.of(user)[:100]
    if request.method == "POST" and form.is_valid():
        try:
            _, request.session[NEW_TOKEN] = form.create()
        except ValidationError as problem:
            form.add_error(None, problem.messages[0])
        else:
            return redirect("api-tokens-page")
    context = {"form": form, "tokens": tokens, "new_token": request.session.pop(NEW_TOKEN, None)}
    return refuse(request, template, context)


@never_cache
@login_required
@require_POST
def revoke_api_token(request: HttpRequest, token_id: int) -> HttpResponse:
    token = get_object_or_404(ApiToken.objects.of(request.user), pk=token_id)
    services.revoke_api_token(token)
    messages.success(request, f"The token {token.name} is revoked.")
    return redirect("api-tokens-page")
