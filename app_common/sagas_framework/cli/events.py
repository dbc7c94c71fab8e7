"""`sagas events list | show | replay | skip` and `sagas events outgoing | resend | discard`"""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from sagas_framework.cli import output
from sagas_framework.cli.arguments import NUMBER, reason_option
from sagas_framework.cli.target import app_option, target
from sagas_framework.events.incoming import KILLS_ITS_WORKER
from sagas_framework.operations import Events, Kind, Outgoing, Standing, WaitingEvent
from sagas_framework.operations.findings import many
from sagas_framework.operations.words import clock, times
from sagas_framework.vocabulary.text import printable

_number = click.argument("number", type=NUMBER)
_numbers = click.argument("numbers", metavar="NUMBER...", type=NUMBER, nargs=-1, required=True)
_any_numbers = click.argument("numbers", metavar="[NUMBER...]", type=NUMBER, nargs=-1)
_about = click.option(
    "--about", metavar="TEXT", help="What it is about, as ABOUT shows it without the number, or the id of a message."
)
_limit = click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)


@click.group()
def events() -> None:
    """Events that could not be handled, and what goes out and does not arrive.

    \b
    Came in, not handled (a subscriber's):        list, show, replay, skip
    To go out, not arrived (of any application):  outgoing, resend, discard
    """


def _events() -> Events:
    return Events(target().application())


# ---- what has come in ------------------------------------------------------------------------------------------------


@events.command("list")
@app_option
@_about
@_limit
@click.option("--json", "as_json", is_flag=True, help="A JSON array, with payloads.")
def list_command(about: str | None, limit: int, as_json: bool) -> None:
    """What a subscriber has and has not handled: what is parked first.

    With --about account=17 also how far it is there, though nothing may wait.
    """
    found = _events().waiting(limit, about)
    if as_json:
        output.as_json(found)
        return
    _list(found, limit)
    if about is not None:
        _tell_of_progress(about)


def _list(found: Sequence[WaitingEvent], limit: int) -> None:
    if not found:
        click.echo("no events wait")
        return
    output.table(
        ["NUMBER", "EVENT", "ABOUT", "CAME", "SITUATION"],
        [[str(one.id), one.event, one.about, output.since(one.received_at), one.situation] for one in found],
        keep_whole=["NUMBER", "CAME"],
    )
    _tell_of_limit(len(found), limit)


def _tell_of_progress(about: str) -> None:
    for one in _events().progress(about):
        so_far = f"handled up to #{one.handled}" if one.handled else "none has been handled yet"
        _say(f"events of {one.source} about {one.aggregate}: {so_far}")


@events.command()
@app_option
@_number
@click.option("--json", "as_json", is_flag=True)
def show(number: int, as_json: bool) -> None:
    """One event: why it waits, what it says, and what to do."""
    event = _events().show(number)
    if as_json:
        output.as_json(event)
        return
    output.field("number", str(event.id))
    output.field("situation", event.situation)
    output.field("event", f"{event.event} from {event.source}")
    output.field("about", event.about)
    output.field("message", event.message_id)
    output.field("came", f"{clock(event.received_at)} ({output.since(event.received_at)})")
    if event.failure:
        output.field("failed", f"tried {times(event.attempts)}" if event.attempts else _forgiven(event.failure))
        output.field("", _failure_in_full(event.failure))
    output.field("says", json.dumps(event.payload, ensure_ascii=False, indent=2))
    for index, line in enumerate(_advice(event)):
        output.field("" if index else "what to do", line)


def _forgiven(failure: dict[str, object]) -> str:
    reason = failure.get("replayed")
    return "forgiven by a replay" + (f": {reason}" if reason else "")


def _failure_in_full(failure: dict[str, object]) -> str:
    return f"{failure.get('type') or 'failure'}: {failure.get('message') or ''}"


def _advice(event: WaitingEvent) -> list[str]:
    replay = f"sagas events replay {event.id}{target().option}"
    skip = f"sagas events skip {event.id}{target().option}"
    if event.standing is Standing.HELD_BACK:
        return [f"look at what holds it back:  sagas events show {event.held_by}{target().option}"]
    if event.standing is Standing.EARLY:
        lost = f"{event.aggregate} #{event.next_number}"
        return [
            f"{event.source} sends {lost} until it arrives; there:  sagas events outgoing",
            f"or, if it is lost for good:  {skip} --missing --reason '...'",
        ]
    kills = event.failure is not None and event.failure.get("type") == KILLS_ITS_WORKER
    care = ["be sure of the cause: should it kill its worker again, skip it"] if kills else []
    return [
        f"once the cause is gone:  {replay}",
        *care,
        f"or give it up for good:  {skip} --reason '...'",
    ]


@events.command()
@app_option
@_any_numbers
@click.option("--all-parked", is_flag=True, help="Every event that is parked.")
@reason_option(required=False)
def replay(numbers: tuple[int, ...], all_parked: bool, reason: str) -> None:
    """Try events again at once; those held back behind them follow by themselves."""
    if bool(numbers) == all_parked:
        raise click.UsageError("give the numbers of events, or --all-parked")
    waiting = _events()
    replayed = waiting.replay_parked(reason) if all_parked else (waiting.replay(number, reason) for number in numbers)
    none = True
    for event in replayed:
        _say(f"event {event.id} ({event.event}, {event.about}) is to be tried again")
        none = False
    click.echo("no event is parked" if none else "a running worker tries within a second")


