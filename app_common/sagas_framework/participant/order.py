"""A command as it arrived, with everything that its answer needs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from celery import Task

from sagas_framework.participant.barrier import Answer
from sagas_framework.participant.handlers import Work
from sagas_framework.storage.keeping import Kept
from sagas_framework.storage.memory import MemoryKey
from sagas_framework.transport.delivery import Delivery
from sagas_framework.transport.wire import OutgoingMessage, reply_message, task_body
from sagas_framework.vocabulary.correlation import HEADER, Correlation, place_of_stranger


@dataclass(frozen=True)
class ReturnAddress:
    """All that the answer to a command needs to find its way; it can be stored, for an answer that comes later.

    `place` is None for a command that did not carry our header: the reply to it carries none either. `declared`: only
    whoever knows the command can tell whether a response is right.
    """

    task: str
    message_id: str
    saga_id: Any
    reply_queue: str | None
    place: Correlation | None
    declared: bool = False

    def reply(self, answer: Answer) -> OutgoingMessage | None:
        """None: nobody waits for it."""
        if self.reply_queue is None:
            return None
        told = answer.value if answer.failure is None else answer.failure
        return reply_message(self.task, self.reply_queue, self.saga_id, self.message_id, told, self.place)

    def to_json(self) -> dict[str, Any]:
        values = {name: value for name, value in vars(self).items() if name != "place"}
        # An answer that comes later is nobody's second one, whatever the command was.
        return values | {HEADER: replace(self.place, again=False).to_header() if self.place else None}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> ReturnAddress:
        values = dict(value)
        return cls(place=Correlation.from_headers({HEADER: values.pop(HEADER)}), **values)


@dataclass(frozen=True)
class Order:
    """`announced`: the command carried our header; the reply to one that did not carries none either."""

    work: Work
    message_id: str
    saga_id: Any
    payload: Any
    place: Correlation
    announced: bool
    reply_queue: str | None
    redelivered: bool
    queue: str | None
    parent_id: str | None = None
    retries: int = 0

    @property
    def task(self) -> str:
        return self.work.task

    @property
    def suspect(self) -> bool:
        """Whether an earlier copy may have killed its worker. On Redis, where what a dead worker held comes back only
        after the visibility timeout, the copies that are asked again come first."""
        return self.redelivered or self.place.again

    @property
    def key(self) -> MemoryKey:
        return MemoryKey(self.place.orchestrator, self.place.saga, self.place.step)

    def kept(self, reason: str) -> Kept:
        header = self.place.to_header() if self.announced else None
        body = task_body(self.saga_id, self.payload)
        as_sent = OutgoingMessage(self.queue or "", self.task, self.message_id, body, self.parent_id, header)
        return Kept(
            reason,
            self.task,
            self.queue,
            self.message_id,
            str(self.saga_id),
            as_sent.headers(),
            as_sent.body,
        )

    @property
    def address(self) -> ReturnAddress:
        place = self.place if self.announced else None
        declared = self.work.command is not None
        return ReturnAddress(self.task, self.message_id, self.saga_id, self.reply_queue, place, declared)


def order_of_task(task: Task, saga_id: Any, payload: Any, work: Work) -> Order:
    """A command that Celery has received and hands to its task."""
    request = task.request
    place = Correlation.from_headers({HEADER: getattr(request, HEADER, None)})
    delivery = request.delivery_info or {}
    return Order(
        work=work,
        message_id=str(request.id),
        saga_id=saga_id,
        payload=payload,
        place=place or place_of_stranger(task.name, request.id, saga_id),
        announced=place is not None,
        # Of two that we know of, the queue that the command names wins; a command of ours that names none wants none.
        reply_queue=work.reply_queue if place is None else place.reply_queue,
        redelivered=bool(delivery.get("redelivered")),
        queue=delivery.get("routing_key"),
        parent_id=request.parent_id,
        retries=getattr(request, "retries", 0),
    )


def order_of_delivery(delivery: Delivery, saga_id: Any, payload: Any, work: Work) -> Order:
    """A command that was gathered with others."""
    place = delivery.correlation
    return Order(
        work=work,
        message_id=delivery.message_id,
        saga_id=saga_id,
        payload=payload,
        place=place or place_of_stranger(work.task, delivery.message_id, saga_id),
        announced=place is not None,
        reply_queue=work.reply_queue if place is None else place.reply_queue,
        redelivered=delivery.redelivered,
        queue=delivery.queue,
        parent_id=delivery.headers.get("parent_id"),
    )
