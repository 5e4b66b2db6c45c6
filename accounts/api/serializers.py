"""What the sign-in API reads and writes."""

from datetime import datetime
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError as DjangoValidationError
from django.utils import timezone
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from accounts import services
from accounts.models import ApiToken, User
from cryptopredict.rest.strict import StrictMixin

MAX_PASSWORD_LENGTH = 128


class PasswordField(serializers.CharField):
    """A password as it was typed, blanks and all."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", MAX_PASSWORD_LENGTH)
        super().__init__(write_only=True, trim_whitespace=False, **kwargs)


def check_password_rules(field: str, password: str, user: User) -> None:
    """Raises ValidationError naming every rule that the password breaks."""
    try:
        validate_password(password, user)
    except DjangoValidationError as error:
        details = [ErrorDetail(" ".join(fault.messages), code=fault.code) for fault in error.error_list]
        raise serializers.ValidationError({field: details}) from None


class RegistrationSerializer(StrictMixin, serializers.Serializer[Any]):
    email = serializers.EmailField(max_length=254)
    password = PasswordField()
    name = serializers.CharField(max_length=100, required=False, allow_blank=True, default="")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        check_password_rules("password", attrs["password"], User(email=attrs["email"], name=attrs["name"]))
        return attrs


class MessageSerializer(serializers.Serializer[Any]):
    message = serializers.CharField()


class CredentialsSerializer(StrictMixin, serializers.Serializer[Any]):
    email = serializers.EmailField(max_length=254)
    password = PasswordField()
    otp = serializers.CharField(
        max_length=20,
        required=False,
        write_only=True,
        help_text="A code of the authenticator app or a recovery code, where a second factor is set up.",
    )


class RefreshSerializer(StrictMixin, serializers.Serializer[Any]):
    refresh = serializers.CharField(max_length=4096)


class TokenPairSerializer(serializers.Serializer[Any]):
    access = serializers.CharField(help_text="Sent with requests as `Authorization: Bearer …`; lives 10 minutes.")
    refresh = serializers.CharField(help_text="Exchanged once for the next pair; lives 14 days.")


class TokenSerializer(StrictMixin, serializers.Serializer[Any]):
    token = serializers.CharField(max_length=4096)


class GoodTokenSerializer(serializers.Serializer[Any]):
    token_type = serializers.ChoiceField(["access", "refresh"])
    expires_at = serializers.DateTimeField()


class ProfileSerializer(StrictMixin, serializers.ModelSerializer[User]):
    class Meta:
        model = User
        fields = ("id", "email", "name", "language", "currency", "time_zone", "theme", "is_staff", "joined_at")
        read_only_fields = ("id", "email", "is_staff", "joined_at")


class OwnPasswordSerializer(StrictMixin, serializers.Serializer[Any]):
    password = PasswordField()


class AddressSerializer(StrictMixin, serializers.Serializer[Any]):
    email = serializers.EmailField(max_length=254)


class KeySerializer(StrictMixin, serializers.Serializer[Any]):
    key = serializers.CharField(max_length=200, help_text="The last part of the link in the mail.")


class NewPasswordSerializer(StrictMixin, serializers.Serializer[Any]):
    key = serializers.CharField(max_length=200, help_text="The last part of the link in the mail.")
    new_password = PasswordField()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """A bad key is told before the password is judged: whose it would be decides what is too similar."""
        user = services.user_of_reset_key(attrs["key"])
        if user is None:
            fault = ErrorDetail("This link is not good any more: it was used, or it is too old.", code="key_not_valid")
            raise serializers.ValidationError({"key": [fault]})
        check_password_rules("new_password", attrs["new_password"], user)
        return attrs


class OwnDataSerializer(serializers.Serializer[Any]):
    """What is kept about the user; further tables stand beside the profile under their own names."""

    exported_at = serializers.DateTimeField()
    profile = serializers.DictField()


class ApiTokenSerializer(serializers.ModelSerializer[ApiToken]):
    scopes = serializers.ListField(child=serializers.ChoiceField(ApiToken.Scope.choices), read_only=True)
    state = serializers.ChoiceField(["active", "expired", "revoked"], read_only=True)

    class Meta:
        model = ApiToken
        fields = (
            "id", "name", "start", "scopes", "state", "created_at", "expires_at", "last_used_at", "revoked_at",
        )  # fmt: skip
        read_only_fields = fields


class NewApiTokenSerializer(ApiTokenSerializer):
    """A token just created, with its secret: this once."""

    token = serializers.SerializerMethodField(help_text="Shown once. In a repeated answer it is null.")

    class Meta:
        model = ApiToken
        fields = (*ApiTokenSerializer.Meta.fields, "token")
        read_only_fields = fields

    def get_token(self, token: ApiToken) -> str | None:
        secret: str | None = self.context.get("secret")
        return secret


class ApiTokenRequestSerializer(StrictMixin, serializers.Serializer[Any]):
    name = serializers.CharField(max_length=60)
    scopes = serializers.MultipleChoiceField(choices=ApiToken.Scope.choices, allow_empty=False)
    expires_at = serializers.DateTimeField(required=False, allow_null=True, default=None)

    def validate_expires_at(self, value: datetime | None) -> datetime | None:
        if value is not None and value <= timezone.now():
            raise serializers.ValidationError("A time to come is expected.", code="min_value")
        return value


class PasswordChangeSerializer(StrictMixin, serializers.Serializer[Any]):
    """Needs the user as `context["request"].user`; the old password is looked at by the view, which counts tries."""

    old_password = PasswordField()
    new_password = PasswordField()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        check_password_rules("new_password", attrs["new_password"], self.context["request"].user)
        return attrs
