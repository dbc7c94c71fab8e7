"""The operations of a document, each with its channel and its messages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

from asyncapi_python.kernel.document import (
    AmqpChannelBinding,
    AmqpOperationBinding,
    AmqpQueue,
    Channel,
    ChannelBindings,
    Operation,
    OperationBindings,
    OperationReply,
    Tag,
)

from sagas_framework.asyncapi.announcements import NOBODY, Announcement, Receipts, channel_name, operation_name
from sagas_framework.asyncapi.document import IllustratedMessage
from sagas_framework.asyncapi.envelope import NO_DOCS
from sagas_framework.asyncapi.exchanges import Exchange
from sagas_framework.asyncapi.messages import Messages
from sagas_framework.transport.celery_app import Broker
from sagas_framework.vocabulary.names import RECEIPTS_TASK

_REPLY_QUEUE = "$message.header#/sagas/reply_queue"
_NOBODY_SUBSCRIBES = "Nobody subscribes to this event: it is sent nowhere."


class Operations:
    def __init__(self, messages: Messages, broker: Broker, orchestrator: str) -> None:
        self.orchestrator = orchestrator
        self._messages = messages
        self._broker = broker

    def of(self, exchange: Exchange) -> Operation:
        command = exchange.command
        channel = self._channel(
            command.name,
            command.queue,
            [self._messages.command(exchange, self.orchestrator)],
            title=command.title,
        )
        return _operation(
            command.name,
            exchange.action,
            channel,
            title=command.title,
            summary=command.summary,
            uses=exchange.uses,
            reply=self._reply(exchange) if exchange.answered else None,
            tags=sorted({use.saga for use in exchange.uses}),
        )

    def of_event(self, announcement: Announcement) -> Operation:
        event, queue = announcement.event, announcement.queue
        message = self._messages.event(announcement)
        title = _with_queue(event.title, queue or NOBODY)
        channel = self._channel(channel_name(event.name, queue), queue, [message], title=title)
        if queue is None:
            channel = replace(channel, description=_NOBODY_SUBSCRIBES)
        return _operation(
            operation_name(event.name, announcement.action, queue),
            announcement.action,
            channel,
            title=title,
            summary=event.summary,
            uses=announcement.handlers,
        )

    def of_receipts(self, receipts: Receipts) -> Operation:
        message = self._messages.receipts(receipts)
        title = _with_queue(message.title or "", receipts.queue)
        channel = self._channel(channel_name(RECEIPTS_TASK, receipts.queue), receipts.queue, [message], title=title)
        name = operation_name(RECEIPTS_TASK, receipts.action, receipts.queue)
        return _operation(name, receipts.action, channel, title=title)

    def _reply(self, exchange: Exchange) -> OperationReply:
        queues = exchange.reply_queues
        known = queues[0] if len(queues) == 1 else None
        messages = [
            self._messages.success(exchange, self.orchestrator),
            self._messages.failure(exchange, self.orchestrator),
        ]
        title = f"Replies to {exchange.command.title or exchange.command.name}"
        channel = self._channel(f"{exchange.command.name}.response", known, messages, title=title)
        if known is None:
            own = exchange.own_reply_queue
            otherwise = f"where it names none, `{own}`." if own else "where it names none, nobody is answered."
            here = f" Here: {', '.join(queues)}." if queues else ""
            channel = replace(channel, description=f"The queue that the command names in its header; {otherwise}{here}")
        return OperationReply(channel, list(messages), None if known else _REPLY_QUEUE)

    def _channel(self, key: str, queue: str | None, messages: list[IllustratedMessage], *, title: str) -> Channel:
        return Channel(
            key=key,
            address=queue,
            title=title or None,
            summary=None,
            description=None,
            servers=[],
            messages={message.key: message for message in messages},
            parameters={},
            tags=[],
            external_docs=None,
            bindings=ChannelBindings(amqp=None if queue is None else self._declared(queue), redis={}),
        )

    def _declared(self, name: str) -> AmqpChannelBinding:
        queue = self._broker.queue(name)
        declared = AmqpQueue(
            name,
            durable=queue.durable,
            exclusive=queue.exclusive,
            auto_delete=queue.auto_delete,
            arguments=queue.queue_arguments,
        )
        return AmqpChannelBinding("queue", declared)


def _with_queue(title: str, queue: str) -> str:
    """There is one for each: a list of them has to tell them apart."""
    return f"{title} ({queue})" if title else ""


def _operation(
    key: str,
    action: Literal["send", "receive"],
    channel: Channel,
    *,
    title: str,
    summary: str = "",
    uses: Iterable[object] = (),
    reply: OperationReply | None = None,
    tags: Iterable[str] = (),
) -> Operation:
    sent = AmqpOperationBinding(delivery_mode=2, mandatory=True)
    return Operation(
        key=key,
        action=action,
        title=title or None,
        summary=summary or None,
        description="\n".join(f"- {use}" for use in uses) or None,
        channel=channel,
        messages=[],
        reply=reply,
        traits=[],
        security=[],
        tags=[Tag(tag, "", NO_DOCS) for tag in tags],
        external_docs=None,
        bindings=OperationBindings(amqp=sent if action == "send" else AmqpOperationBinding(ack=True), redis={}),
    )
