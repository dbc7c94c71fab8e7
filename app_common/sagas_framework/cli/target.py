"""Finding the application that a command is about: --app, SAGAS_APP, or [tool.sagas] in the pyproject.toml here."""

from __future__ import annotations

import importlib
import os
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from sagas_framework.errors import SagasError
from sagas_framework.events.subscriber import Subscriber
from sagas_framework.operations import Operations
from sagas_framework.operations.words import one_line
from sagas_framework.orchestrator.orchestrator import Orchestrator
from sagas_framework.participant.participant import Participant

VARIABLE = "SAGAS_APP"
_DEFAULT_ATTRIBUTES = ("orchestrator", "participant", "subscriber")
Application = Orchestrator | Participant | Subscriber

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass
class Target:
    """Which application, as it was named on the command line, and what has been loaded for it."""

    named: str | None = None
    loaded: Application | None = None

    @property
    def name(self) -> str:
        """`module` or `module:attribute`."""
        return self.named or os.environ.get(VARIABLE) or _from_pyproject() or _nothing_named()

    @property
    def worker_command(self) -> str:
        return f"celery --app {self.name.partition(':')[0]} worker"

    @property
    def option(self) -> str:
        """For a command line that is to be about the same application."""
        return f" --app {self.named}" if self.named else ""

    def application(self) -> Application:
        if self.loaded is None:
            self.loaded = _load(self.name)
        return self.loaded

    def operations(self) -> Operations:
        found = self.application()
        if isinstance(found, Participant):
            raise click.ClickException(
                f"{self.name} is a participant and runs no sagas; name its orchestrator with --app"
            )
        return Operations(found)


def target() -> Target:
    """That of the running command."""
    root = click.get_current_context().find_root()
    found = root.ensure_object(Target)
    assert isinstance(found, Target)
    return found


def app_option(function: Function) -> Function:
    """`--app`, accepted before and after the command's name."""

    def remember(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
        if value is not None:
            context.find_root().ensure_object(Target).named = value

    option = click.option(
        "--app",
        metavar="MODULE[:ATTRIBUTE]",
        expose_value=False,
        callback=remember,
        help=f"The application (default: {VARIABLE}, then [tool.sagas] app in ./pyproject.toml).",
    )
    return option(function)


def _nothing_named() -> str:
    raise click.UsageError(
        f'which application? Say --app module, set {VARIABLE}, or put [tool.sagas] app = "module" into the '
        "pyproject.toml of this folder"
    )


def asyncapi_sources() -> list[str]:
    """The services of the system, for what is about all of them."""
    named = _pyproject().get("asyncapi")
    if not isinstance(named, list) or not named or not all(isinstance(name, str) for name in named):
        raise click.UsageError(
            'which services? Put [tool.sagas] asyncapi = ["order_service", ...] into the pyproject.toml of this folder'
        )
    return named


def asyncapi_broker() -> str:
    """The broker that published documents tell of."""
    url = _pyproject().get("asyncapi-broker")
    if not isinstance(url, str):
        raise click.UsageError(
            'which broker do published documents tell of? Put [tool.sagas] asyncapi-broker = "amqp://rabbitmq:5672//" '
            "into the pyproject.toml of this folder"
        )
    return url


def _from_pyproject() -> str | None:
    app = _pyproject().get("app")
    if app is not None and not isinstance(app, str):
        raise click.ClickException('pyproject.toml: [tool.sagas] app must be a text like "order_service.worker"')
    return app


def _pyproject() -> dict[str, Any]:
    """Its [tool.sagas]."""
    path = Path("pyproject.toml")
    if not path.is_file():
        return {}
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {}).get("sagas", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise click.ClickException(f"pyproject.toml cannot be read: {error}") from error
    return settings if isinstance(settings, dict) else {}


def _load(name: str) -> Application:
    module_name, _, attribute = name.partition(":")
    module = import_module(module_name)
    for candidate in [attribute] if attribute else _DEFAULT_ATTRIBUTES:
        found = getattr(module, candidate, None)
        if isinstance(found, Application):
            return found
    if attribute and hasattr(module, attribute):
        kind = type(getattr(module, attribute)).__name__
        raise click.ClickException(
            f"{name} is of the class {kind}; name what create_orchestrator, create_participant or "
            "create_subscriber returned"
        )
    wanted = attribute or " or ".join(_DEFAULT_ATTRIBUTES)
    raise click.ClickException(f"{module_name} has no {wanted}; name it with --app {module_name}:ATTRIBUTE")


def import_module(module_name: str) -> Any:
    """A module of the application; whatever goes wrong in it is one line."""
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # as `celery --app` does
    try:
        return importlib.import_module(module_name)
    except SystemExit as stopped:  # a malformed environment variable: its own line says which
        raise click.ClickException(str(stopped.code)) from stopped
    except SagasError as error:  # it says itself what is wrong
        raise click.ClickException(f"{module_name}: {one_line(str(error))}") from error
    except Exception as error:  # whatever the application's own modules raise
        raise click.ClickException(
            f"{module_name} cannot be imported: {type(error).__name__}: {one_line(str(error))}"
        ) from error
