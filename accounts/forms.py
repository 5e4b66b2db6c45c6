"""What people type on the account pages."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import Any, cast

from allauth.account.adapter import get_adapter
from allauth.account.forms import LoginForm, ReauthenticateForm
from allauth.account.models import Login
from allauth.core import context
from allauth.mfa.base.forms import AuthenticateForm
from allauth.mfa.base.forms import ReauthenticateForm as SecondFactorReauthenticateForm
from allauth.mfa.totp.forms import ActivateTOTPForm
from django import forms
from django.contrib.auth.forms import PasswordChangeForm, SetPasswordForm, SetPasswordMixin
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.http import HttpRequest
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from accounts import services
from accounts.models import ApiToken, User, time_zone_names

MAX_PASSWORD_LENGTH = 128


def password_input(autocomplete: str) -> forms.PasswordInput:
    return forms.PasswordInput(attrs={"autocomplete": autocomplete, "maxlength": MAX_PASSWORD_LENGTH})


def limit_length(form: forms.Form, *names: str) -> None:
    """Holds Django's own password fields to the length that the API takes."""
    for name in names:
        form.fields[name].validators.append(MaxLengthValidator(MAX_PASSWORD_LENGTH))
        form.fields[name].widget.attrs["maxlength"] = MAX_PASSWORD_LENGTH


class WaitingMixin(forms.Form):
    """Tells the page how long to wait when the limit of tries is used up."""

    @property
    def wait_seconds(self) -> int | None:
        for faults in self.errors.as_data().values():
            for fault in faults:
                if fault.code == "throttled" and fault.params:
                    return int(fault.params["wait"])
        return None


@contextmanager
def refusals_as_faults() -> Iterator[None]:
    """Turns what hinders a try into the form's faults."""
    try:
        yield
    except services.TooManyTries as problem:
        raise ValidationError(str(problem), code="throttled", params={"wait": problem.wait_seconds}) from None
    except services.SignInUnavailable as problem:
        raise ValidationError(str(problem), code="unavailable") from None
    except services.CodeRefused as problem:
        raise ValidationError(str(problem), code="wrong_code") from None


class SignInForm(WaitingMixin, LoginForm):
    """Signs in through the limit that page, admin and API share: see the adapter's `authenticate`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        address = forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True})
        self.fields["login"] = forms.EmailField(label="E-mail address", max_length=254, widget=address)
        self.fields["password"] = forms.CharField(
            label="Password", strip=False, max_length=MAX_PASSWORD_LENGTH, widget=password_input("current-password")
        )
        self.order_fields(["login", "password"])

    @sensitive_variables()
    def _clean_with_password(self, credentials: dict[str, Any]) -> dict[str, Any]:
        user = get_adapter().authenticate(self.request, **credentials)
        if user is None:
            problem = "The e-mail address or the password is wrong. Check both and try again."
            raise ValidationError(problem, code="invalid_login")
        self.user, self._login = user, Login(user=user, email=user.email)
        return dict(self.cleaned_data)


class ConfirmPasswordForm(WaitingMixin, ReauthenticateForm):
    """Asks again who it is before something that matters."""

    password = forms.CharField(
        label="Your password", strip=False, max_length=MAX_PASSWORD_LENGTH, widget=password_input("current-password")
    )

    @sensitive_variables("password")
    def clean_password(self) -> str:
        password = str(self.cleaned_data["password"])
        if not get_adapter().reauthenticate(self.user, password):
            raise ValidationError("This is not your password.", code="wrong_password")
        return password


def code_field(label: str) -> forms.CharField:
    attributes = {"autocomplete": "one-time-code", "inputmode": "numeric", "autofocus": True}
    return forms.CharField(label=label, max_length=20, widget=forms.TextInput(attrs=attributes))


class CodeMixin(WaitingMixin):
    """Takes a code of an app or a recovery code once, under the limit of tries."""

    user: User

    @sensitive_variables("code")
    def clean_code(self) -> str:
        code = str(self.cleaned_data["code"])
        with refusals_as_faults():
            self.authenticator = services.check_code(request=context.request, user=self.user, code=code)
        self.authenticator.user = self.user
        return code


class SecondFactorForm(CodeMixin, AuthenticateForm):
    code = code_field("Code of your app, or a recovery code")


class SecondFactorAgainForm(CodeMixin, SecondFactorReauthenticateForm):
    code = code_field("Code of your app, or a recovery code")


class ActivateAppForm(WaitingMixin, ActivateTOTPForm):
    """Proves that the app shows the right codes, before they are asked for at every sign-in."""

    code = code_field("Code that the app shows now")

    @sensitive_variables("code")
    def clean_code(self) -> str:
        with refusals_as_faults():
            services.count_try(request=context.request, account=f"code of {self.user.pk}", email=self.user.email)
        return str(super().clean_code())


class AddressForm(forms.Form):
    """Asks for an address to mail to, and tells nothing about it."""

    email = forms.EmailField(
        label="E-mail address", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "email"})
    )


class NewAddressForm(AddressForm):
    email = forms.EmailField(
        label="New address", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "email"})
    )

    def __init__(self, user: User, data: Any = None) -> None:
        self.user = user
        super().__init__(data)

    def clean_email(self) -> str:
        email = str(self.cleaned_data["email"]).strip().lower()
        if email == self.user.email:
            raise ValidationError("This is your address already.", code="same")
        return email


class NewPasswordForm(SetPasswordForm):  # type: ignore[type-arg]  # takes none at run time
    """A new password for who followed a mailed link."""

    def __init__(self, user: User, data: Any = None) -> None:
        super().__init__(user, data)
        limit_length(self, "new_password1", "new_password2")
        self.fields["new_password2"].help_text = ""

    def validate_password_for_user(self, user: Any, password_field_name: str = "new_password1") -> None:
        super().validate_password_for_user(user, "new_password1")  # the rules stand beside this field


class SignUpForm(SetPasswordMixin, forms.Form):  # type: ignore[type-arg]  # takes none at run time
    """Asks for an address and a password; no rule here knows whether the address is taken."""

    email = forms.EmailField(
        label="E-mail address",
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "email", "autofocus": True}),
    )
    name = forms.CharField(
        max_length=100,
        required=False,
        help_text="How we greet you. You may leave it empty.",
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    password1, password2 = SetPasswordMixin.create_password_fields(label2="Password again")

    def __init__(self, data: Any = None) -> None:
        super().__init__(data)
        limit_length(self, "password1", "password2")
        self.fields["password2"].help_text = ""

    @sensitive_variables()
    def clean(self) -> dict[str, Any]:
        self.validate_passwords()
        user = User(email=self.cleaned_data.get("email", ""), name=self.cleaned_data.get("name", ""))
        self.validate_password_for_user(user, "password1")
        return self.cleaned_data

    def register(self, request: HttpRequest) -> None:
        data = self.cleaned_data
        services.register_user(request=request, email=data["email"], password=data["password1"], name=data["name"])


@cache
def time_zones() -> list[tuple[str, str]]:
    return [(name, name.replace("_", " ")) for name in sorted(time_zone_names())]


class ProfileForm(forms.ModelForm[User]):
    time_zone = forms.ChoiceField(choices=time_zones)

    class Meta:
        model = User
        fields = ("name", "language", "currency", "time_zone", "theme")
        widgets = {"name": forms.TextInput(attrs={"autocomplete": "name"})}  # noqa: RUF012


class OwnPasswordMixin(WaitingMixin):
    """Asks for one's own password, under the limit of tries."""

    user: User
    request: HttpRequest

    @sensitive_variables("password")
    def check_own_password(self, password: str) -> str:
        try:
            with refusals_as_faults():
                services.check_credentials(request=self.request, email=self.user.email, password=password)
        except services.SignInRefused:
            raise ValidationError("This is not your password.", code="wrong_password") from None
        return password


