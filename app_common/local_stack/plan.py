"""What is to be started: directories, addresses, commands, and the environment of the children."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from local_stack import redis_server
from local_stack.messages import StackError

ORCHESTRATOR = "order_service"
SERVICES = (ORCHESTRATOR, "consumer_service", "restaurant_service", "accounting_service")
CHECKOUT = Path(__file__).resolve().parents[2]
DEFAULT_PORT = 5000

# Chosen for watching: every ticket's approval meets one transient error, and a lost message is asked again
# while one still looks at the page. Whoever sets them keeps what they set.
DEFAULTS = {
    "RESTAURANT_SERVICE_TRANSIENT_APPROVALS": "1",
    "ORDER_SERVICE_ASK_AGAIN_AFTER_SECONDS": "3",
    "PYTHONUNBUFFERED": "1",
    # Celery warns whoever runs as root. On somebody's own machine, or in a throw-away one, that only hides
    # other lines.
    "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
}


@dataclass(frozen=True)
class Plan:
    checkout: Path
    state: Path
    """The directory of everything that this stack writes."""
    environment: Mapping[str, str]
    host: str
    port: int
    has_own_redis: bool
    services: tuple[str, ...] = SERVICES
    commands: Mapping[str, list[str]] = field(default_factory=dict)
    """What is started and stays, by name: a worker a service, and the page."""

    @property
    def page(self) -> str:
        return f"http://{self.host}:{self.port}"


def worker_command(service: str) -> list[str]:
    """As in docker-compose.yml and the services' READMEs; pool and queues are set by the framework."""
    return ["celery", "--app", f"{service}.worker", "worker", "--loglevel", "INFO"]


def page_command() -> list[str]:
    return ["python", "-m", f"{ORCHESTRATOR}.web"]


def preparation_command(service: str) -> list[str]:
    return ["python", "-m", f"{service}.prepare_database"]


def in_this_interpreter(command: list[str]) -> list[str]:
    """The same command without relying on what PATH says."""
    program, *arguments = command
    return [sys.executable, *([] if program == "python" else ["-m", program]), *arguments]


def make_plan(checkout: Path, state: Path, environ: Mapping[str, str]) -> Plan:
    environment = {**DEFAULTS, **environ}
    environment["ORDER_SERVICE_PORT"] = str(read_port(environ))
    has_own_redis = not environ.get("CELERY_BROKER")
    if has_own_redis:
        environment["CELERY_BROKER"] = f"redis+socket://{quote(str(redis_server.socket_path(state)))}"
    for service in SERVICES:
        variable = f"{service.upper()}_DATABASE_URL"
        if not environ.get(variable):
            environment[variable] = f"sqlite:///{quote(str(state / service))}.sqlite3"
    return Plan(
        checkout=checkout,
        state=state,
        environment=environment,
        host=reachable(environ.get("ORDER_SERVICE_HOST") or "127.0.0.1"),
        port=read_port(environ),
        has_own_redis=has_own_redis,
        commands={
            **{service: in_this_interpreter(worker_command(service)) for service in SERVICES},
            "page": in_this_interpreter(page_command()),
        },
    )


def read_port(environ: Mapping[str, str]) -> int:
    text = environ.get("ORDER_SERVICE_PORT") or str(DEFAULT_PORT)
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise StackError(f"ORDER_SERVICE_PORT is {text!r}; it must be a port number between 1 and 65535")
    return int(text)


def reachable(host: str) -> str:
    """Where a server that listens on `host` is asked."""
    return "127.0.0.1" if host in ("0.0.0.0", "::", "") else host
