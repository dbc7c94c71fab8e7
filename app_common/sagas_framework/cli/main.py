"""The entry point, and how what goes wrong is told: one line on stderr."""

from __future__ import annotations

import logging
import sys
from importlib import metadata
from typing import Any, NoReturn

import click
from sqlalchemy.exc import SQLAlchemyError

from sagas_framework.cli import events, kept, maintenance, sagas
from sagas_framework.cli.asyncapi import asyncapi
from sagas_framework.cli.diagram import diagram
from sagas_framework.cli.target import app_option
from sagas_framework.errors import SagasError
from sagas_framework.operations.words import one_line

INTERRUPTED = 130
_NO_TABLE = ("no such table", "no such column", "does not exist")


class Commands(click.Group):
    """Turns what is raised on purpose, and what a database raises, into one line on stderr.

    The exit code is then 1, or 2 where the command line itself was wrong.
    """

    def main(self, *args: Any, **options: Any) -> NoReturn:
        options["standalone_mode"] = False
        try:
            result = super().main(*args, **options)
        except click.ClickException as error:
            _tell(error)
            sys.exit(error.exit_code)
        except click.Abort:
            sys.exit(INTERRUPTED)
        sys.exit(result if isinstance(result, int) else 0)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except SagasError as error:
            raise click.ClickException(one_line(str(error))) from error
        except SQLAlchemyError as error:
            raise click.ClickException(_of_database(error)) from error
        except BrokenPipeError:  # `sagas list | head`: click ends the process quietly
            raise
        except Exception as error:
            if ctx.params.get("verbose"):
                raise
            why = f"{type(error).__name__}: {one_line(str(error))}"
            raise click.ClickException(f"{why} (`sagas --verbose ...` shows the traceback)") from error


def _tell(error: click.ClickException) -> None:
    text = error.format_message()
    if isinstance(error, click.UsageError) and error.ctx is not None:
        if len(text.splitlines()) > 1:  # a group without a command: its help
            error.show()
            return
        text = f"{text.rstrip('.')} (see `{error.ctx.command_path} --help`)"
    click.echo(f"sagas: {text}", err=True)


def _of_database(error: SQLAlchemyError) -> str:
    why = one_line(str(getattr(error, "orig", None) or error))
    if any(part in why for part in _NO_TABLE):
        return f"the database has not (all) the framework's tables: run `sagas db upgrade` ({why})"
    return f"the database cannot be used: {why} (see `sagas doctor`)"


def _version() -> str:
    try:
        return metadata.version("sagas-framework")
    except metadata.PackageNotFoundError:
        return "from a checkout"


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@app_option
@click.option("--verbose", "-v", is_flag=True, help="Show the framework's log.")
@click.version_option(version=_version(), prog_name="sagas")
def commands(verbose: bool) -> None:
    """Look at sagas and move them on.

    \b
    What is stuck?          sagas list --status needs_attention
    Why?                    sagas show ID
    Let it try again:       sagas retry ID --reason "the printer is back"
    Which events wait?      sagas events list
    Is all as it must be?   sagas doctor
    """
    if verbose:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    else:
        logging.getLogger().addHandler(logging.NullHandler())


for command in (*sagas.COMMANDS, diagram, asyncapi, kept.kept, events.events, maintenance.doctor, maintenance.db):
    commands.add_command(command)


def main() -> None:
    """`sagas`"""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")  # a terminal that cannot show a sign must not hide the rest
    commands(prog_name="sagas")
