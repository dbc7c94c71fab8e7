"""`sagas diagram`"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from sagas_framework.cli.arguments import full_id
from sagas_framework.cli.output import drawn
from sagas_framework.cli.target import app_option, target


@click.command()
@app_option
@click.argument("name", metavar="NAME")
@click.option("--format", "form", type=click.Choice(["mermaid", "svg"]), default="mermaid", show_default=True)
@click.option("--saga", metavar="ID", help="Draw this instance over it: how far each step is.")
@click.option("--output", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Instead of printing.")
def diagram(name: str, form: Literal["mermaid", "svg"], saga: str | None, output: Path | None) -> None:
    """A saga as a picture, by the name of its class."""
    operations = target().operations()
    if saga is None:
        picture = operations.diagram(name, form)
    else:
        details = operations.show(full_id(operations, saga))
        if details.saga != name:
            raise click.UsageError(f"saga {details.id} is a {details.saga}, not a {name}")
        picture = operations.diagram(details, form)
    drawn(picture, name, output)
