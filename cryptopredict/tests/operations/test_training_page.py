"""The page of one training: queued, running, killed and gone on, failed, finished; never to be seen by others."""

import re
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from cryptopredict.operations.models import TaskRun
from cryptopredict.tests.test_site_pages import Outline
from predictions.models import TrainedModel

pytestmark = pytest.mark.django_db
ADDRESS = "/ops/training/7/"
AGAINST = {"baseline": "fhs", "label": "equals_baseline", "skill": 0.0123, "interval": [-0.01, 0.03], "n_dates": 91}
ROWS = [
    {
        "model": "lstm",
        "horizon": 7,
        "n_dates": 91,
        "coverage_80": 0.79,
        "coverage_95": 0.95,
        "against": {"fhs": AGAINST},
    }
]


def add_run(state: str, **columns: Any) -> TaskRun:
    return TaskRun.objects.create(task_id="7", name="predictions.train_model", state=state, **columns)


def add_model(state: str, **columns: Any) -> TrainedModel:
    metrics = {"task_id": "7", "curve": {"validation": [[0.5, 0.3], [1.0, 0.25], [1.5, 0.2]]}} | columns.pop(
        "metrics", {}
    )
    usable = {"folder": "/x", "manifest_sha256": "a" * 64, "cutoff_on": timezone.now().date()}
    return TrainedModel.objects.create(
        version="lstm-7", state=state, origin="own", done=1, total=12, metrics=metrics, **usable, **columns
    )


@pytest.fixture
def read(client: Client, staff_user: User) -> Any:
    client.force_login(staff_user)

    def page() -> str:
        answer = client.get(ADDRESS)
        assert answer.status_code == 200
        html = answer.content.decode()
        Outline(html)
        assert not re.search(r"<script(?![^>]*(src=|application/json))", html), "no script stands in the page"
        assert " style=" not in html
        return html

    return page


def test_it_shows_a_training_to_staff_only(client: Client, alice: User) -> None:
    add_run("running")
    assert client.get(ADDRESS)["Location"] == f"/sign-in/?next={ADDRESS}"
    client.force_login(alice)
    assert client.get(ADDRESS).status_code == 403


def test_it_knows_trainings_only(client: Client, staff_user: User) -> None:
    TaskRun.objects.create(task_id="7", name="markets.sync_all_prices", state="running")
    client.force_login(staff_user)
    assert client.get(ADDRESS).status_code == 404


def test_it_waits_with_one_that_is_queued(read: Any) -> None:
    add_run("queued")
    html = read()
    assert "waits for the trainer" in html
    assert 'hx-trigger="every 1s"' in html
    assert "No epoch has begun yet." in html


def test_it_counts_epochs_and_gives_the_curve_as_figure_and_as_table(read: Any) -> None:
    add_run("running", started_at=timezone.now())
    add_model("training")
    html = read()
    assert "epoch 1 of 12" in html
    assert '"x": [0.5, 1.0, 1.5], "y": [0.3, 0.25, 0.2]' in html
    assert re.search(r"LSTM without the held-out days</th><td class=\"num\">1</td><td class=\"num\">0.2500</td>", html)
    assert 'hx-trigger="every 1s"' in html


def test_it_says_that_a_killed_one_went_on(read: Any) -> None:
    add_run("running", started_at=timezone.now(), deliveries=2)
    add_model("training", metrics={"resumed": [{"stage": "validation", "epoch": 2}]})
    assert "LSTM without the held-out days: it went on after epoch 2." in read()


def test_it_says_why_one_failed(read: Any) -> None:
    add_run("succeeded")
    add_model("failed", problem="too little history to train on: 3 of 90 dates")
    html = read()
    assert "too little history to train on: 3 of 90 dates" in html
    assert "hx-trigger" not in html


def test_it_ends_with_what_came_of_it(read: Any) -> None:
    add_run("succeeded")
    add_model("shadow", metrics={"validation": {"rows": ROWS}}, reason="Not worse than FHS.")
    html = read()
    assert 'href="/models/lstm-7/"' in html
    assert "Not worse than FHS." in html
    assert "+1.23%" in html
    assert "79.0%" in html
    assert "hx-trigger" not in html


@pytest.mark.parametrize(("frequency", "horizon"), [("1d", "7 days"), ("1h", "7 hours")])
def test_it_names_horizons_in_the_unit_of_the_model(read: Any, frequency: str, horizon: str) -> None:
    add_run("succeeded")
    add_model("shadow", metrics={"validation": {"rows": ROWS}}, frequency=frequency)
    assert re.findall(r'class="nowrap">(7 \w+)</th>', read()) == [horizon]


def test_it_leads_there_from_the_registry(client: Client, staff_user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    from cryptopredict.operations import control

    monkeypatch.setattr(control, "_publish", lambda *_: None)
    client.force_login(staff_user)
    assert b"Train a model now" in client.get("/ops/models/").content
    answer = client.post("/ops/tasks/start/", {"name": "predictions.train_model"})
    run = TaskRun.objects.get(name="predictions.train_model")
    assert answer["Location"] == f"/ops/training/{run.task_id}/"
    again = client.post("/ops/tasks/start/", {"name": "predictions.train_model"})
    assert again["Location"] == f"/ops/training/{run.task_id}/"
