"""Events and their receipts as they travel, described: headers, body, an example of each, made as the real ones are."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from asyncapi_python.kernel.document import CorrelationId, Tag

from sagas_framework.asyncapi import envelope
from sagas_framework.asyncapi.announcements import Announcement, Receipts
from sagas_framework.asyncapi.document import IllustratedMessage, Schema, schema_ref
from sagas_framework.asyncapi.schemas import Schemas
from sagas_framework.errors import DefinitionError, PayloadRefused
from sagas_framework.transport import wire
from sagas_framework.vocabulary.correlation import HEADER
from sagas_framework.vocabulary.event import AnyEvent
from sagas_framework.vocabulary.names import RECEIPTS_TASK
from sagas_framework.vocabulary.occurrence import EventHeader

EVENT = "event"
RECEIPTS = "receipts"
EVENT_HEADER = "EventHeader"
EVENT_HEADERS = "EventHeaders"
RECEIPTS_HEADERS = "ReceiptsHeaders"
OWN_NAMES = (EVENT_HEADERS, RECEIPTS_HEADERS, "Receipts")
_EXAMPLE_ID = "01970000-0000-7000-8000-0000000000e1"
_EXAMPLE_RECEIPTS_ID = "01970000-0000-7000-8000-0000000000e2"
_EVENT_TAG = Tag(EVENT, "Says what has happened, to every subscriber", envelope.NO_DOCS)
_RECEIPTS_TAG = Tag(RECEIPTS, "Says which events a subscriber has", envelope.NO_DOCS)
_ID_OF_EVENT = CorrelationId("The id of the event; a subscriber's receipt names it", "$message.header#/id")
_ANY_TEXT: Schema = {"type": "string", "minLength": 1}


def components_of_events() -> dict[str, Schema]:
    header = schema_ref(EVENT_HEADER)
    received = {"type": "array", "items": {"type": "string", "format": "uuid"}}
    return {
        EVENT_HEADERS: envelope.headers_called(
            EVENT_HEADERS, envelope.nobodys("an event"), ["task", "id", HEADER], **{HEADER: header}
        ),
        RECEIPTS_HEADERS: envelope.headers_called(RECEIPTS_HEADERS, envelope.nobodys("a receipt"), ["task", "id"]),
        "Receipts": {
            "title": "Receipts",
            "type": "object",
            "description": "Events that a subscriber has, and that need not be sent to it again.",
            "properties": {"received": {**received, "description": "The ids of their messages."}},
            "required": ["received"],
        },
    }


def described_event(announcement: Announcement, schemas: Schemas, sample: Any) -> IllustratedMessage:
    event = announcement.event
    header = {
        "properties": {
            "source": {"const": event.source},
            "aggregate": {"pattern": f"^{re.escape(event.key)}="},
        }
    }
    key = {**_ANY_TEXT, "description": f"What it is about: the value of its key `{event.key}`, as text."}
    return envelope.message_of(
        outgoing_event(announcement, sample),
        tag=_EVENT_TAG,
        headers=envelope.headers_of(event.name, EVENT_HEADERS, **{HEADER: header}),
        payload=envelope.body(key, schemas.of(event.payload), "The arguments: the value of the key, and the payload."),
        title=event.title,
        summary=event.summary,
        correlation_id=_ID_OF_EVENT,
    )


def outgoing_event(announcement: Announcement, sample: Any) -> wire.OutgoingMessage:
    """`sample`: the payload's JSON."""
    event = announcement.event
    payload = event.decode(sample)
    header = EventHeader(event.source, _of_key(event, payload), 1)
    key, encoded = event.key_of(payload), event.encode(payload)
    return wire.event_message(event, announcement.queue or "", _EXAMPLE_ID, key, encoded, header)


def described_receipts(receipts: Receipts) -> IllustratedMessage:
    subscriber = {**_ANY_TEXT, "description": "The queue from which the subscriber takes its events."}
    return envelope.message_of(
        outgoing_receipts(receipts.queue, receipts.subscriber or "some_subscriber.events"),
        tag=_RECEIPTS_TAG,
        headers=envelope.headers_of(RECEIPTS_TASK, RECEIPTS_HEADERS),
        payload=envelope.body(
            subscriber, schema_ref("Receipts"), "The arguments: who has them, and which events they are."
        ),
        title="Receipts for events",
    )


def outgoing_receipts(queue: str, subscriber: str) -> wire.OutgoingMessage:
    made = wire.receipts_message(queue, subscriber, [_EXAMPLE_ID])
    return replace(made, id=_EXAMPLE_RECEIPTS_ID)  # a document is the same whenever it is made


def _of_key(event: AnyEvent, payload: Any) -> str:
    try:
        return event.aggregate_of(payload)
    except PayloadRefused as refused:
        raise DefinitionError(
            f"no example could be made for {event.name!r}: {refused.problems}; give the field one: "
            "Annotated[..., pydantic.Field(examples=[...])]"
        ) from refused
