"""The errors of the service: one exception, and the four shapes of body that it really sends."""

from datetime import UTC, datetime
from typing import Any

PRICING = "https://www.coingecko.com/en/api/pricing"


class ApiError(Exception):
    """An answer other than 200; `headers` go out with it."""

    def __init__(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body
        self.headers = headers or {}


def plain(status: int, message: str) -> ApiError:
    """`{"error": message}`."""
    return ApiError(status, {"error": message})


def coin_not_found() -> ApiError:
    """404 for an unknown or delisted id."""
    return plain(404, "coin not found")


def missing_parameter(name: str) -> ApiError:
    """422 for a parameter that is not there."""
    return plain(422, f"Missing parameter {name}")


def missing_user_agent() -> ApiError:
    """403 for a request without a User-Agent."""
    message = (
        "Please add a descriptive User-Agent to your request. For higher rate limits & stable integration, "
        f"please subscribe to our API plans: {PRICING} ."
    )
    return ApiError(403, {"status": {"error_code": 403, "error_message": message}})


def key_missing(at: float) -> ApiError:
    """401/10002 when the server asks for a key and the request has none."""
    message = "API Key Missing. Please make sure you're using the right authentication method."
    return _with_status(401, at, 10002, message)


def key_invalid() -> ApiError:
    """401 for a key that is not the server's."""
    return plain(401, "invalid API key")


def paid_plan_only(at: float) -> ApiError:
    """401/10005 for what the free plan cannot ask."""
    message = (
        "This request is limited to PRO API subscribers. "
        f"Please visit {PRICING} to subscribe to our API plan to access exclusive endpoints."
    )
    return _with_status(401, at, 10005, message)


def history_too_long(at: float) -> ApiError:
    """401/10012 for history of more than 365 days."""
    message = (
        "Your request exceeds the allowed time range. Public API users are limited to querying "
        "historical data within the past 365 days. "
        f"Upgrade to a paid plan to enjoy full historical data access: {PRICING}. "
    )
    status = {"timestamp": _stamp(at), "error_code": 10012, "error_message": message}
    return ApiError(401, {"error": {"status": status}})


def pro_key_on_demo_host(at: float) -> ApiError:
    """400/10010 for a key sent in the header or parameter of the Pro host."""
    message = (
        "If you are using Pro API key, please change your root URL from api.coingecko.com to pro-api.coingecko.com"
    )
    return ApiError(400, {"timestamp": _stamp(at), "error_code": 10010, "status": {"error_message": message}})


def rate_limited(retry_after: str | None) -> ApiError:
    """429, with Retry-After when it is given."""
    message = (
        f"You've exceeded the Rate Limit. Please visit {PRICING} to subscribe to our API plans for higher rate limits."
    )
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return ApiError(429, {"status": {"error_code": 429, "error_message": message}}, headers)


def credits_spent() -> ApiError:
    """429 without Retry-After, once the credits of the month are spent."""
    message = f"You've reached your monthly API call limit. Please visit {PRICING} to upgrade your plan."
    return ApiError(429, {"status": {"error_code": 429, "error_message": message}})


def _with_status(status: int, at: float, code: int, message: str) -> ApiError:
    return ApiError(status, {"status": {"timestamp": _stamp(at), "error_code": code, "error_message": message}})


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
