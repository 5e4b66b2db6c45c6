"""What every page's template knows."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest


def site(request: HttpRequest) -> dict[str, Any]:
    """Whether the site shows sample data, and the visitor's theme."""
    user = getattr(request, "user", None)
    theme = user.theme if user is not None and user.is_authenticated else request.COOKIES.get("theme", "system")
    return {
        "market": settings.MARKET,
        "is_sample_data": settings.IS_SAMPLE_DATA,
        "theme": theme if theme in {"light", "dark"} else "system",
    }
