"""Is this process set up so that no saga gets lost, and does anything wait for a person?"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from celery import Celery
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from sagas_framework.definition.graph import Definition
from sagas_framework.engine.state import Phase, SagaState, StepState
from sagas_framework.errors import PublishFailed
from sagas_framework.operations import doctor_of_events
from sagas_framework.operations.advice import OVERDUE_SECONDS
from sagas_framework.operations.findings import Finding, many
from sagas_framework.operations.process import Speaker, events_queue_of
from sagas_framework.operations.words import one_line
from sagas_framework.storage import health
from sagas_framework.storage.database import reading
from sagas_framework.storage.migration import schema_versions
from sagas_framework.storage.schema import UNFINISHED
from sagas_framework.transport.celery_app import settings_that_lose_messages
from sagas_framework.transport.publisher import Publisher

MANY_ASKS = 3
LOOKED_AT_FOR_SILENCE = 200
MAX_CLOCK_SKEW_SECONDS = 2.0
CHECK_TIMEOUT_SECONDS = 3.0


def examine(patient: Speaker, start_worker: str) -> Iterator[Finding]:
    """Every check, one after the other; `start_worker` is the command line that starts the patient's worker."""
    yield _broker(patient)
    yield from _settings(patient.app)
    if patient.broker.is_redis:
        yield _visibility(patient, _definitions(patient))
    if patient.engine is None:
        remedy = "give create_participant a database_url"
        yield Finding("database", False, "there is none: a command that comes twice is done twice", remedy)
        return
    try:
        with reading(patient.engine) as connection:
            yield Finding("database", True, f"{_place(patient.engine)} answers")
            yield from _database(connection, start_worker, patient)
    except SQLAlchemyError as error:
        why = one_line(str(getattr(error, "orig", None) or error))
        remedy = "start the database, or correct the service's ..._DATABASE_URL"
        yield Finding("database", False, f"{_place(patient.engine)} cannot be used: {why}", remedy)


def _place(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=True)


# ---- broker and settings -----------------------------------------------------------------------------------------


def _broker(patient: Speaker) -> Finding:
    publisher = Publisher(patient.app, patient.broker, CHECK_TIMEOUT_SECONDS)
    place = patient.app.connection_for_write().as_uri()  # leaves the password out
    try:
        publisher.check()
    except PublishFailed as error:
        remedy = "start the broker, or correct CELERY_BROKER; sagas wait and go on by themselves"
        return Finding("broker", False, f"{place}: {one_line(str(error))}", remedy)
    finally:
        publisher.close()
    return Finding("broker", True, f"{place} answers")


def _settings(app: Celery) -> Iterator[Finding]:
    problems = settings_that_lose_messages(app)
    for problem in problems:
        remedy = "remove what changes it after the application was created"
        yield Finding("settings", False, problem, remedy)
    if not problems:
        yield Finding("settings", True, "no Celery setting loses messages")


def _visibility(patient: Speaker, definitions: Mapping[str, Definition]) -> Finding:
    """What a killed worker held comes back after the visibility timeout; until then only asking again helps."""
    options = patient.app.conf.broker_transport_options or {}
    seconds = float(options.get("visibility_timeout", 0))
    if seconds != patient.broker.visibility_timeout_seconds:
        text = f"the app's visibility timeout is {seconds:g} s, not {patient.broker.visibility_timeout_seconds:g} s"
        return Finding("redis", False, text, "set it through CELERY_VISIBILITY_TIMEOUT_SECONDS alone")
    nodes = [node for definition in definitions.values() for node in definition.nodes.values() if node.remote]
    hasty = [node for node in nodes if node.may_give_up and node.give_up_after_seconds <= seconds]
    if hasty:
        text = (
            f"step {hasty[0].name!r} is given up after {hasty[0].give_up_after_seconds:g} s, before what a killed "
            f"worker held comes back ({seconds:g} s)"
        )
        return Finding("redis", False, text, "lower CELERY_VISIBILITY_TIMEOUT_SECONDS or raise give_up_after_seconds")
    asks = f", asked again after {min(node.ask_again_after_seconds for node in nodes):g} s" if nodes else ""
    return Finding("redis", True, f"what a killed worker held comes back after {seconds:g} s{asks}")


# ---- database ------------------------------------------------------------------------------------------------------


