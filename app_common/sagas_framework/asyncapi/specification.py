"""A service's document, made from its wiring."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from asyncapi_python.kernel.document import Tag

from sagas_framework.asyncapi.announcements import (
    Announcement,
    announcements_of,
    operation_name,
    receipts_of,
    subscription_of,
)
from sagas_framework.asyncapi.document import Document, Root, to_yaml
from sagas_framework.asyncapi.envelope import NO_DOCS
from sagas_framework.asyncapi.event_messages import outgoing_receipts
from sagas_framework.asyncapi.exchanges import Application, Exchange, exchanges_of
from sagas_framework.asyncapi.messages import Messages
from sagas_framework.asyncapi.names import refuse_names, refuse_shared_names
from sagas_framework.asyncapi.operations import Operations
from sagas_framework.asyncapi.servers import servers_of
from sagas_framework.asyncapi.wire_text import described_events, described_wire
from sagas_framework.orchestrator.orchestrator import Orchestrator
from sagas_framework.participant.participant import Participant
from sagas_framework.transport.celery_app import Broker
from sagas_framework.vocabulary.contracts import refuse_contradictions

_SOME_ORCHESTRATOR = "some_orchestrator"
_ORCHESTRATES = Tag("orchestrator", "Runs sagas: sends commands, and is answered", NO_DOCS)
_PARTICIPATES = Tag("participant", "Takes part in sagas: takes commands, and answers them", NO_DOCS)
_SUBSCRIBES = Tag("subscriber", "Handles events, and sends receipts for them", NO_DOCS)
_PUBLISHES = Tag("publisher", "Publishes events, until each subscriber has sent a receipt", NO_DOCS)


@dataclass(frozen=True)
class Specification:
    """The AsyncAPI document of a service, read from what its worker is wired with."""

    application: Application
    title: str
    version: str
    description: str

    def __post_init__(self) -> None:
        commands = [exchange.command for exchange in self._exchanges()]
        announcements = announcements_of(self.application)
        events = [each.event for each in announcements]
        refuse_names(commands, events)
        # Sagas and `@handles` were asked at start, tasks of the long form were not.
        refuse_contradictions(commands, events=events)
        of_events = [operation_name(each.event.name, each.action, each.queue) for each in announcements]
        refuse_shared_names([*(command.name for command in commands), *of_events])

    def document(self, broker: Broker | None = None) -> Document:
        """`broker`: the server to tell of, instead of the one that is configured."""
        told_of = broker or self.application.broker
        exchanges, announcements = self._exchanges(), announcements_of(self.application)
        messages = Messages([each.command for each in exchanges], [each.event for each in announcements])
        sender = _SOME_ORCHESTRATOR if isinstance(self.application, Participant) else self.application.name
        drafts = Operations(messages, told_of, sender)
        root = Root(
            title=self.title,
            version=self.version,
            description="\n\n".join([self.description, *_told(messages, exchanges, announcements, sender)]),
            tags=list(_roles(self.application)),
            servers=servers_of(told_of),
            operations=[
                *map(drafts.of, exchanges),
                *map(drafts.of_event, announcements),
                *map(drafts.of_receipts, receipts_of(self.application)),
            ],
            schemas=messages.components,
        )
        return root.as_document()

    def yaml(self) -> str:
        return to_yaml(self.document())

    def _exchanges(self) -> list[Exchange]:
        return sorted(exchanges_of(self.application), key=lambda exchange: exchange.command.name)


def _told(
    messages: Messages, exchanges: list[Exchange], announcements: list[Announcement], sender: str
) -> Iterator[str]:
    """What goes over the wire, by the first of each kind."""
    if exchanges:
        yield described_wire(messages.outgoing(exchanges[0], sender))
    for announcement in announcements:
        if announcement.queue is not None:
            receipt = outgoing_receipts(announcement.event.receipts_queue, announcement.queue)
            yield described_events(messages.outgoing_event(announcement), receipt)
            return


def _roles(application: Application) -> Iterator[Tag]:
    if isinstance(application, Orchestrator):
        yield _ORCHESTRATES
    if isinstance(application, Participant):
        yield _PARTICIPATES
    if subscription_of(application) is not None:
        yield _SUBSCRIBES
    if application.publishes:
        yield _PUBLISHES
