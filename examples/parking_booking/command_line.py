"""What the command lines of the three services share: how they print, and what they say when the database is away."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import click
from sqlalchemy.exc import SQLAlchemyError

Shown = Mapping[str, Any]


class CommandLine(click.Group):
    """An error of the database is one line that says what to do, not a traceback."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except SQLAlchemyError as error:
            why = str(getattr(error, "orig", None) or error).splitlines()[0]
            raise click.ClickException(
                f"the database cannot be used ({why}); was it prepared, and is its ..._DATABASE_URL set here too?"
            ) from error


def print_one_a_line(rows: Iterable[Shown]) -> None:
    for row in rows:
        click.echo(json.dumps(row))


def print_details(row: Shown) -> None:
    width = max(map(len, row)) + 1
    for name, value in row.items():
        click.echo(f"{name + ':':<{width}} {value}")
