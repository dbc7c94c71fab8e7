"""A participant without a broker: commands are handed to it by hand, its replies are caught."""

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, Protocol
from uuid import uuid4

from celery.exceptions import Reject
from sqlalchemy import Engine, insert

from sagas_framework import Broker, Command, HandlerContext, Participant, handles
from sagas_framework.participant.commands import CommandBatches
from sagas_framework.participant.handlers import Work, marked_in, work_of
from sagas_framework.participant.later import LaterAnswers
from sagas_framework.transport.celery_app import create_celery_app
from sagas_framework.transport.delivery import Delivery
from sagas_framework.transport.inbox import Unfinished
from sagas_framework.transport.wire import OutgoingMessage, task_body
from sagas_framework.vocabulary.correlation import HEADER, Correlation
from sagas_framework.vocabulary.identity import Direction, message_id
from tests.support.orchestration import RecordingPublisher, delivery_of
from tests.support.sagas import orders

SAGA_ID = "01920000-0000-7000-8000-000000000001"
BROKER = Broker("memory://")


@dataclass(frozen=True)
class Incoming:
    """A command on its way to the participant."""

    task: str
    payload: Any
    place: Correlation | None
    id: str
    saga_id: Any = SAGA_ID
    redelivered: bool = False
    retries: int = 0

    def again(self, redelivered: bool = True) -> "Incoming":
        return replace(self, redelivered=redelivered)

    def asked_again(self) -> "Incoming":
        """The orchestrator's next copy: fresh, as far as the broker knows."""
        assert self.place is not None
        return replace(self, place=replace(self.place, again=True))

    def delivery(self) -> Delivery:
        """As it reaches an inbox."""
        header = None if self.place is None else self.place.to_header()
        message = OutgoingMessage(
            "kitchen.commands", self.task, self.id, task_body(self.saga_id, self.payload), None, header
        )
        return delivery_of(message, redelivered=self.redelivered)


def incoming(
    command: Command[Any, Any],
    payload: Any,
    direction: Direction = Direction.ACTION,
    attempt: int = 1,
    *,
    step: str = "create",
    unconditional: bool = False,
    reply_queue: str | None = "replies",
    saga_id: str = SAGA_ID,
) -> Incoming:
    place = Correlation(
        "orders", saga_id, step, direction, attempt, reply_queue=reply_queue, unconditional=unconditional
    )
    return Incoming(command.name, payload, place, message_id("orders", saga_id, step, direction, attempt), saga_id)


class Worker(Protocol):
    """A participant's worker, whichever way it takes its commands."""

    publisher: RecordingPublisher

    def perform(self, command: Incoming) -> None:
        """Raises Reject where the command goes back to the broker."""
        ...

    def answers(self) -> list[tuple[str, Any]]:
        """(success | failure, payload) of what was sent since the last look."""
        ...


class ParticipantBench:
    """One worker of a participant. Several on one engine are several workers."""

    def __init__(self, engine: Engine | None, *functions: Any) -> None:
        self.publisher = RecordingPublisher()
        self.participant = Participant(
            "kitchen", create_celery_app("kitchen", BROKER, [], batches=False), BROKER, engine
        )
        self.participant._publisher = self.publisher
        self.participant._later_answers = LaterAnswers(self.publisher)
        self._works = self.participant._works
        if functions:
            self.participant.register(_module(functions))

    def perform(self, command: Incoming) -> None:
        self.participant.perform(self.task(command), command.saga_id, command.payload, self._works[command.task])

    def task(self, command: Incoming) -> Any:
        """What Celery would hand to the function of its task."""
        headers = {} if command.place is None else {HEADER: command.place.to_header()}
        request = SimpleNamespace(
            id=command.id,
            parent_id=None,
            retries=command.retries,
            delivery_info={"redelivered": command.redelivered},
            **headers,
        )
        return SimpleNamespace(name=command.task, request=request, app=self.participant.app)

    def answers(self) -> list[tuple[str, Any]]:
        return _outcomes(self.publisher.take())


NEIGHBOUR = Command("kitchen.neighbour", "kitchen.commands", dict, dict)
NEIGHBOURS_NOTE = "a neighbour's "
MOST_HOLDS = 10


@handles(NEIGHBOUR, database_only=True)
def be_a_neighbour(payload: dict[str, Any], step: HandlerContext) -> dict[str, Any]:
    step.session.execute(insert(orders).values(note=NEIGHBOURS_NOTE + step.saga_id))
    return payload


class BatchBench:
    """One worker of a participant that does commands in batches; every command comes among so many `neighbours`."""

    def __init__(self, engine: Engine, *functions: Any, neighbours: int = 0) -> None:
        self.publisher = RecordingPublisher()
        self.batches = CommandBatches(engine, self.publisher, works_of([*functions, be_a_neighbour]))
        self._neighbours = neighbours
        self._numbers = itertools.count()
        self._to_be_answered: set[str] = set()

    def handle(self, *commands: Incoming | Delivery) -> None:
        """One batch, as an inbox hands it over; raises Unfinished with what is left of it."""
        self.batches.handle([one.delivery() if isinstance(one, Incoming) else one for one in commands])

    def perform(self, command: Incoming) -> None:
        """What an inbox does with a batch: what is to be held comes back, what is given back leaves."""
        around = [neighbour() for _ in range(self._neighbours)]
        middle = next(self._numbers) % (len(around) + 1)
        left = [one.delivery() for one in (*around[:middle], command, *around[middle:])]
        for _ in range(MOST_HOLDS):
            try:
                left = self._handle_or_hold(left)
            except Exception as error:  # so does an inbox
                raise Reject(str(error), requeue=True) from error
            if not left:
                self._to_be_answered |= {one.id for one in around}
                return
        raise AssertionError(f"it was held {MOST_HOLDS} times")

    def _handle_or_hold(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        try:
            self.batches.handle(deliveries)
        except Unfinished as unfinished:
            if unfinished.give_back:
                raise
            for delivery in unfinished.hold:
                delivery.tried_before = True
            return list(unfinished.hold)
        return []

    def answers(self) -> list[tuple[str, Any]]:
        """Without the neighbours' answers, which must all be there."""
        sent = self.publisher.take()
        of_neighbours = [one for one in sent if one.task == f"{NEIGHBOUR.name}.response.success"]
        self._to_be_answered -= {str(one.parent_id) for one in of_neighbours}
        assert not self._to_be_answered, "a neighbour was not answered"
        return _outcomes([one for one in sent if one not in of_neighbours])


def neighbour() -> Incoming:
    """A command of another saga, that always succeeds."""
    saga_id = str(uuid4())
    return incoming(NEIGHBOUR, {"of": saga_id}, step="neighbour", saga_id=saga_id)


def works_of(functions: Sequence[Any]) -> dict[str, Work]:
    marked = marked_in(_module(functions))
    return {work.task: work for work in (work_of(function, mark) for function, mark in marked)}


def _module(functions: Sequence[Any]) -> Any:
    return SimpleNamespace(**{function.__name__: function for function in functions})


def _outcomes(sent: Sequence[OutgoingMessage]) -> list[tuple[str, Any]]:
    return [(message.task.rpartition(".")[2], payload_of(message)) for message in sent]


def payload_of(message: OutgoingMessage) -> Any:
    return json.loads(message.body)[0][1]
