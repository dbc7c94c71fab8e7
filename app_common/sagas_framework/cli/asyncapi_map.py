"""`sagas asyncapi map`"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from sagas_framework.cli.output import drawn
from sagas_framework.cli.target import asyncapi_sources, import_module


@click.command("map")
@click.argument("sources", metavar="[SOURCE...]", nargs=-1)
@click.option("--format", "form", type=click.Choice(["text", "mermaid", "svg"]), default="text", show_default=True)
@click.option("--output", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Instead of printing.")
def system_map(sources: tuple[str, ...], form: Literal["text", "mermaid", "svg"], output: Path | None) -> None:
    """Draw all services with the messages between them, also those that nobody sends or nobody receives.

    SOURCE is a .yaml or .json file, or a service's package (default: [tool.sagas] asyncapi in ./pyproject.toml).
    """
    from sagas_framework.asyncapi.source import load
    from sagas_framework.asyncapi.system_map import to_mermaid, to_svg, to_text

    draw = {"text": to_text, "mermaid": to_mermaid, "svg": to_svg}[form]
    documents = [load(source, import_module) for source in sources or asyncapi_sources()]
    drawn(draw(documents), f"the system of {len(documents)} service{'' if len(documents) == 1 else 's'}", output)
