"""Every error has one shape."""

from typing import Any

import pytest
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken

from accounts.models import User


def error(response: Any) -> dict[str, Any]:
    assert response["Content-Type"] == "application/json"
    content = response.json()
    assert list(content) == ["error"]
    assert set(content["error"]) == {"code", "message", "fields"}
    assert content["error"]["message"]
    found: dict[str, Any] = content["error"]
    return found


def faults(response: Any) -> dict[str, str]:
    return {fault["field"]: fault["code"] for fault in error(response)["fields"]}


def test_it_names_every_faulty_field_and_its_code(client: APIClient) -> None:
    rows = [{"quantity": "1", "side": "buy"}, {"quantity": "-1", "side": "lend"}]
    response = client.post("/api/v1/orders/", {"name": "far too long a name", "rows": rows, "colour": "red"})
    assert response.status_code == 400
    assert error(response)["code"] == "invalid"
    assert faults(response) == {
        "name": "max_length",
        "rows.1.quantity": "min_value",
        "rows.1.side": "invalid_choice",
        "colour": "unknown_field",
    }


def test_it_refuses_a_read_only_field_in_the_body(client: APIClient) -> None:
    assert faults(client.post("/api/v1/orders/", {"id": 7, "name": "a"})) == {"id": "unknown_field"}


def test_it_leaves_the_field_empty_when_the_whole_is_at_fault(client: APIClient) -> None:
    assert faults(client.post("/api/v1/orders/", {"name": "whole"})) == {"": "whole"}


def test_it_refuses_a_body_that_is_no_object(client: APIClient) -> None:
    response = client.post("/api/v1/orders/", [1, 2])
    assert response.status_code == 400
    assert faults(response) == {"": "invalid"}


@pytest.mark.parametrize("content", ["{", '{"name": NaN}', "\x00"])
def test_it_answers_parse_error_for_what_is_not_json(client: APIClient, content: str) -> None:
    response = client.generic("POST", "/api/v1/orders/", content, content_type="application/json")
    assert (response.status_code, error(response)["code"]) == (400, "parse_error")


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [("missing", 404, "not_found"), ("conflict", 409, "conflict"), ("database", 503, "unavailable")],
)
def test_it_gives_each_failure_its_code(client: APIClient, kind: str, status: int, code: str) -> None:
    response = client.get(f"/api/v1/failures/{kind}/")
    assert (response.status_code, error(response)["code"]) == (status, code)


def test_it_passes_on_the_fields_of_a_conflict(client: APIClient) -> None:
    assert faults(client.get("/api/v1/failures/conflict/")) == {"name": "taken"}


def test_it_tells_when_to_come_back_while_the_database_is_away(client: APIClient) -> None:
    assert int(client.get("/api/v1/failures/database/")["Retry-After"]) > 0


def test_it_turns_a_models_validation_error_into_a_400(client: APIClient) -> None:
    response = client.get("/api/v1/failures/model/")
    assert response.status_code == 400
    assert faults(response) == {"email": "unique"}


def test_it_answers_500_without_the_reason_and_logs_it(caplog: pytest.LogCaptureFixture) -> None:
    client = APIClient(raise_request_exception=False)
    response = client.get("/api/v1/failures/ours/")
    assert (response.status_code, error(response)["code"]) == (500, "internal_error")
    assert "a fault of our own" not in response.content.decode()
    assert "a fault of our own" in caplog.text


def test_it_shows_an_unexpected_exception_to_the_test_client(client: APIClient) -> None:
    with pytest.raises(RuntimeError, match="a fault of our own"):
        client.get("/api/v1/failures/ours/")


def test_it_answers_405_with_what_is_allowed(client: APIClient) -> None:
    response = client.delete("/api/v1/ranges/")
    assert (response.status_code, error(response)["code"]) == (405, "method_not_allowed")
    assert "GET" in response["Allow"]


def test_it_answers_415_for_a_form(client: APIClient) -> None:
    response = client.generic("POST", "/api/v1/orders/", "name=a", "application/x-www-form-urlencoded")
    assert (response.status_code, error(response)["code"]) == (415, "unsupported_media_type")


def test_it_answers_406_for_a_type_it_does_not_write(client: APIClient) -> None:
    response = client.get("/api/v1/ranges/", headers={"Accept": "text/html"})
    assert (response.status_code, error(response)["code"]) == (406, "not_acceptable")


def test_it_answers_401_without_a_token(client: APIClient) -> None:
    response = client.get("/api/v1/private/")
    assert (response.status_code, error(response)["code"]) == (401, "not_authenticated")
    assert response["WWW-Authenticate"].startswith("Bearer")


def test_it_answers_401_for_a_tampered_token(client: APIClient, user: User) -> None:
    token = str(AccessToken.for_user(user))
    head, claims, signature = token.split(".")
    tampered = ".".join((head, claims, signature[::-1]))
    response = client.get("/api/v1/private/", headers={"Authorization": f"Bearer {tampered}"})
    assert (response.status_code, error(response)["code"]) == (401, "token_not_valid")


def test_it_answers_401_for_a_user_who_was_deactivated(client: APIClient, user: User) -> None:
    token = AccessToken.for_user(user)
    User.objects.update(is_active=False)
    response = client.get("/api/v1/private/", headers={"Authorization": f"Bearer {token}"})
    assert (response.status_code, error(response)["code"]) == (401, "user_inactive")


def test_it_takes_no_session_for_a_token(client: APIClient, user: User) -> None:
    client.force_login(user)
    assert client.get("/api/v1/private/").status_code == 401