def _database(connection: Connection, start_worker: str, patient: Speaker) -> Iterator[Finding]:
    yield from _sqlite(connection)
    yield from _clock(connection)
    has, needs = schema_versions(connection)
    if has != needs:
        text = f"its tables are of version {has or 'none'}, this release needs {needs}"
        yield Finding("schema", False, text, "sagas db upgrade")
        return
    yield Finding("schema", True, f"version {has}")
    for check in (_attention, _kept, _parked, _overdue(start_worker), _outbox(start_worker)):
        yield check(connection)
    definitions = _definitions(patient)
    if definitions:
        yield _silence(connection, definitions)
    queue = events_queue_of(patient)
    if queue is not None:
        yield from doctor_of_events.inbox(connection, queue, start_worker)
    if patient.publishes:
        yield doctor_of_events.unheard(patient.publishes)
    if patient.publishes or queue is not None:
        yield from doctor_of_events.outgoing(connection)


def _definitions(patient: Speaker) -> Mapping[str, Definition]:
    definitions: Mapping[str, Definition] = getattr(patient, "definitions", {})
    return definitions


def _sqlite(connection: Connection) -> Iterator[Finding]:
    if connection.dialect.name != "sqlite":
        return
    problems = health.sqlite_problems(connection)
    for problem in problems:
        yield Finding("sqlite", False, problem, "let the framework make the engine, and put the file on a local disk")
    if not problems:
        yield Finding("sqlite", True, "write-ahead log, synchronous, foreign keys, waits for locks")


def _clock(connection: Connection) -> Iterator[Finding]:
    clock = health.clock(connection)
    if clock is None:
        return
    skew = abs(clock - time.time())
    text = f"database and this process differ by {skew:.1f} s"
    remedy = "synchronise both machines (NTP): retries and deadlines are early or late by that much"
    yield Finding("clock", skew <= MAX_CLOCK_SKEW_SECONDS, text, remedy)


def _attention(connection: Connection) -> Finding:
    counts = health.count_by_status(connection, UNFINISHED)
    stuck = counts.get("needs_attention", 0)
    under_way = f"{counts.get('running', 0)} running, {counts.get('compensating', 0)} compensating"
    text = f"{many(stuck, 'saga needs', 'sagas need')} attention ({under_way})" if stuck else under_way
    return Finding("sagas", stuck == 0, text, "sagas list --status needs_attention")


def _silence(connection: Connection, definitions: Mapping[str, Definition]) -> Finding:
    """Which queues nobody seems to serve, told from the sagas that were started first."""
    silent: Counter[str] = Counter()
    for saga, state in health.oldest_unfinished(connection, LOOKED_AT_FOR_SILENCE):
        definition = definitions.get(saga)
        children = definition.children if definition else {}
        for name, step in SagaState.from_json(state).steps.items():
            if name in children or step.stuck:
                continue  # a child answers at its own end; what is stuck has been answered
            if step.awaited is not None and step.awaited.asks >= MANY_ASKS:
                silent[_queue(definition, name, step)] += 1
    if not silent:
        return Finding("replies", True, "no command is asked again and again")
    queues = ", ".join(f"{queue} ({count})" for queue, count in silent.most_common())
    text = f"commands to these queues were asked {MANY_ASKS} times and more without an answer: {queues}"
    return Finding("replies", False, text, "start (or look into) the workers that take messages from these queues")


def _queue(definition: Definition | None, name: str, step: StepState) -> str:
    node = definition.nodes.get(name) if definition else None
    command = None if node is None else node.undo_command if step.phase is Phase.UNDOING else node.command
    return command.queue if command else f"that of step {name!r}"


def _kept(connection: Connection) -> Finding:
    count = health.count_kept(connection)
    text = f"{many(count, 'message was', 'messages were')} kept for an operator" if count else "none kept"
    return Finding("messages", count == 0, text, "sagas kept list, then requeue or discard each")


def _parked(connection: Connection) -> Finding:
    count = health.count_parked(connection)
    text = f"{many(count, 'command that kills its worker waits', 'commands that kill their worker wait')}"
    return Finding("parked", count == 0, text if count else "no command kills its worker", "sagas kept list, requeue")


def _overdue(start_worker: str) -> Callable[[Connection], Finding]:
    def check(connection: Connection) -> Finding:
        now = time.time()
        count, since = health.overdue(connection, now - OVERDUE_SECONDS)
        if not count or since is None:
            return Finding("due", True, "nothing is overdue")
        due = f"{many(count, 'saga has', 'sagas have')} been due for up to {now - since:.0f} s"
        text = f"{due}, and no worker looks after {'it' if count == 1 else 'them'}"
        return Finding("due", False, text, f"{start_worker} (if one runs, read its log: is its broker there?)")

    return check


def _outbox(start_worker: str) -> Callable[[Connection], Finding]:
    def check(connection: Connection) -> Finding:
        count = health.outbox_due_before(connection, time.time() - OVERDUE_SECONDS)
        text = f"{many(count, 'message waits', 'messages wait')} in the outbox, due for more than {OVERDUE_SECONDS:g} s"
        return Finding("outbox", count == 0, text if count else "nothing waits", start_worker)

    return check
