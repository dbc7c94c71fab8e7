"""A service's document, made from its wiring."""

from __future__ import annotations

from dataclasses import dataclass, replace

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

from sagas_framework.asyncapi.document import Document, IllustratedMessage, Root, to_yaml
from sagas_framework.asyncapi.exchanges import Exchange, exchanges_of, refuse_names
from sagas_framework.asyncapi.messages import NO_DOCS, Messages
from sagas_framework.asyncapi.servers import servers_of
from sagas_framework.asyncapi.wire_text import described_wire
from sagas_framework.orchestrator.orchestrator import Orchestrator
from sagas_framework.participant.participant import Participant
from sagas_framework.transport.celery_app import Broker
from sagas_framework.vocabulary.contracts import refuse_contradictions

_SOME_ORCHESTRATOR = "some_orchestrator"
_REPLY_QUEUE = "$message.header#/sagas/reply_queue"
_ORCHESTRATES = Tag("orchestrator", "Runs sagas: sends commands, and is answered", NO_DOCS)
_PARTICIPATES = Tag("participant", "Takes part in sagas: takes commands, and answers them", NO_DOCS)


@dataclass(frozen=True)
class Specification:
    """The AsyncAPI document of a service, read from what its worker is wired with."""

    application: Orchestrator | Participant
    title: str
    version: str
    description: str

    def __post_init__(self) -> None:
        commands = [exchange.command for exchange in self._exchanges()]
        refuse_names(commands)
        refuse_contradictions(commands)  # sagas and `@handles` were asked at start, tasks of the long form were not

    def document(self, broker: Broker | None = None) -> Document:
        """`broker`: the server to tell of, instead of the one that is configured."""
        told_of = broker or self.application.broker
        exchanges = self._exchanges()
        orchestrates = isinstance(self.application, Orchestrator)
        messages = Messages([exchange.command for exchange in exchanges])
        drafts = _Operations(messages, told_of, self.application.name if orchestrates else _SOME_ORCHESTRATOR)
        operations = [drafts.of(exchange) for exchange in exchanges]
        example = [messages.outgoing(exchanges[0], drafts.orchestrator)] if exchanges else []
        root = Root(
            title=self.title,
            version=self.version,
            description="\n\n".join([self.description, *map(described_wire, example)]),
            tags=[_ORCHESTRATES if orchestrates else _PARTICIPATES],
            servers=servers_of(told_of),
            operations=operations,
            schemas=messages.components,
        )
        return root.as_document()

    def yaml(self) -> str:
        return to_yaml(self.document())

    def _exchanges(self) -> list[Exchange]:
        return sorted(exchanges_of(self.application), key=lambda exchange: exchange.command.name)


class _Operations:
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
        sends = exchange.action == "send"
        return Operation(
            key=command.name,
            action=exchange.action,
            title=command.title or None,
            summary=command.summary or None,
            description="\n".join(f"- {use}" for use in exchange.uses) or None,
            channel=channel,
            messages=[],
            reply=self._reply(exchange) if exchange.answered else None,
            traits=[],
            security=[],
            tags=[Tag(saga, "", NO_DOCS) for saga in sorted({use.saga for use in exchange.uses})],
            external_docs=None,
            bindings=OperationBindings(
                amqp=AmqpOperationBinding(delivery_mode=2, mandatory=True) if sends else AmqpOperationBinding(ack=True),
                redis={},
            ),
        )

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
