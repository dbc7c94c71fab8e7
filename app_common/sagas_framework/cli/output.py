"""Printing: colour and tables on a terminal, plain text for a pipe, JSON where it is asked for."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sagas_framework.vocabulary.text import printable

STATUS_STYLES = {
    "running": "cyan",
    "succeeded": "green",
    "ended": "green",
    "compensating": "yellow",
    "failed": "red",
    "needs attention": "bold white on red",
}
LABEL_WIDTH = 12
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def on_terminal() -> bool:
    return sys.stdout.isatty()


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], *, keep_whole: Sequence[str] = ()) -> None:
    """`keep_whole`: columns that are never wrapped, because people copy from them."""
    cells = [[printable(cell).replace("\n", " ") for cell in row] for row in rows]
    if not on_terminal():
        _plain_table([list(headers), *cells])
        return
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for header in headers:
        drawn.add_column(header, no_wrap=header in keep_whole, overflow="fold")
    for row in cells:
        drawn.add_row(*(styled(cell) for cell in row))
    Console(highlight=False).print(drawn)


def _plain_table(rows: list[list[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def styled(cell: str) -> Text:
    return Text(cell, style=STATUS_STYLES.get(cell.partition(" (")[0], ""))


def field(name: str, value: str) -> None:
    """`name   value`, with the further lines of the value below its first."""
    first, *more = wrapped(printable(value), LABEL_WIDTH + 1) or [""]
    label = f"{name:<{LABEL_WIDTH}}"
    if on_terminal():
        label = click.style(label, dim=True)
        color = STATUS_STYLES.get(first.partition(" (")[0])
        first = _coloured(first, color) if color else first
    click.echo(f"{label} {first}".rstrip())
    for line in more:
        click.echo(f"{'':<{LABEL_WIDTH}} {line}".rstrip())


def wrapped(text: str, indent: int) -> list[str]:
    """Lines that fit beside `indent` columns on a terminal; a pipe gets the lines as they are."""
    if not on_terminal():
        return text.splitlines()
    width = max(shutil.get_terminal_size().columns - indent, 40)
    fit = textwrap.TextWrapper(width, break_long_words=False, break_on_hyphens=False, drop_whitespace=False)
    return [part.rstrip() for line in text.splitlines() for part in fit.wrap(line) or [""]]


def _coloured(text: str, style: str) -> str:
    words = style.split()
    return click.style(text, fg=words[-1] if " on " not in style else "white", bg="red" if " on " in style else None)


def heading(text: str) -> None:
    click.echo()
    click.secho(text, bold=True)


def drawn(picture: str, what: str, file: Path | None) -> None:
    """A picture on the standard output, or in a file."""
    if file is None:
        click.echo(picture, nl=False)
        return
    try:
        file.write_text(picture, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error.strerror}") from error
    click.echo(f"{what} is drawn in {file}")


def as_json(value: Any) -> None:
    if isinstance(value, list):
        value = [asdict(item) for item in value]
    else:
        value = asdict(value)
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=_moment))


def _moment(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{value!r} has no form in JSON")


def status(name: str, paused: bool = False) -> str:
    return name.replace("_", " ") + (" (paused)" if paused else "")


def since(moment: datetime) -> str:
    return f"{duration((datetime.now(UTC) - moment).total_seconds())} ago"


def duration(seconds: float) -> str:
    """The two largest units: `2 h 5 min`, `42 s`, `0.3 s`."""
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s"
    rest, parts = round(seconds), []
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])
