"""`sagas doctor` and `sagas db upgrade`"""

from __future__ import annotations

import click

from sagas_framework.cli import output
from sagas_framework.cli.target import app_option, target
from sagas_framework.operations import examine
from sagas_framework.storage.database import reading
from sagas_framework.storage.migration import schema_versions, upgrade_database
from sagas_framework.vocabulary.text import printable

INDENT = 18


@click.command()
@app_option
@click.pass_context
def doctor(context: click.Context) -> None:
    """Check broker, database and settings, and what waits for a person. Exit code 1 if anything is wrong."""
    chosen = target()
    patient = chosen.application()
    problems = 0
    click.echo(f"{patient.name} ({chosen.name})")
    for finding in examine(patient, chosen.worker_command):
        mark = click.style("ok     ", fg="green") if finding.ok else click.style("PROBLEM", fg="red", bold=True)
        lines = output.wrapped(printable(finding.text), INDENT)
        if not finding.ok:
            problems += 1
            lines += output.wrapped(f"-> {finding.remedy}", INDENT)
        click.echo(f"{mark} {finding.check:<9} {lines[0]}")
        for line in lines[1:]:
            click.echo(f"{'':<{INDENT}}{line}")
    if problems:
        click.echo(f"{problems} {'problem' if problems == 1 else 'problems'}")
        context.exit(1)
    click.echo("all is well")


@click.group()
def db() -> None:
    """The framework's own tables."""


@db.command()
@app_option
def upgrade() -> None:
    """Create the tables or bring them up to date. Does nothing when they are; safe to run twice at once."""
    patient = target().application()
    if patient.engine is None:
        raise click.ClickException(f"{patient.name} has no database")
    with reading(patient.engine) as connection:
        before, _ = schema_versions(connection)
    upgrade_database(patient.engine)
    with reading(patient.engine) as connection:
        after, _ = schema_versions(connection)
    if before == after:
        click.echo(f"{patient.name}: the tables are up to date (version {after})")
    else:
        click.echo(f"{patient.name}: the tables are now of version {after} (before: {before or 'none'})")
