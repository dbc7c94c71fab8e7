"""A participant whose handlers write what they do, and do besides what a test wants them to."""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import Any

import pytest
from sqlalchemy import Engine, event, func, insert, select, text

from sagas_framework import Command, HandlerContext, handles
from sagas_framework.storage.schema import deliveries, participant_memory
from tests.support.participation import (
    NEIGHBOURS_NOTE,
    BatchBench,
    Incoming,
    ParticipantBench,
    Worker,
)
from tests.support.sagas import orders
from tests.support.threads import until

THREADS, BATCHES, AMONG_OTHERS = "in a thread", "in a batch of one", "in a batch among others"
NEIGHBOURS = 4


@dataclass(frozen=True)
class Ask:
    order_id: int


@dataclass(frozen=True)
class Ticket:
    ticket_id: int


CREATE = Command("kitchen.create", "kitchen.commands", Ask, Ticket)
REJECT = Command("kitchen.reject", "kitchen.commands", Ask)
ASK = {"order_id": 7}


class Kitchen:
    """`before_create` and `before_reject` are a test's own; `mode` is the way in which its workers take commands."""

    def __init__(self, engine: Engine, mode: str) -> None:
        self.engine = engine
        self.mode = mode
        self.before_create: Callable[[HandlerContext], None] = lambda step: None
        self.before_reject: Callable[[HandlerContext], None] = lambda step: None
        self.runs: list[str] = []

        @handles(CREATE, transient=(TimeoutError,), database_only=True)
        def create(ask: Ask, step: HandlerContext) -> Ticket:
            self.runs.append("create")
            step.session.execute(insert(orders).values(note="created"))
            self.before_create(step)
            return Ticket(ask.order_id * 10)

        @handles(REJECT, database_only=True)
        def reject(ask: Ask, step: HandlerContext) -> None:
            self.runs.append("reject")
            self.before_reject(step)
            step.session.execute(
                insert(orders).values(note=f"rejected {step.reply['ticket_id'] if step.reply else ''}")
            )

        self._functions = (create, reject)
        self.bench = self.worker()

    def worker(self) -> Worker:
        if self.mode == THREADS:
            return self.worker_with_threads()
        return self.worker_in_batches(NEIGHBOURS if self.mode == AMONG_OTHERS else 0)

    def worker_with_threads(self) -> ParticipantBench:
        return ParticipantBench(self.engine, *self._functions)

    def worker_in_batches(self, neighbours: int = 0) -> BatchBench:
        return BatchBench(self.engine, *self._functions, neighbours=neighbours)

    def notes(self) -> list[str]:
        """What the handlers have written; the neighbours' notes do not count."""
        with self.engine.connect() as connection:
            chosen = select(orders.c.note).where(~orders.c.note.startswith(NEIGHBOURS_NOTE)).order_by(orders.c.id)
            return list(connection.scalars(chosen))

    def count(self, table: Any) -> int:
        """The neighbours' memory does not count."""
        chosen = select(func.count()).select_from(table)
        if table is participant_memory:
            chosen = chosen.where(table.c.step != "neighbour")
        with self.engine.connect() as connection:
            return connection.scalar(chosen) or 0


def refused(answers: list[tuple[str, Any]]) -> list[str]:
    return [payload["type"] for outcome, payload in answers if outcome == "failure"]


def set_count(engine: Engine, command: Incoming, begun: int) -> None:
    if begun:
        with engine.begin() as connection:
            connection.execute(insert(deliveries).values(message_id=command.id, begun=begun, last_at=0.0))


def counts(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        return {row.message_id: row.begun for row in connection.execute(select(deliveries))}


def raising(error: BaseException) -> Callable[..., None]:
    def fail(*arguments: Any) -> None:
        raise error

    return fail


def once(work: Callable[[HandlerContext], Any]) -> Callable[[HandlerContext], None]:
    runs: list[HandlerContext] = []

    def guarded(step: HandlerContext) -> None:
        runs.append(step)
        if len(runs) == 1:
            work(step)

    return guarded


def somebody_waits(engine: Engine) -> bool:
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    with engine.connect() as connection:
        return bool(connection.scalar(waiting))


def about_to_wait(engine: Engine) -> Callable[[], None]:
    """What to call once another thread is to be held up by a lock: returns when it is."""
    if engine.dialect.name == "postgresql":
        return lambda: until(lambda: somebody_waits(engine))
    begins = Event()
    event.listen(engine, "engine_connect", lambda connection: begins.set())
    return lambda: None if begins.wait(10) else pytest.fail("nobody began")
