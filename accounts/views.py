"""The account pages."""

from typing import Any, cast

from django.contrib import messages
from django.contrib.auth import logout, update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from accounts import services
from accounts.forms import DeleteAccountForm, OwnPasswordChangeForm, ProfileForm, SignInForm, SignUpForm
from accounts.models import User
from cryptopredict.rest import shared
from cryptopredict.rest.throttling import count_registration


@sensitive_post_parameters()
@never_cache
@require_http_methods(["GET", "POST"])
def sign_up(request: HttpRequest) -> HttpResponse:
    """Creates an account; the answer is the same whether or not the address has one."""
    if request.user.is_authenticated:
        return redirect("account")
    form = SignUpForm(request.POST if request.method == "POST" else None)
    if request.method != "POST":
        return render(request, "accounts/sign_up.html", {"form": form})
    try:
        allowance = count_registration(request)
    except shared.CACHE_ERRORS:
        form.add_error(None, "Sign-up is not possible just now. Try again shortly.")
        return render(request, "accounts/sign_up.html", {"form": form}, status=503)
    if not allowance.is_allowed:
        form.add_error(None, f"Too many tries. Try again in {allowance.reset_seconds} seconds.")
        return answer(request, "accounts/sign_up.html", {"form": form}, wait_seconds=allowance.reset_seconds)
    if not form.is_valid():
        return answer(request, "accounts/sign_up.html", {"form": form})
    form.register()
    messages.success(
        request, "Thank you. If this address had no account yet, it has one now: sign in with your password."
    )
    return redirect("sign-in")


@method_decorator([sensitive_post_parameters(), never_cache], name="dispatch")
class SignInView(LoginView):
    """Signs in, and goes on to `next` when that is a page of ours."""

    form_class = SignInForm
    template_name = "accounts/sign_in.html"
    redirect_authenticated_user = True

    def form_invalid(self, form: Any) -> HttpResponse:
        return answer(self.request, self.template_name, self.get_context_data(form=form), form.wait_seconds)


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    messages.success(request, "You are signed out.")
    return redirect("markets")


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
    messages.success(request, "Your password is changed. You are signed out everywhere else.")
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


def account_page(request: HttpRequest, **refused: BaseForm) -> HttpResponse:
    """The three forms of the account, with the refused one as it was sent."""
    user = cast(User, request.user)
    forms: dict[str, Any] = {
        "profile": ProfileForm(instance=user),
        "password": OwnPasswordChangeForm(request, user),
        "delete": DeleteAccountForm(request, user),
        **refused,
    }
    wait_seconds = max((getattr(form, "wait_seconds", None) or 0 for form in refused.values()), default=0)
    if refused:
        return answer(request, "accounts/account.html", forms, wait_seconds)
    return render(request, "accounts/account.html", forms)


def answer(
    request: HttpRequest, template: str, context: dict[str, Any], wait_seconds: int | None = None
) -> HttpResponse:
    """A form that was refused, with its errors; 429 and the time to wait when the limit is used up."""
    response = render(request, template, context, status=429 if wait_seconds else 200)
    if wait_seconds:
        response["Retry-After"] = str(wait_seconds)
    return response
