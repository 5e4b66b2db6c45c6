"""What people type on the account pages."""

from functools import cache
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm, SetPasswordMixin
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables

from accounts import services
from accounts.models import User

MAX_PASSWORD_LENGTH = 128


def password_input(autocomplete: str) -> forms.PasswordInput:
    return forms.PasswordInput(attrs={"autocomplete": autocomplete, "maxlength": MAX_PASSWORD_LENGTH})


def limit_length(form: forms.Form, *names: str) -> None:
    """Holds Django's own password fields to the length that the API takes."""
    for name in names:
        form.fields[name].validators.append(MaxLengthValidator(MAX_PASSWORD_LENGTH))
        form.fields[name].widget.attrs["maxlength"] = MAX_PASSWORD_LENGTH


class SharedLimitMixin(AuthenticationForm):
    """Signs in through the limit that page, admin and API share."""

    wait_seconds: int | None = None  # set when the limit is used up

    @sensitive_variables()
    def clean(self) -> dict[str, Any]:
        email, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if self.request is None or not email or not password:
            return self.cleaned_data
        try:
            user = services.check_credentials(request=self.request, email=email, password=password)
        except services.SignInRefused as problem:
            raise ValidationError(f"{problem} Check both and try again.", code="invalid_login") from None
        except services.TooManyTries as problem:
            self.wait_seconds = problem.wait_seconds
            raise ValidationError(str(problem), code="throttled") from None
        except services.SignInUnavailable as problem:
            raise ValidationError(str(problem), code="unavailable") from None
        self.confirm_login_allowed(user)
        self.user_cache = user
        return self.cleaned_data


class SignInForm(SharedLimitMixin):
    username = forms.EmailField(
        label="E-mail address",
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True}),
    )
    password = forms.CharField(
        label="Password",
        strip=False,
        max_length=MAX_PASSWORD_LENGTH,
        widget=password_input("current-password"),
    )


class AdminSignInForm(SharedLimitMixin, AdminAuthenticationForm):
    """The admin's sign-in page, under the same limit."""


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

    def register(self) -> None:
        data = self.cleaned_data
        services.register_user(email=data["email"], password=data["password1"], name=data["name"])


@cache
def time_zones() -> list[tuple[str, str]]:
    return [(name, name.replace("_", " ")) for name in sorted(available_timezones())]


class ProfileForm(forms.ModelForm[User]):
    time_zone = forms.ChoiceField(choices=time_zones)

    class Meta:
        model = User
        fields = ("name", "language", "currency", "time_zone", "theme")
        widgets = {"name": forms.TextInput(attrs={"autocomplete": "name"})}  # noqa: RUF012


class OwnPasswordMixin(forms.Form):
    """Asks for one's own password, under the limit of tries."""

    user: User
    request: HttpRequest
    wait_seconds: int | None = None

    @sensitive_variables("password")
    def check_own_password(self, password: str) -> str:
        try:
            services.check_credentials(request=self.request, email=self.user.email, password=password)
        except services.SignInRefused:
            raise ValidationError("This is not your password.", code="wrong_password") from None
        except services.TooManyTries as problem:
            self.wait_seconds = problem.wait_seconds
            raise ValidationError(str(problem), code="throttled") from None
        except services.SignInUnavailable as problem:
            raise ValidationError(str(problem), code="unavailable") from None
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
