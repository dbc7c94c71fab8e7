"""What is installed on this machine, what a run is made on, and what the machine is."""

import os
import platform
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import psutil
import psycopg

from local_stack import redis_server
from local_stack.messages import StackError
from local_stack.plan import CHECKOUT
from tests.support.own_brokers import RABBITMQ_SERVER, OwnBroker, own_broker
from tests.support.servers import ADMINISTRATOR, POSTGRESQL

# By the names of the harness: its Redis listens on a socket, as the embedded one does.
BROKERS = {"rabbitmq": "rabbitmq", "redis": "redis-tcp", "embedded": "redis"}
DATABASES = ("postgresql", "sqlite")
NONE = "none"

STATE = CHECKOUT / ".local" / "bench"
LIBRARIES = ("celery", "kombu", "amqp", "redis", "SQLAlchemy", "psycopg", "pydantic")
BYTES_PER_GIB = 1024**3


def missing(broker: str, database: str) -> str | None:
    """Why nothing can be measured with these here."""
    if broker == "rabbitmq" and not RABBITMQ_SERVER.exists():
        return "no RabbitMQ is installed here of which a node could be started"
    if broker in ("redis", "embedded"):
        try:
            redis_server.find_executable()
        except StackError as error:
            return str(error)
    if database == "postgresql" and not POSTGRESQL.answers():
        return f"no PostgreSQL answers on {POSTGRESQL.address}"
    return None


@contextmanager
def broker_of_its_own(name: str) -> Iterator[OwnBroker]:
    with own_broker(BROKERS[name]) as broker:
        yield broker


@contextmanager
def folder_of_its_own() -> Iterator[Path]:
    """Beside the checkout's other state, not in /tmp, which is memory on some machines."""
    STATE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=STATE) as folder:
        yield Path(folder)


def machine() -> dict[str, str]:
    """What the figures depend on, as words for the results page."""
    facts = {
        "processor": f"{os.cpu_count()} cores of {_processor()}",
        "memory": f"{psutil.virtual_memory().total / BYTES_PER_GIB:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
        "SQLite": sqlite3.sqlite_version,
        "sagas_framework": _said_by(["git", "-C", str(CHECKOUT), "describe", "--always", "--dirty"]) or "unknown",
    }
    if missing("embedded", NONE) is None:
        facts["Redis"] = _said_by([redis_server.find_executable(), "--version"])
    if missing("rabbitmq", NONE) is None:
        facts["RabbitMQ"] = _rabbitmq_version()
    if missing(NONE, "postgresql") is None:
        facts["PostgreSQL"] = _postgresql()
    return facts


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _rabbitmq_version() -> str:
    """The folder of a release bears its version."""
    plugins = RABBITMQ_SERVER.resolve().parents[1] / "plugins"
    archives = sorted(plugins.glob("rabbit-*"))
    return archives[0].name.removeprefix("rabbit-").removesuffix(".ez") if archives else "unknown"


def _postgresql() -> str:
    settings = ("synchronous_commit", "fsync", "shared_buffers", "max_wal_size")
    with psycopg.connect(ADMINISTRATOR, autocommit=True) as connection:
        shown = [connection.execute("SELECT current_setting(%s)", [name]).fetchone() for name in settings]
        said = ", ".join(f"{name} = {row[0]}" for name, row in zip(settings, shown, strict=True) if row)
        return f"{connection.info.parameter_status('server_version')} ({said})"


def _said_by(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
