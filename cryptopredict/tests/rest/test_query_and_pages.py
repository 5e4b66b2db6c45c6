"""GET parameters are never ignored, and no list is unbounded."""

import pytest
from rest_framework.test import APIClient

from accounts.models import User
from cryptopredict.tests.rest.test_errors import error, faults


@pytest.fixture
def people(db: None) -> None:
    User.objects.bulk_create(User(email=f"person{number:03}@example.com") for number in range(120))


def test_it_reads_parameters_and_their_defaults(client: APIClient) -> None:
    response = client.get("/api/v1/ranges/?start=2026-01-02T03:04:05Z")
    assert response.json() == {"days": 7, "start": "2026-01-02T03:04:05Z"}


def test_it_names_every_faulty_parameter(client: APIClient) -> None:
    response = client.get("/api/v1/ranges/?days=31&start=yesterday&colour=red")
    assert response.status_code == 400
    assert faults(response) == {"days": "max_value", "start": "invalid", "colour": "unknown_parameter"}


def test_it_refuses_a_parameter_that_is_repeated(client: APIClient) -> None:
    assert faults(client.get("/api/v1/ranges/?days=1&days=2")) == {"days": "repeated_parameter"}


def test_it_refuses_any_parameter_where_there_is_none(client: APIClient, user: User) -> None:
    client.force_authenticate(user)
    assert faults(client.get("/api/v1/private/?page=1")) == {"page": "unknown_parameter"}


@pytest.mark.usefixtures("people")
def test_it_cuts_a_list_into_numbered_pages(client: APIClient) -> None:
    page = client.get("/api/v1/numbered/").json()
    assert {name: page[name] for name in ("count", "page", "page_size", "pages", "previous")} == {
        "count": 120,
        "page": 1,
        "page_size": 50,
        "pages": 3,
        "previous": None,
    }
    seen = [row["email"] for row in page["results"]]
    while page["next"]:
        page = client.get(page["next"]).json()
        seen += [row["email"] for row in page["results"]]
    assert seen == [f"person{number:03}@example.com" for number in range(120)]


@pytest.mark.usefixtures("people")
def test_it_gives_the_largest_page_whole(client: APIClient) -> None:
    assert len(client.get("/api/v1/numbered/?page_size=250").json()["results"]) == 120


@pytest.mark.parametrize("path", ["numbered", "cursored"])
@pytest.mark.parametrize(
    ("size", "code"),
    [("0", "min_value"), ("251", "max_value"), ("-1", "invalid"), ("many", "invalid"), ("", "invalid")],
)
@pytest.mark.django_db
def test_it_refuses_a_page_size_out_of_range(client: APIClient, path: str, size: str, code: str) -> None:
    response = client.get(f"/api/v1/{path}/?page_size={size}")
    assert response.status_code == 400
    assert faults(response) == {"page_size": code}


@pytest.mark.parametrize(
    ("number", "code"), [("0", "min_value"), ("last", "invalid"), ("1.5", "invalid"), ("\u00b2", "invalid")]
)
@pytest.mark.django_db
def test_it_refuses_a_page_that_is_no_number(client: APIClient, number: str, code: str) -> None:
    assert faults(client.get("/api/v1/numbered/", {"page": number})) == {"page": code}


@pytest.mark.usefixtures("people")
def test_it_answers_404_past_the_last_page(client: APIClient) -> None:
    response = client.get("/api/v1/numbered/?page=4")
    assert (response.status_code, error(response)["code"]) == (404, "not_found")


@pytest.mark.django_db
def test_it_answers_an_empty_first_page_for_an_empty_list(client: APIClient) -> None:
    page = client.get("/api/v1/numbered/").json()
    assert (page["count"], page["pages"], page["results"]) == (0, 1, [])


@pytest.mark.usefixtures("people")
def test_it_walks_a_ledger_by_cursor_without_a_gap(client: APIClient) -> None:
    page = client.get("/api/v1/cursored/?page_size=50").json()
    assert list(page) == ["next", "previous", "results"]
    seen = [row["email"] for row in page["results"]]
    User.objects.create(email="aaa@example.com")  # a row that arrives before the cursor moves nothing
    while page["next"]:
        page = client.get(page["next"]).json()
        seen += [row["email"] for row in page["results"]]
    assert seen == [f"person{number:03}@example.com" for number in range(120)]


@pytest.mark.parametrize("cursor", ["nonsense", "cD3/", "%00", "", "eD0x"])
@pytest.mark.usefixtures("people")
def test_it_refuses_a_cursor_that_was_built_by_hand(client: APIClient, cursor: str) -> None:
    response = client.get(f"/api/v1/cursored/?cursor={cursor}")
    assert response.status_code == 400
    assert faults(response) == {"cursor": "invalid"}
