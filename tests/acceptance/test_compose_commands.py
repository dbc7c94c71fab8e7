"""The commands of docker-compose.yml, run outside containers against real RabbitMQ and PostgreSQL.

No engine runs where these tests do. What is the same inside and outside is taken from the file itself: every command,
every variable, the health checks and the script that makes the databases; only the addresses are replaced.
"""

import http.client
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from local_stack.health import free_port
from local_stack.plan import CHECKOUT, DEFAULT_DOCS_PORTS, SERVICES
from tests.support.servers import ADMINISTRATOR, HOST, rabbitmq_vhost

pytestmark = [pytest.mark.rabbitmq, pytest.mark.postgresql, pytest.mark.slow]

DEADLINE_SECONDS = 60.0
COMPOSE: dict[str, Any] = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())["services"]
PREPARATIONS = [name for name in COMPOSE if name.endswith("-database")]
SERVERS = [*(name.replace("_", "-") for name in SERVICES), "page", "docs"]
PAGE_PORT = 5000


@contextmanager
def databases() -> Iterator[str]:
    """The file's own script with the names of this run; gives the prefix of its roles and databases."""
    prefix = f"t{secrets.token_hex(4)}_"
    script = (CHECKOUT / "containers" / "postgres" / "create_databases.sql").read_text()
    script = re.sub(r"\b(\w+_service)\b", prefix + r"\1", re.sub(r"--.*", "", script))
    names = [prefix + service for service in SERVICES]
    try:
        run_sql(statement for statement in script.split(";") if statement.strip())
        yield prefix
    finally:
        run_sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)" for name in names)
        run_sql(f"DROP ROLE IF EXISTS {name}" for name in names)


def run_sql(statements: Iterator[str]) -> None:
    with psycopg.connect(ADMINISTRATOR, autocommit=True) as administrator:
        for statement in statements:
            administrator.execute(statement)


class Containers:
    """As `docker compose` would start them, as far as that matters to the commands."""

    def __init__(self, broker: str, prefix: str, logs: Path) -> None:
        self._broker = broker
        self._prefix = prefix
        self._logs = logs
        self._ports = {str(port): str(free_port(HOST)) for port in (PAGE_PORT, *DEFAULT_DOCS_PORTS.values())}
        self.port = int(self._ports[str(PAGE_PORT)])
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def environment(self, name: str) -> dict[str, str]:
        """The container's variables, with the defaults that the file gives and the addresses of this machine."""
        given = {
            key: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value) for key, value in COMPOSE[name]["environment"].items()
        }
        for key, value in given.items():
            if key.endswith("_DATABASE_URL"):
                given[key] = re.sub(r"\b(\w+_service)\b", self._prefix + r"\1", value).replace(
                    "@postgres:", f"@{HOST}:"
                )
        given["CELERY_BROKER"] = self._broker
        if "ORDER_SERVICE_PORT" in given:
            given.update(ORDER_SERVICE_PORT=str(self.port), ORDER_SERVICE_HOST=HOST)
        # Of this machine's own variables only what a process needs to run: none of them is in a container.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        image = {"PYTHONPATH": f"{CHECKOUT}:{CHECKOUT / 'app_common'}", "PYTHONUNBUFFERED": "1", "PATH": path}
        return {**image, **given}

    def run(self, name: str) -> None:
        result = subprocess.run(
            COMPOSE[name]["command"],
            cwd=CHECKOUT,
            env=self.environment(name),
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE_SECONDS,
        )
        assert result.returncode == 0, result.stdout + result.stderr

    def start(self, name: str) -> None:
        with (self._logs / name).open("wb") as log:
            self._running[name] = subprocess.Popen(
                self._on_this_machine(COMPOSE[name]["command"]),
                cwd=CHECKOUT,
                env=self.environment(name),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _on_this_machine(self, command: list[str]) -> list[str]:
        """The ports of this run instead of the containers' own, and loopback alone."""
        ports = re.compile("|".join(rf"\b{port}\b" for port in self._ports))
        command = [ports.sub(lambda port: self._ports[port.group()], part) for part in command]
        return [part.replace("0.0.0.0", HOST) for part in command]

    def log(self, name: str) -> str:
        return (self._logs / name).read_text()

    def is_healthy(self, name: str) -> bool:
        """The container's own health check."""
        assert self._running[name].poll() is None, self.log(name)
        kind, *command = COMPOSE[name]["healthcheck"]["test"]
        command = [part.replace("$$", "$") for part in self._on_this_machine(command)]
        result = subprocess.run(
            ["sh", "-c", *command] if kind == "CMD-SHELL" else command,
            cwd=CHECKOUT,
            env=self.environment(name),
            capture_output=True,
            check=False,
            timeout=DEADLINE_SECONDS,
        )
        return result.returncode == 0

    def stop(self) -> dict[str, int]:
        for process in self._running.values():
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        return {name: process.wait(timeout=30.0) for name, process in self._running.items()}

    def kill(self) -> None:
        for process in self._running.values():
            process.kill()
            process.wait()


@pytest.fixture
def containers(tmp_path: Path) -> Iterator[Containers]:
    with rabbitmq_vhost() as broker, databases() as prefix:
        containers = Containers(broker, prefix, tmp_path)
        try:
            yield containers
        finally:
            containers.kill()


def test_the_commands_of_the_containers_carry_a_saga_to_its_end_and_stop_warm(containers: Containers) -> None:
    for name in PREPARATIONS:
        containers.run(name)
        containers.run(name)  # restarted containers prepare again
    for name in SERVERS:
        containers.start(name)
    for name in SERVERS:
        wait_for(lambda name=name: containers.is_healthy(name), lambda name=name: containers.log(name))  # type: ignore[misc]

    saga_id = launch(containers.port, "/run-success-saga")
    wait_for(lambda: saga(containers.port, saga_id)["status"] == "succeeded", lambda: containers.log("order-service"))
    assert saga(containers.port, saga_id)["order"]["status"] == "approved"

    assert set(containers.stop().values()) == {0}
    for name in SERVERS:
        assert "Traceback" not in containers.log(name)


def test_a_database_of_the_containers_lets_only_its_own_service_in(containers: Containers) -> None:
    url = containers.environment("consumer-service")["CONSUMER_SERVICE_DATABASE_URL"].replace("+psycopg", "")
    psycopg.connect(url).close()
    others = re.sub(r"/(\w+)_consumer_service$", r"/\1_order_service", url)
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(others)


def wait_for(condition: Callable[[], bool], explanation: Callable[[], str]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, explanation()
        time.sleep(0.05)


def launch(port: int, path: str) -> str:
    with closing(http.client.HTTPConnection(HOST, port, timeout=10.0)) as connection:
        connection.request("POST", path, body=b"")
        response = connection.getresponse()
        assert response.status == http.client.SEE_OTHER
        return response.headers["Location"].rsplit("/", 1)[1]


def saga(port: int, saga_id: str) -> dict[str, Any]:
    with closing(http.client.HTTPConnection(HOST, port, timeout=10.0)) as connection:
        connection.request("GET", f"/api/sagas/{saga_id}")
        found = json.loads(connection.getresponse().read())
        assert isinstance(found, dict)
        return found
