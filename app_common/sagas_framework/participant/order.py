"""A command as it arrived, with everything that its answer needs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from celery import Task

from sagas_framework.storage.keeping import Kept
from sagas_framework.storage.memory import MemoryKey
from sagas_framework.vocabulary.correlation import HEADER, Correlation
from sagas_framework.vocabulary.identity import Direction


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

    @property
    def key(self) -> MemoryKey:
        return MemoryKey(self.place.orchestrator, self.place.saga, self.place.step)

    def kept(self, reason: str) -> Kept:
        return Kept(
            reason,
            self.task,
            self.queue,
            self.message_id,
            str(self.saga_id),
            {HEADER: self.place.to_header()} if self.announced else None,
            json.dumps([self.saga_id, self.payload]),
        )


def order_of(task: Task, saga_id: Any, payload: Any, default_reply_queue: str | None) -> Order:
    request = task.request
    place = Correlation.from_headers({HEADER: getattr(request, HEADER, None)})
    announced = place is not None
    if place is None:
        # Sent by somebody who knows nothing of us (saga-framework, say): its Celery id is all that tells a
        # duplicate from a new command.
        place = Correlation("", str(saga_id)[:120], f"{task.name}:{request.id}"[:255], Direction.ACTION, 1)
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
    )
