"""A delivered message as it is kept for the operator: whole, so that it can be sent again."""

from __future__ import annotations

from sagas_framework.storage.keeping import Kept
from sagas_framework.transport.delivery import Delivery


def kept_of(delivery: Delivery, reason: str, saga_id: str | None = None, task: str | None = None) -> Kept:
    """`task` where the message's own header does not say it."""
    text = delivery.text()
    raw = delivery.body if isinstance(delivery.body, str) else bytes(delivery.body)
    return Kept(
        reason,
        task or delivery.task,
        delivery.queue,
        delivery.message_id,
        saga_id,
        delivery.headers,
        text,
        delivery.content_type,
        intact=text == raw or text.encode() == raw,
    )
