"""`sagas asyncapi`: the contracts of services. What needs the extra `[asyncapi]` is imported when a command runs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from sagas_framework.cli import asyncapi_checks
from sagas_framework.cli.asyncapi_map import system_map
from sagas_framework.cli.asyncapi_serve import serve
from sagas_framework.cli.target import app_option, asyncapi_broker, asyncapi_sources, import_module, target
from sagas_framework.transport.celery_app import Broker

SOURCE_HELP = "SOURCE is a .yaml or .json file, or a service's package (restaurant_service)."


@click.group()
def asyncapi() -> None:
    """The contracts of services, as AsyncAPI 3."""


for command in (*asyncapi_checks.COMMANDS, serve, system_map):
    asyncapi.add_command(command)


@asyncapi.command(epilog=SOURCE_HELP)
@app_option
@click.argument("source", required=False)
@click.option("--format", "form", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True)
def show(source: str | None, form: Literal["yaml", "json"]) -> None:
    """Print the document of a service (default: of the application)."""
    from sagas_framework.asyncapi.document import to_json, to_yaml
    from sagas_framework.asyncapi.source import load

    document = load(source or _package_of(target().name), import_module)
    click.echo(to_yaml(document) if form == "yaml" else to_json(document), nl=form == "json")


def _package_of(application: str) -> str:
    """`shop.worker:participant` is in the package `shop`; a module that is in none stands for itself."""
    module = application.partition(":")[0]
    return module.rpartition(".")[0] or module


@asyncapi.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 where code and kept document differ.")
def keep(directory: Path, check: bool) -> None:
    """Keep the published documents of all services in a directory.

    In [tool.sagas] of ./pyproject.toml, `asyncapi` names the services, and `asyncapi-broker` the broker that the
    documents tell of: they are the same on whatever machine they are made.
    """
    from sagas_framework.asyncapi.keeping import keep, of_no_service, stale
    from sagas_framework.asyncapi.source import specification_of

    services, broker = asyncapi_sources(), Broker(asyncapi_broker())
    documents = {name: specification_of(name, import_module).document(broker) for name in services}
    others = of_no_service(documents, directory)
    for path in others:
        click.echo(f"{path} belongs to no service of [tool.sagas] asyncapi: remove it, or name its service", err=True)
    if not check:
        for path in keep(documents, directory):
            click.echo(f"{path} is renewed")
        return
    outdated = stale(documents, directory)
    for path in outdated:
        click.echo(f"{path} {_what_is_wrong_with(path)}", err=True)
    if outdated:
        raise click.ClickException(f"renew what is kept with `sagas asyncapi keep {directory}`")
    if others:
        raise click.ClickException(f"{directory} keeps more than the documents of the services that are named")
    click.echo(f"{len(documents)} documents in {directory} say what the code says")


def _what_is_wrong_with(path: Path) -> str:
    if not path.is_file():
        return "is missing"
    return f"is not what the code says: sagas asyncapi diff {path} {path.stem}"


@asyncapi.command(epilog=SOURCE_HELP)
@click.argument("source")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
def client(source: str, directory: Path) -> None:
    """Generate a package of Python types and endpoints for those who use a service, with asyncapi-python.

    It holds no titles, descriptions or patterns: what a document says in prose must not get into code.
    """
    from sagas_framework.asyncapi.client import generate_client
    from sagas_framework.asyncapi.source import load

    generate_client(load(source, import_module), directory)
    click.echo(f"the client is in {directory}")
