"""The registry in pages: cards for everyone, steps for staff, each with a reason and a confirmation."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.test import Client
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from accounts.models import User
from markets.models import Cryptocurrency
from predictions import registry, training
from predictions.models import ModelAlarm, TrainedModel
from predictions.tests.conftest import MIDNIGHT, copy_of
from predictions.tests.ledger import make_coin, make_ledger, make_model

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PASSWORD = "correct horse battery"


@pytest.fixture
def staff_client(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_user("staff@example.com", PASSWORD, is_staff=True))
    return client


@pytest.fixture
def candidate(serving: TrainedModel, tmp_path: Path) -> TrainedModel:
    return copy_of(serving, tmp_path, "candidate")


def read(client: Client, address: str, status: int = 200) -> str:
    answer = client.get(address)
    assert answer.status_code == status
    return answer.content.decode()


def test_it_lists_every_version_with_what_it_is_used_for(serving: TrainedModel, candidate: TrainedModel) -> None:
    registry.shadow(model=candidate, reason="Not worse on held-out days.")
    html = read(Client(), "/models/")
    assert html.index(serving.version) < html.index('href="/models/candidate/"'), "the champion comes first"
    assert "Not worse on held-out days." in html
    assert "Manage" not in html


@pytest.mark.django_db
def test_it_says_what_a_site_without_a_model_waits_for() -> None:
    assert "The starter model is registered with the first jobs" in read(Client(), "/models/")


def test_it_shows_a_models_card_with_its_data_figures_limits_and_history(serving: TrainedModel) -> None:
    make_ledger(make_coin(), serving, dates=5, scored=4)
    ModelAlarm.objects.create(model=serving, kind="drift", message="Its inputs differ.")
    html = read(Client(), f"/models/{serving.version}/")
    row = next(row for row in serving.metrics["validation"]["rows"] if (row["model"], row["horizon"]) == ("lstm", 1))
    for fact in (
        serving.dataset_sha256,
        "It claims no direction",
        "back-test, not evidence",
        f"{row['against']['fhs']['skill']:+.2%}",
        f"{row['against']['ewma_n']['skill']:+.2%}",
        "Linear head vs FHS",
        "The starter model serves until this site has trained its own.",
        "Its inputs differ.",
        "model.onnx",
    ):
        assert fact in html
    assert serving.folder not in html
    assert "staff@" not in html


@pytest.mark.parametrize("version", ["nonesuch", "%00"])
@pytest.mark.django_db
def test_it_answers_for_an_unknown_model_in_words(version: str) -> None:
    assert "The registry holds no model called" in read(Client(), f"/models/{version}/", status=404)


@pytest.mark.parametrize("address", ["/ops/models/", "/ops/models/candidate/step/?step=promote"])
def test_it_keeps_the_registry_for_staff(candidate: TrainedModel, address: str) -> None:
    visitor, member = Client(), Client()
    member.force_login(User.objects.create_user("alice@example.com", PASSWORD))
    for client in (visitor, member):
        answer = client.get(address)
        assert (answer.status_code, answer.headers["Location"].startswith("/sign-in/")) == (302, True)
    member.post("/ops/models/candidate/step/", {"step": "promote", "reason": "x", "is_confirmed": "1"})
    candidate.refresh_from_db()
    assert candidate.state == "candidate"


def test_it_takes_a_step_only_with_a_reason_and_after_it_was_confirmed(
    staff_client: Client, candidate: TrainedModel, serving: TrainedModel
) -> None:
    address = "/ops/models/candidate/step/"
    assert "Make champion: candidate" in read(staff_client, f"{address}?step=promote")
    answer = staff_client.post(address, {"step": "promote", "reason": " ", "is_confirmed": "1"})
    assert answer.status_code == 400
    answer = staff_client.post(address, {"step": "promote", "reason": "Better over 90 dates."})
    assert "Yes: make champion" in answer.content.decode()
    assert TrainedModel.objects.serving() == serving
    staff_client.post(address, {"step": "promote", "reason": "Better over 90 dates.", "is_confirmed": "1"})
    assert TrainedModel.objects.serving() == candidate
    assert candidate.events.get().by == User.objects.get(email="staff@example.com")


def test_it_asks_for_the_token_against_forgery(candidate: TrainedModel) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_user("staff@example.com", PASSWORD, is_staff=True))
    body = {"step": "promote", "reason": "Forged.", "is_confirmed": "1"}
    assert client.post("/ops/models/candidate/step/", body).status_code == 403


@pytest.mark.parametrize(("step", "state"), [("rollback", "candidate"), ("retire", "serving"), ("erase", "serving")])
def test_it_offers_no_step_that_a_models_state_forbids(
    staff_client: Client, candidate: TrainedModel, serving: TrainedModel, step: str, state: str
) -> None:
    version = candidate.version if state == "candidate" else serving.version
    answer = staff_client.post(
        f"/ops/models/{version}/step/", {"step": step, "reason": "Try.", "is_confirmed": "1"}, follow=True
    )
    assert "it cannot take that step" in answer.content.decode()
    assert TrainedModel.objects.serving() == serving


def test_it_tells_staff_that_bad_files_kept_a_model_out(
    staff_client: Client, candidate: TrainedModel, serving: TrainedModel
) -> None:
    shutil.rmtree(candidate.folder)
    body = {"step": "promote", "reason": "Try.", "is_confirmed": "1"}
    html = staff_client.post("/ops/models/candidate/step/", body, follow=True).content.decode()
    assert "nothing was changed" in html
    assert TrainedModel.objects.serving() == serving


def test_it_shows_staff_alarms_drift_and_live_figures(staff_client: Client, serving: TrainedModel) -> None:
    ModelAlarm.objects.create(model=serving, kind="expired", message="Too old.", stops_headline=True)
    html = read(staff_client, "/ops/models/")
    assert "The champion is not the headline." in html
    assert "stops the headline" in html
    assert "Roll back" not in html, "there is no champion before the first one"


# The record's filter --------------------------------------------------------------------------------


@pytest.mark.django_db
def test_it_filters_the_record_by_the_address() -> None:
    model = make_model("lstm-1", "retired")
    make_ledger(make_coin(), model, dates=60, scored=50)
    make_ledger(make_coin("ethereum"), make_model("lstm-2"), dates=10, scored=10)
    html = read(Client(), "/track-record/?coin=bitcoin&horizon_days=1&start=2026-01-11&end=2026-02-01&model=lstm-1")
    assert html.count('<th scope="row" class="nowrap">1 day</th>') == 1
    assert '<dd class="num">21</dd>' in html, "the dates from 11 to 31 January"
    assert "Ethereum" not in html[html.index("coins-caption") :]
    assert "api/v1/predictions/track-record/export/?coin=bitcoin&amp;horizon_days=1" in html
    assert 'value="2026-01-11"' in html
    assert '<option value="bitcoin" selected>' in html


@pytest.mark.parametrize(
    "address", ["?start=soon", "?horizon_days=4", "?coin=nonesuch", "?start=2026-02-01&end=2026-01-01"]
)
@pytest.mark.django_db
def test_it_says_what_is_wrong_with_a_filter(address: str) -> None:
    make_ledger(make_coin(), make_model(), dates=2, scored=2)
    html = read(Client(), f"/track-record/{address}", status=400)
    assert '<p class="error">' in html


@pytest.mark.django_db
def test_it_shows_retired_models_and_coverage_by_month() -> None:
    make_ledger(make_coin(), make_model("lstm-1", "retired"), dates=60, scored=50)
    html = read(Client(), "/track-record/")
    assert 'href="/models/lstm-1/"' in html
    assert "Feb 2026" in html
    assert "coverage-figure" in html


# In a browser ---------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_it_takes_a_trained_challenger_from_the_shadow_to_the_top_and_back(
    browser: "Browser",
    live_server: LiveServer,
    serving: TrainedModel,
    long_history: list[Cryptocurrency],
    settings: Settings,
    tmp_path: Path,
) -> None:
    settings.MODELS_DIR = tmp_path / "models"
    challenger = training.train_model(cutoff_on=MIDNIGHT.date())
    TrainedModel.objects.filter(pk=challenger.pk).update(state="candidate", version="challenger")
    TrainedModel.objects.filter(pk=serving.pk).update(state="serving")
    User.objects.create_user("staff@example.com", PASSWORD, is_staff=True)
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.set_default_timeout(10_000)
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(f"{live_server.url}/ops/models/")
    page.get_by_label("E-mail address").fill("staff@example.com")
    page.locator("input[type=password]").fill(PASSWORD)
    page.locator("form.form button[type=submit]").click()
    page.wait_for_url("**/ops/models/")
    for link, confirm, state, champion in (
        ("Run in shadow challenger", "Yes: run in shadow", "shadow", serving),
        ("Make champion challenger", "Yes: make champion", "serving", challenger),
        ("Roll back challenger", "Yes: roll back", "retired", serving),
    ):
        page.get_by_role("link", name=link).click()
        page.get_by_label("Why").fill("Because the test says so.")
        page.get_by_role("button", name="Go on").click()
        page.get_by_role("button", name=confirm).click()
        page.wait_for_url("**/ops/models/")
        page.get_by_role("status").first.wait_for()
        challenger.refresh_from_db()
        assert (challenger.state, TrainedModel.objects.serving()) == (state, champion)
    page.goto(f"{live_server.url}/models/challenger/")
    assert "Rolled back" in page.locator("body").inner_text()
    wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    context.close()
    assert (errors, wider) == ([], 0)
