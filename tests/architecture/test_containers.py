"""What can be known about the container files without an engine."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from local_stack.plan import (
    CHECKOUT,
    DEFAULT_DOCS_PORTS,
    SERVICES,
    docs_command,
    docs_variable,
    page_command,
    preparation_command,
    worker_command,
)
from messaging import accounting_service_messaging, consumer_service_messaging, restaurant_service_messaging
from messaging.order_service_messaging import CREATE_ORDER_SAGA_RESPONSE_QUEUE
from tests.support import npm

WHOLE = CHECKOUT / "docker-compose.yml"
SERVERS_ALONE = CHECKOUT / "docker-compose.local.yaml"
FILES = (WHOLE, SERVERS_ALONE)

SERVICE_KEYS = {
    "build", "cap_drop", "command", "depends_on", "environment", "healthcheck", "hostname", "image", "init", "ports",
    "read_only", "restart", "security_opt", "stop_grace_period", "tmpfs", "user", "volumes",
}  # fmt: skip
HEALTH_KEYS = {"test", "interval", "timeout", "retries", "start_period", "start_interval"}
CONDITIONS = {"service_healthy", "service_completed_successfully"}
DURATION = re.compile(r"\d+(ms|s|m)")


def compose(file: Path) -> dict[str, Any]:
    content = yaml.safe_load(file.read_text())
    assert isinstance(content, dict)
    return content


def every_service() -> list[Any]:
    return [
        pytest.param(file, name, service, id=f"{file.name}:{name}")
        for file in FILES
        for name, service in compose(file)["services"].items()
    ]


def runs_once(service: dict[str, Any]) -> bool:
    return "prepare_database" in " ".join(service.get("command", []))


@pytest.mark.parametrize(("file", "name", "service"), every_service())
def test_a_service_is_written_in_words_that_compose_knows(file: Path, name: str, service: dict[str, Any]) -> None:
    assert set(service) <= SERVICE_KEYS
    for key in ("cap_drop", "ports", "security_opt", "tmpfs", "volumes", "command"):
        assert all(isinstance(item, str) for item in service.get(key, [])), key
    # A number or a yes in YAML is not the text that the process will see.
    assert all(isinstance(value, str) for value in service.get("environment", {}).values())
    for key in ("interval", "timeout", "start_period", "start_interval"):
        assert DURATION.fullmatch(service.get("healthcheck", {}).get(key, "1s"))


@pytest.mark.parametrize(("file", "name", "service"), every_service())
def test_no_process_inside_is_root(file: Path, name: str, service: dict[str, Any]) -> None:
    assert service["user"].split(":")[0] not in ("", "root", "0")
    assert "no-new-privileges:true" in service["security_opt"]


@pytest.mark.parametrize(("file", "name", "service"), every_service())
def test_what_stays_up_has_a_health_check_and_comes_back(file: Path, name: str, service: dict[str, Any]) -> None:
    if runs_once(service):
        assert service["restart"].startswith("on-failure")
        return
    health = service["healthcheck"]
    assert set(health) == HEALTH_KEYS
    assert health["test"][0] in ("CMD", "CMD-SHELL")
    assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize(("file", "name", "service"), every_service())
def test_a_service_starts_only_after_what_it_needs_is_healthy(file: Path, name: str, service: dict[str, Any]) -> None:
    others = compose(file)["services"]
    for needed, how in service.get("depends_on", {}).items():
        assert needed in others
        assert how["condition"] in CONDITIONS
        assert runs_once(others[needed]) == (how["condition"] == "service_completed_successfully")


@pytest.mark.parametrize(("file", "name", "service"), every_service())
def test_ports_are_published_on_loopback_only(file: Path, name: str, service: dict[str, Any]) -> None:
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in service.get("ports", []))


@pytest.mark.parametrize(("file", "name", "service"), every_service())
def test_an_image_is_pinned_by_a_tag(file: Path, name: str, service: dict[str, Any]) -> None:
    _, _, tag = service["image"].rpartition(":")
    assert re.match(r"\d+\.\d+", tag)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_volumes_that_are_used_are_declared_or_are_files_of_the_checkout(file: Path) -> None:
    content = compose(file)
    used = {volume.split(":")[0] for service in content["services"].values() for volume in service.get("volumes", [])}
    named = {volume for volume in used if not volume.startswith("./")}
    assert named == set(content["volumes"])
    assert all((CHECKOUT / volume).is_file() for volume in used - named)


def test_the_containers_run_the_commands_of_the_local_stack() -> None:
    services = compose(WHOLE)["services"]
    for service in SERVICES:
        name = service.replace("_", "-")
        assert services[name]["command"] == worker_command(service)
        assert services[f"{name}-database"]["command"] == preparation_command(service)
    assert services["page"]["command"] == page_command()
    assert services["docs"]["command"] == docs_command(DEFAULT_DOCS_PORTS, "http://127.0.0.1:5000", "0.0.0.0")


def test_every_contracts_port_is_published_told_to_the_page_and_asked_for_its_health() -> None:
    docs, page = (compose(WHOLE)["services"][name] for name in ("docs", "page"))
    assert docs["ports"] == [f"127.0.0.1:{port}:{port}" for port in DEFAULT_DOCS_PORTS.values()]
    for service, port in DEFAULT_DOCS_PORTS.items():
        assert page["environment"][docs_variable(service)] == str(port)
        assert str(port) in docs["healthcheck"]["test"][-1]


def test_a_workers_health_is_asked_of_its_own_queue() -> None:
    queues = {
        "order_service": CREATE_ORDER_SAGA_RESPONSE_QUEUE,
        "consumer_service": consumer_service_messaging.COMMANDS_QUEUE,
        "restaurant_service": restaurant_service_messaging.COMMANDS_QUEUE,
        "accounting_service": accounting_service_messaging.COMMANDS_QUEUE,
    }
    for service, queue in queues.items():
        test = compose(WHOLE)["services"][service.replace("_", "-")]["healthcheck"]["test"][1]
        assert test.startswith(f"celery --app {service}.worker amqp queue.declare {queue} true ")


@pytest.mark.parametrize("service", SERVICES)
def test_a_services_readme_starts_it_as_the_containers_do(service: str) -> None:
    readme = (CHECKOUT / service / "README.md").read_text()
    assert " ".join(worker_command(service)) in readme
    assert " ".join(preparation_command(service)) in readme


def test_each_service_sees_its_own_database_and_no_other() -> None:
    services = compose(WHOLE)["services"]
    for service in SERVICES:
        name = service.replace("_", "-")
        for container in (name, f"{name}-database"):
            databases = {key for key in services[container]["environment"] if key.endswith("_DATABASE_URL")}
            assert databases == {f"{service.upper()}_DATABASE_URL"}


def test_every_service_has_a_database_and_a_role_of_its_own() -> None:
    script = (CHECKOUT / "containers" / "postgres" / "create_databases.sql").read_text()
    for service in SERVICES:
        assert f"CREATE DATABASE {service} OWNER {service};" in script
        assert f"REVOKE CONNECT ON DATABASE {service} FROM PUBLIC;" in script


def test_the_image_has_stages_ends_as_an_ordinary_user_and_takes_only_what_it_needs() -> None:
    lines = (CHECKOUT / "Dockerfile").read_text().splitlines()
    assert [line.split()[-2:] for line in lines if line.startswith("FROM ")] == [
        ["AS", "build"],
        ["FROM", "python:3.12-slim-bookworm"],
    ]
    assert next(line for line in reversed(lines) if line.startswith("USER ")) == "USER 10001:10001"
    assert not any(line.startswith("ADD ") or re.match(r"COPY \. ", line) for line in lines)


def test_everything_the_image_copies_exists_and_is_sent_to_the_engine() -> None:
    lines = (CHECKOUT / "Dockerfile").read_text().splitlines()
    sent = {line[1:] for line in (CHECKOUT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for line in lines:
        if line.startswith("COPY ") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert (CHECKOUT / source).exists(), source
                assert source in sent, f"{source} is kept from the engine by .dockerignore"


def test_a_dockerfile_linter_has_nothing_to_say() -> None:
    linter = npm.module("dockerfilelint") / "bin" / "dockerfilelint"
    result = subprocess.run([linter, "Dockerfile"], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
