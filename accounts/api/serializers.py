"""What the sign-in API reads and writes."""

from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError as DjangoValidationError
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from accounts.models import User
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


class RefreshSerializer(StrictMixin, serializers.Serializer[Any]):
    refresh = serializers.CharField(max_length=4096)


class TokenPairSerializer(serializers.Serializer[Any]):
    access = serializers.CharField(help_text="Sent with requests as `Authorization: Bearer …`; lives 15 minutes.")
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


class PasswordChangeSerializer(StrictMixin, serializers.Serializer[Any]):
    """Needs the user as `context["request"].user`."""

    old_password = PasswordField()
    new_password = PasswordField()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        user: User = self.context["request"].user
        if not user.check_password(attrs["old_password"]):
            fault = ErrorDetail("This is not your password.", code="wrong_password")
            raise serializers.ValidationError({"old_password": [fault]})
        check_password_rules("new_password", attrs["new_password"], user)
        return attrs