class OwnPasswordChangeForm(OwnPasswordMixin, PasswordChangeForm):
    def __init__(self, request: HttpRequest, user: User, data: Any = None) -> None:
        self.request = request
        super().__init__(user, data)
        limit_length(self, "old_password", "new_password1", "new_password2")
        self.fields["old_password"].widget.attrs.pop("autofocus", None)
        self.fields["old_password"].label = "Your password now"
        self.fields["new_password2"].label = "New password again"
        self.fields["new_password2"].help_text = ""

    def validate_password_for_user(self, user: Any, password_field_name: str = "new_password1") -> None:
        super().validate_password_for_user(user, "new_password1")  # the rules stand beside this field

    def clean_old_password(self) -> str:
        return self.check_own_password(self.cleaned_data["old_password"])

    def change(self) -> None:
        services.change_password(user=self.user, new_password=self.cleaned_data["new_password1"])


class DeleteAccountForm(OwnPasswordMixin):
    password = forms.CharField(
        label="Your password", strip=False, max_length=MAX_PASSWORD_LENGTH, widget=password_input("current-password")
    )

    def __init__(self, request: HttpRequest, user: User, data: Any = None) -> None:
        self.request = request
        self.user = user
        super().__init__(data, prefix="delete")

    def clean_password(self) -> str:
        return self.check_own_password(self.cleaned_data["password"])


class ApiTokenForm(forms.Form):
    """Names a token, chooses what it may do and how long."""

    name = forms.CharField(max_length=60, help_text="What it is for, such as the name of your script.")
    scopes = forms.MultipleChoiceField(
        label="What it may do", choices=ApiToken.Scope.choices, widget=forms.CheckboxSelectMultiple, initial=["read"]
    )
    days = forms.TypedChoiceField(
        label="Good for",
        coerce=int,
        choices=[(30, "30 days"), (90, "90 days"), (365, "a year"), (0, "until you revoke it")],
        initial=90,
    )

    def __init__(self, user: User, data: Any = None) -> None:
        self.user = user
        super().__init__(data, prefix="token")
        if not user.is_staff:
            choices = [choice for choice in ApiToken.Scope.choices if choice[0] != ApiToken.Scope.STAFF]
            cast(forms.MultipleChoiceField, self.fields["scopes"]).choices = choices

    def create(self) -> tuple[ApiToken, str]:
        data = self.cleaned_data
        expires_at = timezone.now() + timedelta(days=data["days"]) if data["days"] else None
        return services.create_api_token(
            user=self.user, name=data["name"], scopes=data["scopes"], expires_at=expires_at
        )
