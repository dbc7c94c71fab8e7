"""`sagas list | show | trace | retry | cancel | pause | resume | signal`"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from sagas_framework.cli import output, saga_view
from sagas_framework.cli.arguments import age, full_id, json_value, reason_option, saga_argument
from sagas_framework.cli.target import app_option, target
from sagas_framework.engine.state import SagaStatus
from sagas_framework.operations import Operations, SagaSummary

UNFINISHED = "unfinished"
_STATUSES = [status.value for status in SagaStatus]


@click.command("list")
@app_option
@click.option("--status", multiple=True, type=click.Choice([*_STATUSES, UNFINISHED]), help="May be given repeatedly.")
@click.option("--saga", metavar="NAME", help="Only sagas of this class.")
@click.option("--older-than", callback=age, metavar="AGE", help="Only those started longer ago: 90s, 5m, 2h, 1d.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="A JSON array, with everything.")
def list_command(
    status: tuple[str, ...], saga: str | None, older_than: float | None, limit: int, as_json: bool
) -> None:
    """The newest sagas first, each with what it waits for or why it stopped."""
    unfinished = ["running", "compensating", "needs_attention"] if UNFINISHED in status else []
    statuses = sorted({*unfinished, *(name for name in status if name != UNFINISHED)})
    operations = target().operations()
    found = operations.list(statuses, saga, older_than, limit)
    if as_json:
        output.as_json(found)
        return
    if not found:
        click.echo("no such sagas" if statuses or saga or older_than else "no sagas yet")
        return
    output.table(["ID", "SAGA", "STATUS", "AGE", "SITUATION"], [_line(each) for each in found], keep_whole=["ID"])
    if len(found) == limit:
        click.echo(f"(the newest {limit}; --limit shows more)", err=True)


def _line(saga: SagaSummary) -> list[str]:
    age = output.duration((datetime.now(UTC) - saga.created_at).total_seconds())
    return [saga.id, saga.saga, output.status(saga.status, saga.paused), age, saga.situation]


@click.command()
@app_option
@saga_argument
@click.option("--json", "as_json", is_flag=True)
def show(saga: str, as_json: bool) -> None:
    """One saga: what is the matter, what to do, its steps and its history."""
    operations = target().operations()
    details = operations.show(full_id(operations, saga))
    if as_json:
        output.as_json(details)
        return
    saga_view.show(details, operations.kept(saga_id=details.id))


@click.command()
@app_option
@saga_argument
def trace(saga: str) -> None:
    """What happened to one saga, line by line."""
    operations = target().operations()
    click.echo(operations.trace(full_id(operations, saga)))


@click.command()
@app_option
@saga_argument
@reason_option(required=True)
def retry(saga: str, reason: str) -> None:
    """Try again at once what is stuck, waits for its next try, or has not been answered."""
    operations = target().operations()
    saga_id = full_id(operations, saga)
    operations.retry(saga_id, reason)
    _tell(operations, saga_id, "tries again")


@click.command()
@app_option
@saga_argument
@reason_option(required=True)
def cancel(saga: str, reason: str) -> None:
    """Undo a saga; refused past its point of no return."""
    operations = target().operations()
    saga_id = full_id(operations, saga)
    operations.cancel(saga_id, reason)
    _tell(operations, saga_id, "is cancelled")


@click.command()
@app_option
@saga_argument
@reason_option(required=False)
def pause(saga: str, reason: str) -> None:
    """Let nothing new begin until `sagas resume`."""
    operations = target().operations()
    saga_id = full_id(operations, saga)
    operations.pause(saga_id, reason)
    click.echo(f"saga {saga_id} is paused; `sagas resume {saga_id}` lets it go on")


@click.command()
@app_option
@saga_argument
@reason_option(required=False)
def resume(saga: str, reason: str) -> None:
    """Let a paused saga go on."""
    operations = target().operations()
    saga_id = full_id(operations, saga)
    operations.resume(saga_id, reason)
    _tell(operations, saga_id, "goes on")


@click.command()
@app_option
@saga_argument
@click.argument("name")
@click.option("--payload", callback=json_value, default="{}", show_default=True, help="JSON, as the step declares it.")
def signal(saga: str, name: str, payload: Any) -> None:
    """Tell a saga that its step NAME, which waits for a signal, may go on. One that comes early is kept."""
    operations = target().operations()
    saga_id = full_id(operations, saga)
    operations.signal(saga_id, name, payload)
    _tell(operations, saga_id, f"has the signal {name}")


def _tell(operations: Operations, saga_id: str, done: str) -> None:
    """What came of it so far: local steps have run already, commands are left to a worker."""
    saga = operations.show(saga_id)
    if saga.status == "needs_attention":
        raise click.ClickException(f"saga {saga_id} needs attention again: {saga.situation}")
    if saga.ended_at is not None:
        click.echo(f"saga {saga_id} {done}, and has ended: {output.status(saga.status)}")
        return
    click.echo(f"saga {saga_id} {done}: {output.status(saga.status)}; {saga.situation}")
    if saga.paused:
        click.echo(f"it is paused: nothing new begins until `sagas resume {saga_id}`")
        return
    click.echo("a running worker sends what is to be sent within a second")


COMMANDS = (list_command, show, trace, retry, cancel, pause, resume, signal)
