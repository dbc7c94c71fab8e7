"""`sagas asyncapi validate` and `sagas asyncapi diff`"""

from __future__ import annotations

import click

from sagas_framework.cli.target import import_module
from sagas_framework.errors import ConfigurationError
from sagas_framework.vocabulary.text import printable_line


@click.command()
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.pass_context
def validate(context: click.Context, sources: tuple[str, ...]) -> None:
    """Check documents: references, schemas, examples, and asyncapi-python's rules. Exit code 1 on an error."""
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
@click.pass_context
def diff(context: click.Context, old: str, new: str) -> None:
    """Tell additions from breakages between two documents of a service. Exit code 1 on a breakage."""
    from sagas_framework.asyncapi.diff import describe, differences
    from sagas_framework.asyncapi.source import load
    from sagas_framework.asyncapi.verdicts import Kind

    documents = load(old, import_module), load(new, import_module)
    try:
        found = differences(*documents)
    except ConfigurationError as error:
        raise click.ClickException(f"{error}; `sagas asyncapi validate {old} {new}` says where") from error
    click.echo(describe(found))
    if any(difference.kind is Kind.BREAKAGE for difference in found):
        context.exit(1)


COMMANDS = (validate, diff)
