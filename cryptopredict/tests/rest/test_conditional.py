"""Answers that many clients poll are sent once."""

import json

import pytest
from rest_framework.test import APIClient

from accounts.models import User
from cryptopredict.rest.renderers import OrjsonRenderer
from cryptopredict.tests.rest.urls import Priced


@pytest.mark.parametrize(("path", "age"), [("priced", 30), ("priced-by-mixin", 60)])
def test_it_answers_304_to_who_has_the_answer(client: APIClient, path: str, age: int) -> None:
    first = client.get(f"/api/v1/{path}/")
    assert first["Cache-Control"] == f"max-age={age}, public"
    assert first["ETag"].startswith('"')
    again = client.get(f"/api/v1/{path}/", headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again["ETag"] == first["ETag"]
    assert again["Cache-Control"] == first["Cache-Control"]


def test_it_answers_200_once_the_figures_changed(client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    etag = client.get("/api/v1/priced/")["ETag"]
    monkeypatch.setattr(Priced, "price", 1.6)
    again = client.get("/api/v1/priced/", headers={"If-None-Match": etag})
    assert again.status_code == 200
    assert again["ETag"] != etag


def test_it_marks_what_a_known_user_asked_for_as_private(client: APIClient, user: User) -> None:
    response = client.get("/api/v1/priced/", headers={"Authorization": "Token x"})
    assert response["Cache-Control"] == "max-age=30, private"


def test_it_never_tags_an_error(client: APIClient) -> None:
    response = client.get("/api/v1/priced/?fail")
    assert response.status_code == 404
    assert "ETag" not in response


def test_it_writes_times_with_z_unknown_as_null_and_decimals_as_strings(client: APIClient) -> None:
    assert client.get("/api/v1/priced/").json() == {
        "price": 1.5,
        "as_of": "2026-01-02T03:04:05Z",
        "cap": None,
        "fee": "0.10",
    }


@pytest.mark.parametrize("number", [0.1, 1e-18, 67187.3358936566, 1.7976931348623157e308, 5e-324, -0.0])
def test_it_writes_the_exact_double(number: float) -> None:
    assert json.loads(OrjsonRenderer().render([number])) == [number]


def test_it_refuses_what_json_has_no_word_for() -> None:
    with pytest.raises(TypeError):
        OrjsonRenderer().render({"what": object()})
