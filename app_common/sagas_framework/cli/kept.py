"""`sagas kept list | show | requeue | discard`"""

from __future__ import annotations

import json

import click

from sagas_framework.cli import output
from sagas_framework.cli.arguments import NUMBER, reason_option
from sagas_framework.cli.target import app_option, target
from sagas_framework.operations import KeptMessage, KeptMessages
from sagas_framework.operations.words import clock, one_line

MAX_SHOWN_BODY_CHARACTERS = 4_000

_number = click.argument("number", type=NUMBER)
_numbers = click.argument("numbers", metavar="NUMBER...", type=NUMBER, nargs=-1, required=True)


@click.group()
def kept() -> None:
    """Messages that could not be handled and wait for you.

    An orchestrator keeps replies, a participant commands, a subscriber what is no event: name it
    with --app. Events that failed are not here but in `sagas events list`; those that were given up
    there are here, each with its reason.
    """


def _messages() -> KeptMessages:
    return KeptMessages(target().application())


@kept.command("list")
@app_option
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="A JSON array, with headers and bodies.")
def list_command(limit: int, as_json: bool) -> None:
    """The newest first, each with the reason why it was kept."""
    messages = _messages().list(limit)
    if as_json:
        output.as_json(messages)
        return
    if not messages:
        click.echo("no messages are kept")
        return
    output.table(
        ["NUMBER", "TASK", "SAGA", "KEPT", "TIMES", "WHY"],
        [_line(message) for message in messages],
        keep_whole=["NUMBER", "SAGA", "KEPT"],
    )


def _line(message: KeptMessage) -> list[str]:
    kept_at = output.since(message.last_kept_at)
    why = one_line(message.reason)
    return [str(message.id), message.task or "?", message.saga_id or "", kept_at, str(message.times), why]


@kept.command()
@app_option
@_number
@click.option("--json", "as_json", is_flag=True)
def show(number: int, as_json: bool) -> None:
    """One message: why it was kept, where it came from, what it says."""
    message = _messages().show(number)
    if as_json:
        output.as_json(message)
        return
    output.field("number", str(message.id))
    output.field("why", message.reason)
    output.field("task", message.task or "?")
    output.field("queue", message.queue or "?")
    output.field("message", message.message_id or "?")
    output.field("saga", message.saga_id or "?")
    output.field("kept", f"{clock(message.last_kept_at)} ({output.since(message.last_kept_at)})")
    if message.times > 1:
        output.field("times", f"{message.times}, first {clock(message.first_kept_at)}")
    output.field("headers", json.dumps(message.headers or {}, ensure_ascii=False, indent=2))
    output.field("body", message.body[:MAX_SHOWN_BODY_CHARACTERS])
    if len(message.body) > MAX_SHOWN_BODY_CHARACTERS:
        output.field("", f"... ({len(message.body)} characters; --json shows all)")
    if message.given_up:
        output.field(
            "what to do", f"nothing; once nobody asks for it any more:  sagas kept discard {number} --reason '...'"
        )
    elif message.complete:
        output.field("what to do", f"once the cause is gone:  sagas kept requeue {number}")
        output.field("", f"or, if nobody needs it:  sagas kept discard {number} --reason '...'")
    else:
        output.field("what to do", "it cannot be requeued (it was not kept whole): let its sender send it again, then")
        output.field("", f"sagas kept discard {number} --reason '...'")


@kept.command()
@app_option
@_numbers
@reason_option(required=False)
def requeue(numbers: tuple[int, ...], reason: str) -> None:
    """Send messages once more, as they were, to the queues they came from."""
    messages = _messages()
    for number in numbers:
        message = messages.requeue(number, reason)
        click.echo(f"message {number} ({message.task}) is in the queue {message.queue} again")


@kept.command()
@app_option
@_numbers
@reason_option(required=True)
def discard(numbers: tuple[int, ...], reason: str) -> None:
    """Throw messages away for good."""
    messages = _messages()
    for number in numbers:
        message = messages.discard(number, reason)
        click.echo(f"message {number} ({message.task}, {message.message_id}) is discarded")
