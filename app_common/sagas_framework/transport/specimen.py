"""A message as it lies in a broker, for whoever describes it: sent by the code that always sends, into memory."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

from kombu import Connection

from sagas_framework.transport.celery_app import Broker
from sagas_framework.transport.line import Line
from sagas_framework.transport.wire import OutgoingMessage


def in_broker(message: OutgoingMessage) -> dict[str, Any]:
    """The element of a list on Redis, as kombu writes it. RabbitMQ is given the same parts, each in its own place."""
    queue = f"specimen-{uuid.uuid4()}"
    with Connection("memory://") as connection:
        Line(connection, Broker("memory://").queue).send([replace(message, queue=queue)])
        channel = connection.default_channel
        found: dict[str, Any] = channel._get(queue)
        channel.queue_delete(queue)
    found["properties"]["delivery_info"]["routing_key"] = message.queue
    found["properties"]["delivery_tag"] = message.id
    return found
