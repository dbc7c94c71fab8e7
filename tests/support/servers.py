"""The servers of this machine, and a corner of one's own in them: nothing here touches what was there before."""

import base64
import contextlib
import http.client
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import psycopg
import pytest

from tests.support.missing import missing

HOST = "127.0.0.1"
CONNECT_SECONDS = 2.0
ADMINISTRATOR = f"postgresql://postgres@{HOST}:5432/postgres"
MANAGEMENT_PORT = 15672


@dataclass(frozen=True)
class Server:
    name: str
    marker: str
    port: int

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @cache  # noqa: B019 - two of them, for one run of the tests
    def answers(self) -> bool:
        try:
            socket.create_connection((HOST, self.port), timeout=CONNECT_SECONDS).close()
        except OSError:
            return False
        return True


RABBITMQ = Server("RabbitMQ", "rabbitmq", 5672)
POSTGRESQL = Server("PostgreSQL", "postgresql", 5432)
SERVERS = (RABBITMQ, POSTGRESQL)  # Redis is embedded: each run of the tests starts its own


@contextlib.contextmanager
def rabbitmq_vhost() -> Iterator[str]:
    """The URL of a virtual host of one's own: queues of the same names, but nobody else's messages."""
    name = f"test-{secrets.token_hex(4)}"
    ask_rabbitmq("add_vhost", name)
    try:
        ask_rabbitmq("set_permissions", "--vhost", name, "guest", ".*", ".*", ".*")
        yield f"amqp://guest:guest@{HOST}:{RABBITMQ.port}/{name}"
    finally:
        ask_rabbitmq("delete_vhost", name)


def ask_rabbitmq(command: str, *arguments: str) -> None:
    if management_answers():
        ask_management(command, *arguments)
    elif shutil.which("rabbitmqctl"):
        result = subprocess.run(
            ["rabbitmqctl", "--quiet", command, *arguments], capture_output=True, text=True, check=False
        )
        if result.returncode != 0:
            pytest.fail(f"rabbitmqctl {command}: {(result.stdout + result.stderr).strip()[-400:]}", pytrace=False)
    else:
        missing("RabbitMQ gives no virtual host: no management on 15672, and no rabbitmqctl")


def ask_management(command: str, *arguments: str) -> None:
    """What rabbitmqctl does, for a server that runs in a container."""
    name = arguments[-1] if command != "set_permissions" else arguments[1]
    everything = '{"configure":".*","write":".*","read":".*"}'
    method, path, body = {
        "add_vhost": ("PUT", f"/api/vhosts/{name}", ""),
        "set_permissions": ("PUT", f"/api/permissions/{name}/guest", everything),
        "delete_vhost": ("DELETE", f"/api/vhosts/{name}", ""),
    }[command]
    connection = http.client.HTTPConnection(HOST, MANAGEMENT_PORT, timeout=CONNECT_SECONDS)
    headers = {
        "Authorization": f"Basic {base64.b64encode(b'guest:guest').decode()}",
        "Content-Type": "application/json",
    }
    with contextlib.closing(connection):
        connection.request(method, path, body, headers)
        status = connection.getresponse().status
        assert status < http.client.MULTIPLE_CHOICES, f"{method} {path} was answered {status}"


@cache
def management_answers() -> bool:
    return Server("RabbitMQ's management", "", MANAGEMENT_PORT).answers()


@contextlib.contextmanager
def postgresql_database(prefix: str = "test") -> Iterator[str]:
    """The SQLAlchemy URL of a database of one's own, dropped afterwards whoever is still connected."""
    name = f"{prefix}_{secrets.token_hex(4)}"
    with psycopg.connect(ADMINISTRATOR, autocommit=True) as administrator:
        administrator.execute(f"CREATE DATABASE {name}")
    try:
        yield f"postgresql+psycopg://postgres@{HOST}:{POSTGRESQL.port}/{name}"
    finally:
        with psycopg.connect(ADMINISTRATOR, autocommit=True) as administrator:
            administrator.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
