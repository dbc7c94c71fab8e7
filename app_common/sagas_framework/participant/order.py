"""A command as it arrived, with everything that its answer needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from celery import Task

from sagas_framework.storage.keeping import Kept
from sagas_framework.storage.memory import MemoryKey
from sagas_framework.transport.wire import OutgoingMessage, task_body
from sagas_framework.vocabulary.correlation import HEADER, Correlation, place_of_stranger


@dataclass(frozen=True)
class Order:
    """`announced`: the command carried our header; the reply to one that did not carries none either."""

    task: str
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


def order_of(task: Task, saga_id: Any, payload: Any, default_reply_queue: str | None) -> Order:
    request = task.request
    place = Correlation.from_headers({HEADER: getattr(request, HEADER, None)})
    announced = place is not None
    if place is None:
        place = place_of_stranger(task.name, request.id, saga_id)
    delivery = request.delivery_info or {}
    return Order(
        task=task.name,
        message_id=str(request.id),
        saga_id=saga_id,
        payload=payload,
        place=place,
        announced=announced,
        # Of two that we know of, the queue that the command names wins; a command of ours that names none wants none.
        reply_queue=place.reply_queue if announced else default_reply_queue,
        redelivered=bool(delivery.get("redelivered")),
        queue=delivery.get("routing_key"),
        parent_id=request.parent_id,
        retries=getattr(request, "retries", 0),
    )