@events.command()
@app_option
@_numbers
@click.option("--missing", is_flag=True, help="Give up not these, but those that they wait for and that never come.")
@reason_option(required=True)
def skip(numbers: tuple[int, ...], missing: bool, reason: str) -> None:
    """Give events up for good: later ones of the same go on without them."""
    waiting = _events()
    for number in numbers:
        if missing:
            event = waiting.skip_missing(number, reason)
            _say(f"{event.aggregate} goes on without #{event.next_number}, which has never come")
            continue
        event = waiting.skip(number, reason)
        _say(f"event {event.id} ({event.event}, {event.about}) is given up; it said:")
        _say(json.dumps(event.payload, ensure_ascii=False))
        _say("that stays to be looked up, with your reason: `sagas kept list`")
        if event.behind:
            click.echo(f"it held back {event.behind}: a running worker goes on with them within a second")


# ---- what goes out ---------------------------------------------------------------------------------------------------


@events.command()
@app_option
@click.argument("number", type=NUMBER, required=False)
@_about
@_limit
@click.option("--json", "as_json", is_flag=True, help="With payloads.")
def outgoing(number: int | None, about: str | None, limit: int, as_json: bool) -> None:
    """What was published or sent and has not arrived: what waits for you first. NUMBER shows one in full."""
    if number is not None:
        _show_outgoing(_events().show_outgoing(number), as_json)
        return
    found = _events().outgoing(limit, about)
    if as_json:
        output.as_json(found)
        return
    if not found:
        click.echo("everything has arrived" if about is None else "nothing about it is on its way")
        return
    output.table(
        ["NUMBER", "WHAT", "TO", "ABOUT", "AGE", "SITUATION"],
        [
            [str(one.id), one.task, one.queue or "nobody", one.about, output.since(one.created_at), one.situation]
            for one in found
        ],
        keep_whole=["NUMBER", "AGE"],
    )
    _tell_of_limit(len(found), limit)


def _show_outgoing(one: Outgoing, as_json: bool) -> None:
    if as_json:
        output.as_json(one)
        return
    output.field("number", str(one.id))
    output.field("situation", one.situation)
    output.field(one.kind.value, f"{one.task} to {one.queue or 'nobody'}")
    if one.about:
        output.field("about", one.about)
    if one.step:
        output.field("attempt", str(one.attempt))
    output.field("message", one.message_id)
    output.field("made", f"{clock(one.created_at)} ({output.since(one.created_at)})")
    if one.problem:
        output.field("problem", one.problem)
    output.field("says", json.dumps(one.payload, ensure_ascii=False, indent=2))
    for index, line in enumerate(_outgoing_advice(one)):
        output.field("" if index else "what to do", line)


def _outgoing_advice(one: Outgoing) -> list[str]:
    resend = f"sagas events resend {one.id}{target().option}"
    discard = f"or, if nobody needs it:  sagas events discard {one.id}{target().option} --reason '...'"
    if one.problem is None:
        worker = f"is a worker running that takes messages from the queue {one.queue}?"
        return [worker, f"it is sent again by itself; at once:  {resend}"]
    if one.kind is Kind.EVENT:
        return [f"add a queue to the subscribers of the event, restart the workers, then:  {resend}", discard]
    return [f"once the cause is gone:  {resend}", discard]


@events.command()
@app_option
@_any_numbers
@click.option("--all-failed", is_flag=True, help="All that is not sent any more: failed, or nobody subscribed to it.")
@click.option("--queue", metavar="NAME", help="All that waits for who takes from this queue, once he is back.")
@reason_option(required=False)
def resend(numbers: tuple[int, ...], all_failed: bool, queue: str | None, reason: str) -> None:
    """Send now what has not arrived; a failed command as a new attempt, an event to those who subscribe by now."""
    if [bool(numbers), all_failed, queue is not None].count(True) != 1:
        raise click.UsageError("give the numbers of outgoing messages, or --all-failed, or --queue")
    waiting = _events()
    if queue is not None:
        count = waiting.resend_queue(queue, reason)
        _say(f"{many(count, 'message', 'messages')} to {queue}: a running worker sends within a second"
             if count else f"nothing waits to be sent to {queue}")  # fmt: skip
        return
    if not all_failed:
        for number in numbers:
            _tell_of_resent(waiting.resend(number, reason))
        click.echo("a running worker sends within a second")
        return
    resent, refused = waiting.resend_failed(reason)
    for one in resent:
        _tell_of_resent(one)
    if refused:
        raise click.ClickException(f"{len(refused)} could not be sent; the first: {refused[0]}")
    click.echo("a running worker sends within a second" if resent else "nothing has failed")


def _tell_of_resent(one: Outgoing) -> None:
    about = f", {one.about}" if one.about else ""
    _say(f"{one.kind.value} {one.id} ({one.task}{about}) is to be sent again")


@events.command()
@app_option
@_numbers
@reason_option(required=True)
def discard(numbers: tuple[int, ...], reason: str) -> None:
    """Never send them again."""
    for number in numbers:
        one = _events().discard(number, reason)
        _say(f"{one.kind.value} {one.id} ({one.task}, {one.message_id}) is discarded; it said:")
        _say(json.dumps(one.payload, ensure_ascii=False))
        _say("that stays to be looked up, with your reason: `sagas kept list`")
        if one.kind is Kind.EVENT and one.queue:
            _say(
                f"should {one.queue} not have it, later events of {one.aggregate} wait there for #{one.number}: "
                "`sagas events skip NUMBER --missing`"
            )


def _say(line: str) -> None:
    """Parts of it come from outside."""
    click.echo(printable(line))


def _tell_of_limit(shown: int, limit: int) -> None:
    if shown == limit:
        click.echo(f"(the first {limit}; --limit shows more)", err=True)
