"""What is to be started: directories, addresses, commands, and the environment of the children."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

from local_stack import redis_server
from local_stack.messages import StackError

ORCHESTRATOR = "order_service"
SERVICES = (ORCHESTRATOR, "consumer_service", "restaurant_service", "accounting_service")
CHECKOUT = Path(__file__).resolve().parents[2]
PAGE = "page"
PORT_VARIABLE = "ORDER_SERVICE_PORT"
DEFAULT_PORT = 5000

# Whoever sets one of these keeps what they set.
DEFAULTS = {
    "PYTHONUNBUFFERED": "1",
    # Celery warns whoever runs as root. On somebody's own machine, or in a throw-away one, that only hides
    # other lines.
    "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
}
# Chosen for watching: every ticket's approval meets one transient error, and a lost message is asked again
# while one still looks at the page.
DEFAULTS_OF_THE_REFERENCE_SYSTEM = {
    "RESTAURANT_SERVICE_TRANSIENT_APPROVALS": "1",
    "ORDER_SERVICE_ASK_AGAIN_AFTER_SECONDS": "3",
}


@dataclass(frozen=True)
class Page:
    """A server: healthy when `path` answers. `variable` is the setting of its port."""

    host: str
    port: int
    variable: str
    path: str

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


@dataclass(frozen=True)
class Plan:
    checkout: Path
    state: Path
    """The directory of everything that this stack writes."""
    environment: Mapping[str, str]
    has_own_redis: bool
    services: Sequence[str]
    """The packages that have a database to prepare and a worker to start."""
    commands: Mapping[str, list[str]]
    """What is started and stays, by name: a worker a service, and the pages."""
    pages: Mapping[str, Page] = field(default_factory=dict)
    """Those of the commands that are no workers, but serve."""

    @property
    def page(self) -> Page:
        """The page of the reference system."""
        return self.pages[PAGE]


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
    """The reference system."""
    port = read_port(environ)
    plan = plan_of(SERVICES, checkout, state, {**DEFAULTS_OF_THE_REFERENCE_SYSTEM, **environ})
    return replace(
        plan,
        environment={**plan.environment, PORT_VARIABLE: str(port)},
        commands={**plan.commands, PAGE: in_this_interpreter(page_command())},
        pages={PAGE: Page(reachable(environ.get("ORDER_SERVICE_HOST") or "127.0.0.1"), port, PORT_VARIABLE, "/ping")},
    )


def plan_of(services: Sequence[str], checkout: Path, state: Path, environ: Mapping[str, str]) -> Plan:
    """A worker a service; each has the database `<SERVICE>_DATABASE_URL`, named after the last part of its package."""
    environment = {**DEFAULTS, **environ}
    has_own_redis = not environ.get("CELERY_BROKER")
    if has_own_redis:
        environment["CELERY_BROKER"] = f"redis+socket://{quote(str(redis_server.socket_path(state)))}"
    for name in map(name_of, services):
        variable = f"{name.upper()}_DATABASE_URL"
        if not environ.get(variable):
            environment[variable] = f"sqlite:///{quote(str(state / name))}.sqlite3"
    return Plan(
        checkout=checkout,
        state=state,
        environment=environment,
        has_own_redis=has_own_redis,
        services=services,
        commands={name_of(service): in_this_interpreter(worker_command(service)) for service in services},
    )


def name_of(service: str) -> str:
    return service.rpartition(".")[2]


def read_port(environ: Mapping[str, str]) -> int:
    text = environ.get(PORT_VARIABLE) or str(DEFAULT_PORT)
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise StackError(f"{PORT_VARIABLE} is {text!r}; it must be a port number between 1 and 65535")
    return int(text)


def reachable(host: str) -> str:
    """Where a server that listens on `host` is asked."""
    return "127.0.0.1" if host in ("0.0.0.0", "::", "") else host
