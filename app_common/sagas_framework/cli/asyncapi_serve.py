"""`sagas asyncapi serve`"""

from __future__ import annotations

from pathlib import Path

import click

from sagas_framework.cli.target import import_module

HIGHEST_PORT = 65_535


class SourceAndPort(click.ParamType[tuple[str, int]]):
    name = "SOURCE:PORT"

    def convert(
        self, value: str | tuple[str, int], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        if isinstance(value, tuple):
            return value
        source, _, port = value.rpartition(":")
        if not source or not port.isascii() or not port.isdigit() or int(port) > HIGHEST_PORT:
            self.fail(f"{value!r} is not SOURCE:PORT, as in order_service:8081", param, ctx)
        return source, int(port)


@click.command()
@click.argument("services", metavar="SOURCE:PORT...", nargs=-1, required=True, type=SourceAndPort())
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--home", metavar="URL", help="The system's own page, which these pages then link.")
@click.option(
    "--bundle",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="The installed npm package @asyncapi/react-component (default: browsers load it from a public copy).",
)
def serve(services: tuple[tuple[str, int], ...], host: str, home: str | None, bundle: Path | None) -> None:
    """Serve documents as web pages, each on its own port: /, /asyncapi.yaml, /asyncapi.json, /map and /health.

    SOURCE is a document's file or a module. All pages come from this one process and link to each other.
    """
    from sagas_framework.asyncapi.source import load

    try:
        from sagas_framework.asyncapi.pages import server
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"serving pages needs {error.name}, which is not installed: pip install 'sagas-framework[web]'"
        ) from error
    server.serve([(load(source, import_module), port) for source, port in services], host, home, bundle)
