"""What changed between two documents of a service, and whom it breaks.

Whether a change breaks somebody depends on who reads. What a service *receives* (a command, for a `receive` operation;
the reply to its own command) may become wider: it takes more than before. What it *sends* may become narrower: its
readers know all of it. An event is sent to each subscriber's queue, and read there: of a change in it each of them is
told, a queue that no longer gets it breaks its reader, and another queue breaks nobody. A channel that is used both
ways, or that no operation uses, has to stand both.

| what changed                                  | received | sent     |
|-----------------------------------------------|----------|----------|
| a new optional field                          | addition | addition |
| a new required field                          | breakage | addition |
| a new field where others were refused         | addition | breakage |
| a field removed                               | breakage | breakage |
| a field required now                          | breakage | note     |
| a field optional now                          | addition | breakage |
| another type                                  | breakage | breakage |
| a type narrowed (integer of number, no null)  | breakage | note     |
| a type widened (number of integer, or null)   | addition | breakage |
| a value of an enum, a member of a union gone  | breakage | note     |
| a new value of an enum, member of a union     | addition | breakage |
| a bound tightened, a pattern or format added  | breakage | note     |
| a bound loosened, a pattern or format gone    | addition | breakage |
| unknown fields refused now                    | breakage | note     |
| unknown fields tolerated now                  | addition | breakage |
| it cannot be told: another pattern, a `not`   | breakage | breakage |
| another default                               | note     | note     |
| a message added to a channel                  | addition | breakage |
| a reply added to an operation                 | addition | breakage |
| an operation or a channel added               | addition | addition |
| an operation, channel, message, reply removed | breakage | breakage |
| an operation without an address removed       | breakage | note     |
| the queue, its properties, another channel    | breakage | breakage |
| send instead of receive                       | breakage | breakage |
| the place of the reply's address              | breakage | breakage |
| content type, place of the correlation id     | breakage | breakage |
| servers, bindings of operations               | note     | note     |
| texts, tags, examples, order, component names |          |          |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sagas_framework.asyncapi.document import Document
from sagas_framework.asyncapi.references import resolved, steps_of
from sagas_framework.asyncapi.schema_changes import Comparison
from sagas_framework.asyncapi.schema_keywords import Change
from sagas_framework.asyncapi.verdicts import VERDICTS, Difference, Kind, Way
from sagas_framework.errors import ConfigurationError

_BESIDE = "offer the new one beside the old one until nobody uses that any more"
_KEEP = "keep it until nobody uses it any more"
_DIRECTIONS = {
    "receive": (Way.RECEIVED, Way.SENT),  # the message, and its reply
    "send": (Way.SENT, Way.RECEIVED),
}
_NO_HEADERS = {"type": "object", "properties": {}}


def differences(old: Document, new: Document) -> list[Difference]:
    """Breakages first, then additions, then notes; empty when both documents promise the same."""
    found: dict[tuple[str, str], Difference] = {}
    for each in sorted(_Pair(old, new).differences(), key=lambda difference: list(Kind).index(difference.kind)):
        found.setdefault((each.where, each.what), each)  # once, although it is both received and sent
    return list(found.values())


class _Side:
    """One of the two documents."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.operations = self.section(document, "operations")
        self.channels = self.section(document, "channels")

    def section(self, owner: Mapping[str, Any], name: str) -> dict[str, Any]:
        """A mapping by its name, with what its entries refer to. ConfigurationError: it is none."""
        return {str(key): self.mapping(entry, str(key)) for key, entry in self.mapping(owner.get(name), name).items()}

    def mapping(self, node: Any, what: str) -> Mapping[str, Any]:
        found = resolved(self.document, {} if node is None else node)
        if not isinstance(found, Mapping):
            raise ConfigurationError(f"{what} of a document is no mapping; `sagas asyncapi validate` tells more")
        return found

    def reply(self, operation: Mapping[str, Any]) -> Mapping[str, Any] | None:
        return self.mapping(operation["reply"], "reply") if operation.get("reply") is not None else None

    def channels_of(self, operation: Mapping[str, Any]) -> tuple[str | None, str | None]:
        """The channels of the message and of the reply."""
        reply = self.reply(operation)
        return _channel(operation), None if reply is None else _channel(reply)

    def is_sent_nowhere(self, operation: Mapping[str, Any]) -> bool:
        return self.channels.get(_channel(operation) or "", {}).get("address") is None

    def messages_of_channel(self, owner: Mapping[str, Any]) -> set[str]:
        """The names of what the channel of an operation, or of a reply, has."""
        return set(self.section(self.channels.get(_channel(owner) or "", {}), "messages"))

    def messages(self, owner: Mapping[str, Any]) -> set[str]:
        """The names of those of them that it uses: all, where it does not say."""
        if owner.get("messages") is None:
            return self.messages_of_channel(owner)
        return {_referred(each) for each in owner["messages"]}

    def directions(self) -> Iterator[tuple[str | None, Way]]:
        for name, operation in self.operations.items():
            if operation.get("action") not in _DIRECTIONS:
                raise ConfigurationError(f"operation {name} neither sends nor receives")
            yield from zip(self.channels_of(operation), _DIRECTIONS[operation["action"]], strict=True)

    def is_celery_body(self, payload: Any) -> bool:
        """Whether it is `[[saga_id, payload], {}, embed]`: what people call the payload is the second argument."""
        body = resolved(self.document, payload)
        items = body.get("items") if isinstance(body, Mapping) else None
        if not isinstance(items, list) or len(items) != 3:
            return False
        arguments = resolved(self.document, items[0])
        return isinstance(arguments, Mapping) and isinstance(arguments.get("items"), list)


