"""The files that an installation is made from: requirements, environment, Compose, Dockerfile, Procfile."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft201909Validator

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = Path(__file__).parent / "data" / "compose-spec" / "compose_spec.json"
APPS = ("cryptopredict", "accounts", "markets", "predictions", "portfolios")


def text(name: str) -> str:
    return (ROOT / name).read_text()


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(text("docker-compose.yml"))
    return loaded


def compose_errors(document: dict[str, Any]) -> list[str]:
    return [error.message for error in Draft201909Validator(json.loads(SCHEMA.read_text())).iter_errors(document)]


class TestCompose:
    def test_it_is_valid_under_the_compose_specifications_schema(self, compose: dict[str, Any]) -> None:
        assert compose_errors(compose) == []

    def test_it_would_not_be_valid_with_a_misspelt_key(self, compose: dict[str, Any]) -> None:
        web = {**compose["services"]["web"], "health_check": {}}
        assert compose_errors({**compose, "services": {"web": web}})

    def test_it_has_every_process_and_each_but_the_migration_has_a_health_check(self, compose: dict[str, Any]) -> None:
        services = compose["services"]
        assert set(services) == {"migrate", "web", "worker", "trainer", "beat", "postgres", "redis"}
        assert {name for name, service in services.items() if "healthcheck" not in service} == {"migrate"}

    def test_it_serves_every_queue_that_a_job_is_routed_to(self, compose: dict[str, Any]) -> None:
        from django.conf import settings

        routed = {route["queue"] for route in settings.CELERY_TASK_ROUTES.values()}
        routed.add(settings.CELERY_TASK_DEFAULT_QUEUE)
        commands = [service.get("command", []) for service in compose["services"].values()]
        served = {
            name for command in commands if "-Q" in command for name in command[command.index("-Q") + 1].split(",")
        }
        assert served == routed

    def test_it_trains_only_where_tensorflow_is(self, compose: dict[str, Any]) -> None:
        targets = {
            name: service["build"]["target"] for name, service in compose["services"].items() if "build" in service
        }
        assert {name for name, target in targets.items() if target == "trainer"} == {"trainer"}

    def test_it_keeps_data_in_named_volumes_and_publishes_the_web_to_this_host_only(
        self, compose: dict[str, Any]
    ) -> None:
        used = {
            volume.split(":")[0] for service in compose["services"].values() for volume in service.get("volumes", [])
        }
        assert used == set(compose["volumes"])
        ports = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}
        assert list(ports) == ["web"]
        assert ports["web"][0].startswith("127.0.0.1:")

    def test_it_takes_every_secret_from_the_environment_and_refuses_to_start_without(self) -> None:
        for line in text("docker-compose.yml").splitlines():
            if re.search(r"^\s*(SECRET_KEY|JWT_SIGNING_KEY|POSTGRES_PASSWORD|COINGECKO_API_KEY):", line):
                assert re.search(r'"\$\{\w+:\?', line), line
        assert re.search(r"://cryptopredict:\$\{POSTGRES_PASSWORD:\?", text("docker-compose.yml"))


class TestDockerfile:
    def test_it_copies_every_app_and_folder_that_the_site_needs(self) -> None:
        copied = set(re.findall(r"^COPY (\S+) \S+$", text("Dockerfile"), re.MULTILINE))
        assert copied >= {*APPS, "templates", "static", "locale", "manage.py"}

    def test_it_installs_tensorflow_in_the_trainer_only_and_runs_as_nobody_special(self) -> None:
        base, trainer = text("Dockerfile").split("FROM web AS trainer")
        assert "-r requirements.txt" in trainer
        assert "-r requirements.txt" not in base
        assert trainer.rindex("USER cryptopredict") > trainer.rindex("USER root")
        assert "tensorflow" not in text("requirements-web.txt")


class TestEnvironment:
    def test_it_explains_every_variable_that_the_settings_read(self) -> None:
        read = set(re.findall(r'env_(?:text|int|flag|list)\("([A-Z0-9_]+)"', text("cryptopredict/settings.py")))
        read |= set(re.findall(r"\$\{([A-Z_]+)", text("docker-compose.yml")))
        explained = set(re.findall(r"^#([A-Z0-9_]+)=", text(".env.example"), re.MULTILINE))
        assert len(read) > 30
        assert explained - read == {"DATA"}  # of make run alone
        assert read - explained == set()

    def test_it_sets_nothing_and_holds_no_secret(self) -> None:
        assert [line for line in text(".env.example").splitlines() if line and not line.startswith("#")] == []
        for name in ("SECRET_KEY", "JWT_SIGNING_KEY", "POSTGRES_PASSWORD", "COINGECKO_API_KEY", "EMAIL_HOST_PASSWORD"):
            assert f"\n#{name}=\n" in text(".env.example")


class TestRequirements:
    FILES = ("requirements-web.txt", "requirements.txt", "requirements-dev.txt", "constraints.txt")

    @pytest.mark.parametrize("name", FILES)
    def test_it_pins_every_version_exactly(self, name: str) -> None:
        lines = [line for line in text(name).splitlines() if line and not line.startswith(("#", "-r ", "-c "))]
        assert lines
        assert [line for line in lines if not re.fullmatch(r"[\w.-]+(\[[\w-]+\])?==[\w.]+", line)] == []

    def test_it_agrees_with_the_constraints(self) -> None:
        def pins(name: str) -> dict[str, str]:
            found = re.findall(r"^([\w.-]+)(?:\[[\w-]+\])?==(\S+)$", text(name), re.MULTILINE)
            return {re.sub(r"[-_.]+", "-", package).lower(): version for package, version in found}

        constraints = pins("constraints.txt")
        for name in self.FILES[:3]:
            for package, version in pins(name).items():
                assert constraints[package] == version


def test_it_has_a_procfile_for_each_process_of_the_site() -> None:
    lines = dict(line.split(": ", 1) for line in text("Procfile").splitlines())
    assert set(lines) == {"web", "worker", "trainer", "beat"}
    assert "-Q training" in lines["trainer"]
