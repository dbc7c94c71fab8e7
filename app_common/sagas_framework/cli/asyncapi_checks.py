"""`sagas asyncapi validate` and `sagas asyncapi diff`"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import click

from sagas_framework.cli.target import import_module
from sagas_framework.errors import ConfigurationError, SagasError
from sagas_framework.operations.words import one_line
from sagas_framework.vocabulary.text import printable_line


class NotCompared(click.ClickException):
    """As diff(1) has it: CI must not take a file that is not there for a breakage."""

    exit_code = 2


@click.command()
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.pass_context
def validate(context: click.Context, sources: tuple[str, ...]) -> None:
    """Check documents. Exit code 1 on an error; warnings are only told.

    \b
    What is checked, in this order; what is broken keeps the rest from being looked at:
      keys and types    those of AsyncAPI 3.0.0; extensions (x-...) may be anywhere
      references        each $ref leads to something in the document
      schemas           of payloads and headers: JSON Schema, draft 7
      examples          are what their schemas say
      asyncapi-python   what its own rules say

    Not checked: what is inside of bindings and security schemes.
    """
    from sagas_framework.asyncapi.source import load
    from sagas_framework.asyncapi.validation import Severity, problems

    wrong = False
    for source in sources:
        found = problems(load(source, import_module))
        wrong = wrong or any(problem.severity is Severity.ERROR for problem in found)
        click.echo(
            f"{source}: {len(found)} {'problem' if len(found) == 1 else 'problems'}" if found else f"{source}: fine"
        )
        for problem in found:
            click.echo(f"  {printable_line(str(problem))}")
    if wrong:
        context.exit(1)


@click.command()
@click.argument("old")
@click.argument("new")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_context
def diff(context: click.Context, old: str, new: str, form: Literal["text", "json"]) -> None:
    """Tell additions from breakages between two documents of a service.

    \b
    Exit codes:
      0   nothing breaks
      1   something breaks
      2   they could not be compared: no such file or module, no document, a wrong command line
    """
    from sagas_framework.asyncapi.diff import differences
    from sagas_framework.asyncapi.diff_report import as_json, as_text
    from sagas_framework.asyncapi.source import load
    from sagas_framework.asyncapi.verdicts import Kind

    with _telling_what_cannot_be_compared():
        documents = load(old, import_module), load(new, import_module)
        try:
            found = differences(*documents)
        except ConfigurationError as error:
            raise ConfigurationError(f"{error}; `sagas asyncapi validate {old} {new}` says where") from error
    click.echo(as_json(found) if form == "json" else as_text(found, *documents))
    if any(difference.kind is Kind.BREAKAGE for difference in found):
        context.exit(1)


@contextmanager
def _telling_what_cannot_be_compared() -> Iterator[None]:
    try:
        yield
    except click.ClickException as error:
        raise NotCompared(error.message) from error
    except SagasError as error:
        raise NotCompared(one_line(str(error))) from error
    except Exception as error:  # whatever a service's own module raises while its document is made
        raise NotCompared(f"{type(error).__name__}: {one_line(str(error))}") from error


COMMANDS = (validate, diff)
