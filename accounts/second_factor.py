"""The second step of a sign-in: codes of an authenticator app, and recovery codes."""

from allauth.mfa.models import Authenticator

from accounts.models import User
from cryptopredict.rest import shared

# An app's code stays good for the step before and the one after; nobody may use it twice in that time.
CODE_KEPT_SECONDS = 120
SECOND_FACTORS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)


def has_second_factor(user: User) -> bool:
    return bool(Authenticator.objects.filter(user=user, type__in=SECOND_FACTORS).exists())


def use_code(user: User, code: str) -> "Authenticator | None":
    """Uses up an app's code or a recovery code; None when it is neither, or was used already.

    Raises one of `shared.CACHE_ERRORS` when the cache, which remembers used codes, is down.
    """
    code = code.replace(" ", "").replace("-", "")
    for authenticator in Authenticator.objects.filter(user=user).exclude(type=Authenticator.Type.WEBAUTHN):
        if not authenticator.wrap().validate_code(code):
            continue
        if not shared.claim(f"otp:{user.pk}:{code}", True, keep_seconds=CODE_KEPT_SECONDS):
            return None
        authenticator.record_usage()
        return authenticator
    return None
