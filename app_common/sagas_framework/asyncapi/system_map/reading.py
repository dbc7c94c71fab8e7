"""The map that some documents draw together.

A sender and a receiver have found each other when the queue and the name of the message are the same. Where the answer
goes only the sender's document says: the receiver's says that the command names it. Receipts are the answers to events,
and no messages of their own here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sagas_framework.asyncapi.document import Document
from sagas_framework.asyncapi.references import last_part, mapping, target_of
from sagas_framework.asyncapi.schema_changes import Comparison
from sagas_framework.asyncapi.system_map.model import (
    NO_QUEUE,
    UNKNOWN_QUEUE,
    Flow,
    Message,
    Service,
    SystemMap,
    in_short,
)
from sagas_framework.errors import ConfigurationError
from sagas_framework.vocabulary.text import printable

_EVENT, _RECEIPTS = "event", "receipts"


@dataclass(frozen=True)
class _End:
    """A message as one service sends or receives it."""

    service: Service
    document: Document
    queue: str
    name: str
    title: str
    payload: object
    headers: object = None
    is_event: bool = False
    reply_queue: str = ""
    replies: Mapping[str, object] = field(default_factory=dict)  # their payloads


def system_map(documents: Sequence[Document]) -> SystemMap:
    read = [_Reading(document, number) for number, document in enumerate(documents)]
    sent = [end for reading in read for end in reading.ends("send")]
    received = [end for reading in read for end in reading.ends("receive")]
    flows: dict[tuple[Service | None, Service | None, str, str, bool], dict[str, Message]] = {}
    for known, sender, receiver in _met(sent, received):
        ends = (sender.service if sender else None, receiver.service if receiver else None)
        key = (*ends, known.queue, sender.reply_queue if sender else "", known.is_event)
        disputes = tuple(_disputes(sender, receiver)) if sender and receiver else ()
        message = Message(known.name, known.title, tuple(known.replies), disputes)
        flows.setdefault(key, {}).setdefault(known.name, message)
    return SystemMap(
        tuple(reading.service for reading in read),
        tuple(Flow(*key, tuple(messages.values())) for key, messages in flows.items()),
    )


def _met(sent: Sequence[_End], received: Sequence[_End]) -> Iterator[tuple[_End, _End | None, _End | None]]:
    """Each sender with each of its receivers, and those that are alone. First the one that says most."""
    receivers: dict[tuple[str, str], list[_End]] = {}
    for end in received:
        receivers.setdefault((end.queue, end.name), []).append(end)
    for end in sent:
        for receiver in receivers.get((end.queue, end.name), [None]):
            yield end, end, receiver
    asked_for = {(end.queue, end.name) for end in sent}
    for end in received:
        if (end.queue, end.name) not in asked_for:
            yield end, None, end


def _disputes(sender: _End, receiver: _End) -> Iterator[str]:
    comparison = Comparison(sender.document, receiver.document)

    def differ(ours: object, theirs: object) -> bool:
        try:
            return bool(comparison.changes(ours, theirs))
        except ConfigurationError:  # a reference that leads nowhere, or into another file
            return ours != theirs

    if differ(sender.payload, receiver.payload):
        yield "its receiver describes another payload"
    if sender.is_event and differ(sender.headers, receiver.headers):
        yield "its receiver expects another source or key"
    if not sender.replies:  # it does not wait for an answer, and may well be given one
        return
    for reply in dict.fromkeys([*sender.replies, *receiver.replies]):
        short = in_short(reply, sender.name)
        if reply not in receiver.replies:
            yield f"{short} is awaited, and never sent"
        elif reply not in sender.replies:
            yield f"{short} is sent, and not expected"
        elif differ(sender.replies[reply], receiver.replies[reply]):
            yield f"its receiver describes another {short}"


class _Reading:
    """One document. What is not as AsyncAPI wants it is left out: `validate` is there to complain."""

    def __init__(self, document: Document, number: int) -> None:
        self._document = document
        info = mapping(document.get("info"))
        does = {(operation.get("action"), self._kind_of(operation)) for operation in self._operations()}
        self.service = Service(
            number,
            title=_text(info.get("title")) or f"service {number + 1}",
            version=_text(info.get("version")),
            sends=("send", "") in does,
            receives=("receive", "") in does,
            publishes=("send", _EVENT) in does,
            handles=("receive", _EVENT) in does,
        )

    def ends(self, action: str) -> Iterator[_End]:
        for operation in self._operations():
            kind = self._kind_of(operation)
            if operation.get("action") != action or kind == _RECEIPTS:
                continue
            reply = self._follow(operation.get("reply"))
            reply_channel = self._follow(reply.get("channel"))
            replies = {name: message.get("payload") for name, message in self._messages(reply, reply_channel)}
            channel = self._follow(operation.get("channel"))
            for name, message in self._messages(operation, channel):
                yield _End(
                    self.service,
                    self._document,
                    queue=_text(channel.get("address")) or (NO_QUEUE if kind == _EVENT else UNKNOWN_QUEUE),
                    name=name,
                    title=_text(message.get("title")),
                    payload=message.get("payload"),
                    headers=message.get("headers"),
                    is_event=kind == _EVENT,
                    reply_queue=_text(reply_channel.get("address")),
                    replies=replies,
                )

    def _kind_of(self, operation: dict[str, Any]) -> str:
        """Whether it is about events or their receipts, as the tags of its messages say; otherwise empty."""
        messages = self._messages(operation, self._follow(operation.get("channel")))
        tags = [tag for _, message in messages if isinstance(message.get("tags"), list) for tag in message["tags"]]
        names = {name for tag in tags if isinstance(name := self._follow(tag).get("name"), str)}
        return next((kind for kind in (_EVENT, _RECEIPTS) if kind in names), "")

    def _operations(self) -> list[dict[str, Any]]:
        return [self._follow(entry) for entry in mapping(self._document.get("operations")).values()]

    def _messages(self, user: dict[str, Any], channel: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Those of the channel that an operation or a reply uses: all, if it does not say."""
        entries = mapping(channel.get("messages"))
        if isinstance(user.get("messages"), list):
            entries = {last_part(entry): entry for entry in user["messages"]}
        for key, entry in entries.items():
            message = self._follow(entry)
            yield _text(message.get("name")) or _text(key), message

    def _follow(self, entry: object) -> dict[str, Any]:
        return mapping(target_of(self._document, entry))


def _text(value: object) -> str:
    """In one line, without what a terminal would obey; what is no text is none."""
    return " ".join(printable(value).split()) if isinstance(value, str) else ""
