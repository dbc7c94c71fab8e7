"""A participant without a broker: commands are handed to it by hand, its replies are caught."""

import json
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Engine

from sagas_framework import Broker, Command, Participant
from sagas_framework.participant.handlers import Work, marked_in, work_of
from sagas_framework.transport.celery_app import create_celery_app
from sagas_framework.transport.wire import OutgoingMessage
from sagas_framework.vocabulary.correlation import HEADER, Correlation
from sagas_framework.vocabulary.identity import Direction, message_id
from tests.support.orchestration import RecordingPublisher

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


def incoming(
    command: Command,
    payload: Any,
    direction: Direction = Direction.ACTION,
    attempt: int = 1,
    *,
    step: str = "create",
    unconditional: bool = False,
    reply_queue: str | None = "replies",
) -> Incoming:
    place = Correlation(
        "orders", SAGA_ID, step, direction, attempt, reply_queue=reply_queue, unconditional=unconditional
    )
    return Incoming(command.name, payload, place, message_id("orders", SAGA_ID, step, direction, attempt))


class ParticipantBench:
    """One worker of a participant. Several on one engine are several workers."""

    def __init__(self, engine: Engine | None, *functions: Any) -> None:
        self.publisher = RecordingPublisher()
        self.participant = Participant(
            "kitchen", create_celery_app("kitchen", BROKER, [], batches=False), BROKER, engine
        )
        self.participant._publisher = self.publisher
        module = SimpleNamespace(**{function.__name__: function for function in functions})
        self._works: dict[str, Work] = {w.task: w for w in (work_of(f, m) for f, m in marked_in(module))}

    def perform(self, command: Incoming) -> None:
        headers = {} if command.place is None else {HEADER: command.place.to_header()}
        request = SimpleNamespace(
            id=command.id,
            parent_id=None,
            retries=command.retries,
            delivery_info={"redelivered": command.redelivered},
            **headers,
        )
        task: Any = SimpleNamespace(name=command.task, request=request)
        self.participant.perform(task, command.saga_id, command.payload, self._works[command.task])

    def answers(self) -> list[tuple[str, Any]]:
        """(success | failure, payload) of what was sent since the last look."""
        return [(message.task.rpartition(".")[2], payload_of(message)) for message in self.publisher.take()]


def payload_of(message: OutgoingMessage) -> Any:
    return json.loads(message.body)[0][1]