class _Pair:
    """Two documents, read side by side."""

    def __init__(self, old: Document, new: Document) -> None:
        self._old, self._new = _Side(old), _Side(new)
        self._schemas = Comparison(old, new)

    def differences(self) -> Iterator[Difference]:
        told: set[str | None] = set()  # channels of operations that came or went; not to be told twice
        before, after = self._old.operations, self._new.operations
        for name in _both(before, after):
            if name not in after:
                told.update(self._old.channels_of(before[name]))
                yield self._removed(name, before[name])
            elif name not in before:
                told.update(self._new.channels_of(after[name]))
                yield Difference(Kind.ADDITION, name, "is a new operation")
            else:
                yield from self._operation(name, before[name], after[name])
        yield from self._channels(told)
        if not self._schemas.same(self._old.document.get("servers"), self._new.document.get("servers")):
            yield Difference(Kind.NOTE, "servers", "are others: that is deployment, and breaks no contract")

    def _removed(self, name: str, old: Mapping[str, Any]) -> Difference:
        what = "the operation is removed"
        if old.get("action") == "send" and self._old.is_sent_nowhere(old):
            return Difference(Kind.NOTE, name, f"{what}: it had no queue, and no reader")
        return _breakage(name, what, "who uses it is left alone", _KEEP)

    def _operation(self, name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Difference]:
        if old.get("action") != new.get("action"):
            what = f"the action is {new.get('action')} now; it was {old.get('action')}"
            yield _breakage(name, what, "both sides would do the same", "make it an operation of its own")
        if _channel(old) != _channel(new):
            yield _moved(name, "the channel", _channel(old), _channel(new))
        if self._uses_other_messages(old, new):
            yield _breakage(name, "uses other messages of its channel", "who knows the others is left alone", _BESIDE)
        yield from self._reply(name, old, new)
        yield from self._bindings(name, Kind.NOTE, old, new)

    def _reply(self, name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Difference]:
        before, after = self._old.reply(old), self._new.reply(new)
        if before is not None and after is None:
            yield _breakage(name, "the reply is removed", "who waits for it waits in vain", "go on replying")
        elif before is None and after is not None:
            if new.get("action") == "receive":
                yield Difference(Kind.ADDITION, name, "is replied to now")
            else:
                yield _breakage(name, "awaits a reply now", "who takes it does not reply yet", _BESIDE)
        elif before is not None and after is not None:
            if _channel(before) != _channel(after):
                yield _moved(name, "the channel of the reply", _channel(before), _channel(after))
            if self._uses_other_messages(before, after):
                yield _breakage(name, "replies with other messages", "who knows the others is left alone", _BESIDE)
            place = self._old.mapping(before.get("address"), "address").get("location")
            now = self._new.mapping(after.get("address"), "address").get("location")
            if place != now:
                yield _moved(name, "the place of the reply's address", place, now)

    def _uses_other_messages(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
        """Of those that the channel has had and still has: of the others, the channel tells."""
        came_or_went = self._old.messages_of_channel(old) ^ self._new.messages_of_channel(new)
        return bool((self._old.messages(old) ^ self._new.messages(new)) - came_or_went)

    def _channels(self, told: set[str | None]) -> Iterator[Difference]:
        used = {*self._old.directions(), *self._new.directions()}
        before, after = self._old.channels, self._new.channels
        for name in _both(before, after):
            if name in before and name in after:
                ways = [way for way in Way if (name, way) in used] or list(Way)
                yield from self._channel(name, before[name], after[name], ways)
            elif name not in told and name in before:
                yield _breakage(name, "the channel is removed", "who uses it is left alone", _KEEP)
            elif name not in told:
                yield Difference(Kind.ADDITION, name, "is a new channel")

    def _channel(
        self, name: str, old: Mapping[str, Any], new: Mapping[str, Any], ways: list[Way]
    ) -> Iterator[Difference]:
        if old.get("address") != new.get("address"):
            yield _moved(name, "the queue", old.get("address"), new.get("address"))
        if not self._schemas.same(old.get("parameters"), new.get("parameters")):
            yield _breakage(name, "has other parameters", "who knows the old ones finds another address", _BESIDE)
        yield from self._bindings(name, Kind.BREAKAGE, old, new)
        before, after = self._old.section(old, "messages"), self._new.section(new, "messages")
        for key in _both(before, after):
            # A reply's name begins with its channel's; an event's channel is called `<event>.to.<queue>`.
            where = key if key.startswith(name) else name if name.startswith(f"{key}.to.") else f"{name} {key}"
            if key not in after:
                yield _breakage(where, "the message is removed", "who uses it is left alone", _KEEP)
            elif key in before:
                yield from self._message(where, before[key], after[key], ways)
            elif Way.SENT in ways:
                yield _breakage(where, "is a new message in this channel", "who reads there does not know it", _BESIDE)
            else:
                yield Difference(Kind.ADDITION, where, "is a new message")

    def _message(
        self, where: str, old: Mapping[str, Any], new: Mapping[str, Any], ways: list[Way]
    ) -> Iterator[Difference]:
        kind = old.get("contentType", self._old.document.get("defaultContentType"))
        kind_now = new.get("contentType", self._new.document.get("defaultContentType"))
        if kind != kind_now:
            yield _moved(where, "the content type", kind, kind_now)
        place = self._old.mapping(old.get("correlationId"), "correlationId").get("location")
        place_now = self._new.mapping(new.get("correlationId"), "correlationId").get("location")
        if place is None and place_now is not None:
            yield Difference(Kind.ADDITION, where, f"has its correlation id at {place_now}")
        elif place != place_now:
            yield _moved(where, "the place of the correlation id", place, place_now)
        if not self._schemas.same(old.get("traits"), new.get("traits")):
            yield _breakage(where, "has other traits", "it cannot be told whether they say the same", _BESIDE)
        yield from self._bindings(where, Kind.BREAKAGE, old, new)
        headers = self._schemas.changes(old.get("headers", _NO_HEADERS), new.get("headers", _NO_HEADERS))
        yield from _judged(f"{where} headers", headers, ways)
        payload = old.get("payload", True), new.get("payload", True)
        changes = self._schemas.changes(*payload)
        in_celery = self._old.is_celery_body(payload[0]) and self._new.is_celery_body(payload[1])
        yield from _judged(f"{where} payload", changes, ways, ("[0]", "[1]") if in_celery else ())

    def _bindings(self, where: str, kind: Kind, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Difference]:
        before, after = (
            {
                protocol: _binding(entry, owner.get("address"))
                for protocol, entry in side.section(owner, "bindings").items()
            }
            for side, owner in ((self._old, old), (self._new, new))
        )
        for protocol in _both(before, after):
            if protocol not in before or protocol not in after:
                yield Difference(
                    Kind.NOTE, where, f"is {'bound' if protocol in after else 'no longer bound'} to {protocol}"
                )
            elif not self._schemas.same(before[protocol], after[protocol]):
                what = f"is bound to {protocol} in another way"
                if kind is Kind.NOTE:
                    yield Difference(kind, where, what)
                else:
                    yield _breakage(where, what, "a broker refuses who declares it as before", _BESIDE)


def _binding(binding: Mapping[str, Any], address: Any) -> dict[str, Any]:
    """Without what says nothing of its own: the version, and the queue's name where that is the address."""
    found = {key: value for key, value in binding.items() if key != "bindingVersion"}
    queue = found.get("queue")
    if isinstance(queue, Mapping) and queue.get("name") == address:
        found["queue"] = {key: value for key, value in queue.items() if key != "name"}
    return found


def _channel(owner: Mapping[str, Any]) -> str | None:
    """The name of the channel that an operation or a reply uses."""
    return None if owner.get("channel") is None else _referred(owner["channel"])


def _referred(node: Any) -> str:
    if not isinstance(node, Mapping) or not isinstance(node.get("$ref"), str):
        raise ConfigurationError("an operation names its channel, and its messages, by a $ref to `#/channels/...`")
    return steps_of(node["$ref"])[-1]


def _both(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    return sorted(before.keys() | after.keys())


def _judged(where: str, changes: list[Change], ways: list[Way], top: tuple[str, ...] = ()) -> Iterator[Difference]:
    for change in changes:
        path = change.path[len(top) :] if top and change.path[: len(top)] == top else change.path
        for way in ways:
            verdict = VERDICTS[way][change.effect]
            yield Difference(verdict.kind, where + "".join(path), change.what, verdict.why, verdict.instead)


def _breakage(where: str, what: str, why: str, instead: str) -> Difference:
    return Difference(Kind.BREAKAGE, where, what, why, instead)


def _moved(where: str, what: str, before: Any, after: Any) -> Difference:
    told = f"{what} is {'none' if after is None else after} now; it was {'none' if before is None else before}"
    return _breakage(where, told, "who knows the old one finds nobody there", _BESIDE)
