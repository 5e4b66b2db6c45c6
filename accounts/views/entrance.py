"""Signing up, in and out, confirming an address and getting back in without the password."""

from typing import Any

from allauth.account.views import LoginView
from allauth.mfa.base.views import AuthenticateView
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import addresses, places, services
from accounts.forms import AddressForm, NewPasswordForm, SignUpForm
from accounts.views.answers import refuse, with_wait
from cryptopredict.rest import shared
from cryptopredict.rest.throttling import count_registration

RESET_KEY = "reset_key"  # in the session, so that it does not stay in the address bar


def is_mail_needed() -> bool:
    """Whether an address must be confirmed before one can sign in."""
    return bool(settings.ACCOUNT_EMAIL_VERIFICATION == "mandatory")


def refusal(request: HttpRequest, form: Any, template: str) -> HttpResponse | None:
    """The answer to a form that may not be used so often, or while tries cannot be counted; None when it may."""
    context = {"form": form, "is_mail_needed": is_mail_needed()}
    try:
        allowance = count_registration(request)
    except shared.CACHE_ERRORS:
        form.add_error(None, "This is not possible just now. Try again shortly.")
        return render(request, template, context, status=503)
    if not allowance.is_allowed:
        form.add_error(None, f"Too many tries. Try again in {allowance.reset_seconds} seconds.")
        return refuse(request, template, context, allowance.reset_seconds)
    return None if form.is_valid() else refuse(request, template, context)


@sensitive_post_parameters()
@never_cache
@require_http_methods(["GET", "POST"])
def sign_up(request: HttpRequest) -> HttpResponse:
    """Creates an account; the answer is the same whether or not the address has one."""
    template = "accounts/sign_up.html"
    if request.user.is_authenticated:
        return redirect("account")
    form = SignUpForm(request.POST if request.method == "POST" else None)
    if request.method != "POST":
        return render(request, template, {"form": form, "is_mail_needed": is_mail_needed()})
    if refused := refusal(request, form, template):
        return refused
    form.register(request)
    if is_mail_needed():
        return redirect("account_email_verification_sent")
    messages.success(
        request, "Thank you. If this address had no account yet, it has one now: sign in with your password."
    )
    return redirect("sign-in")


@method_decorator([sensitive_post_parameters(), never_cache], name="dispatch")
class SignInView(LoginView):
    """Signs in, by two steps where a second factor is set up, and goes on to `next` when that is a page of ours."""

    template_name = "accounts/sign_in.html"

    def form_invalid(self, form: Any) -> HttpResponse:
        return with_wait(super().form_invalid(form), form.wait_seconds)


@method_decorator([sensitive_post_parameters(), never_cache], name="dispatch")
class SecondFactorView(AuthenticateView):
    """The second step of a sign-in."""

    def form_invalid(self, form: Any) -> HttpResponse:
        return with_wait(super().form_invalid(form), getattr(form, "wait_seconds", None))


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    messages.success(request, "You are signed out.")
    return redirect("markets")


@never_cache
@require_http_methods(["GET", "POST"])
def verification_sent(request: HttpRequest) -> HttpResponse:
    """Says that a mail is on its way, and sends another on request."""
    template = "account/verification_sent.html"
    form = AddressForm(request.POST if request.method == "POST" else None)
    if request.method != "POST":
        return render(request, template, {"form": form, "is_mail_needed": is_mail_needed()})
    if refused := refusal(request, form, template):
        return refused
    addresses.resend_confirmation(request=request, email=form.cleaned_data["email"])
    messages.success(request, "If this address waits to be confirmed, another mail is on its way.")
    return redirect("account_email_verification_sent")


@never_cache
@require_http_methods(["GET", "POST"])
def request_reset(request: HttpRequest) -> HttpResponse:
    """Mails a link that sets a new password; the answer is the same for every address."""
    template = "account/password_reset.html"
    form = AddressForm(request.POST if request.method == "POST" else None)
    if request.method != "POST":
        return render(request, template, {"form": form, "is_mail_needed": is_mail_needed()})
    if refused := refusal(request, form, template):
        return refused
    services.request_password_reset(request=request, email=form.cleaned_data["email"])
    return redirect("account_reset_password_done")


@require_safe
def reset_requested(request: HttpRequest) -> HttpResponse:
    return render(request, "account/password_reset_done.html", {"is_mail_needed": is_mail_needed()})


@never_cache
@require_safe
def open_reset_link(request: HttpRequest, uidb36: str, key: str) -> HttpResponse:
    """Takes the key of a mailed link out of the address bar, where it could be read or sent on."""
    request.session[RESET_KEY] = f"{uidb36}-{key}"
    return redirect("account-reset-set")


@sensitive_post_parameters()
@never_cache
@require_http_methods(["GET", "POST"])
def set_new_password(request: HttpRequest) -> HttpResponse:
    """Sets a new password for who opened a good link; everything else that was signed in is signed out."""
    template = "account/password_reset_from_key.html"
    key = str(request.session.get(RESET_KEY, ""))
    user = services.user_of_reset_key(key)
    if user is None:
        return render(request, template, {"token_fail": True}, status=400)
    form = NewPasswordForm(user, request.POST if request.method == "POST" else None)
    if request.method != "POST" or not form.is_valid():
        return refuse(request, template, {"form": form, "email": user.email})
    try:
        services.reset_password(request=request, key=key, new_password=form.cleaned_data["new_password1"])
    except services.SignInRefused:
        return render(request, template, {"token_fail": True}, status=400)
    logout(request)
    messages.success(request, "Your password is changed, and you are signed out everywhere. Sign in with the new one.")
    response = redirect("sign-in")
    places.remember_device(request, response, user)
    return response
