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
# The contracts of all services: one process, and a port a service.
DOCS = "docs"
DEFAULT_DOCS_PORTS = {service: 8081 + number for number, service in enumerate(SERVICES)}
# Where `make` has installed what draws them.
BUNDLE = Path(".local", "asyncapi_page", "node_modules", "@asyncapi", "react-component")

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
    pages: Mapping[str, Sequence[Page]] = field(default_factory=dict)
    """Those of the commands that are no workers, but serve, and where."""

    @property
    def page(self) -> Page:
        """The page of the reference system."""
        return self.pages[PAGE][0]

    @property
    def docs(self) -> Sequence[Page]:
        """The contracts of the services, in their order."""
        return self.pages[DOCS]


def worker_command(service: str) -> list[str]:
    """As in docker-compose.yml and the services' READMEs; pool and queues are set by the framework."""
    return ["celery", "--app", f"{service}.worker", "worker", "--loglevel", "INFO"]


def page_command() -> list[str]:
    return ["python", "-m", f"{ORCHESTRATOR}.web"]


def docs_variable(service: str) -> str:
    return f"{service.upper()}_DOCS_PORT"


def docs_command(ports: Mapping[str, int], home: str, host: str, bundle: Path | None = None) -> list[str]:
    return [
        *["sagas", "asyncapi", "serve", "--host", host, "--home", home],
        *([] if bundle is None else ["--bundle", str(bundle)]),
        *(f"{service}:{port}" for service, port in ports.items()),
    ]


def preparation_command(service: str) -> list[str]:
    return ["python", "-m", f"{service}.prepare_database"]


def in_this_interpreter(command: list[str]) -> list[str]:
    """The same command without relying on what PATH says."""
    program, *arguments = command
    module = {"sagas": "sagas_framework.cli"}.get(program, program)
    return [sys.executable, *([] if program == "python" else ["-m", module]), *arguments]


def make_plan(checkout: Path, state: Path, environ: Mapping[str, str]) -> Plan:
    """The reference system."""
    listening = environ.get("ORDER_SERVICE_HOST") or "127.0.0.1"
    host = reachable(listening)
    page = Page(host, read_port(environ, PORT_VARIABLE, DEFAULT_PORT), PORT_VARIABLE, "/ping")
    docs = [
        Page(host, read_port(environ, docs_variable(service), default), docs_variable(service), "/health")
        for service, default in DEFAULT_DOCS_PORTS.items()
    ]
    ports = {service: contract.port for service, contract in zip(SERVICES, docs, strict=True)}
    bundle = checkout / BUNDLE if (checkout / BUNDLE).is_dir() else None
    plan = plan_of(SERVICES, checkout, state, {**DEFAULTS_OF_THE_REFERENCE_SYSTEM, **environ})
    return replace(
        plan,
        environment={**plan.environment, **{place.variable: str(place.port) for place in (page, *docs)}},
        commands={
            **plan.commands,
            PAGE: in_this_interpreter(page_command()),
            DOCS: in_this_interpreter(docs_command(ports, page.url, listening, bundle)),
        },
        pages={PAGE: [page], DOCS: docs},
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


def read_port(environ: Mapping[str, str], variable: str, default: int) -> int:
    text = environ.get(variable) or str(default)
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise StackError(f"{variable} is {text!r}; it must be a port number between 1 and 65535")
    return int(text)


def reachable(host: str) -> str:
    """Where a server that listens on `host` is asked."""
    return "127.0.0.1" if host in ("0.0.0.0", "::", "") else host
