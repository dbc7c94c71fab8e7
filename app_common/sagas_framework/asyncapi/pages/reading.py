"""A document as what the template prints: in order, with its references resolved, and nothing missing.

A document may come from a file that somebody else wrote. What is not as AsyncAPI wants it is left out or shown as it
stands; a page that fails would hide the rest. Judging is the business of `sagas asyncapi validate`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sagas_framework.asyncapi.document import Document
from sagas_framework.asyncapi.pages.words import Word, as_json, limits_of, schema_anchor, words_for
from sagas_framework.asyncapi.references import last_name, last_part, mapping, target_of

VERBS = {"receive": "receives", "send": "sends"}
# What the component calls an operation that has no reply, and one that has.
KINDS = {"receive": ("receive", "reply"), "send": ("send", "request")}


@dataclass(frozen=True)
class Link:
    text: str
    anchor: str


@dataclass(frozen=True)
class Section:
    title: str
    anchor: str
    links: Sequence[Link]


@dataclass(frozen=True)
class Server:
    anchor: str
    name: str
    url: str
    description: str


@dataclass(frozen=True)
class Reply:
    channel: Link | None
    location: str
    """Where a command says to which address it wants its reply."""
    description: str
    messages: Sequence[Link]


@dataclass(frozen=True)
class Operation:
    anchor: str
    name: str
    title: str
    verb: str
    text: str
    channel: Link | None
    address: str
    messages: Sequence[Link]
    reply: Reply | None


@dataclass(frozen=True)
class Channel:
    anchor: str
    name: str
    title: str
    text: str
    address: str
    answers: bool
    """Whether it is for replies: then the message that is answered may say where they go."""
    messages: Sequence[Link]
    bindings: str


@dataclass(frozen=True)
class Field:
    name: str
    required: bool
    words: Sequence[Word]
    limits: str
    description: str


@dataclass(frozen=True)
class Schema:
    anchor: str
    name: str
    description: str
    words: Sequence[Word]
    limits: str
    fields: Sequence[Field]
    json: str


@dataclass(frozen=True)
class Example:
    name: str
    json: str


@dataclass(frozen=True)
class Message:
    anchor: str
    name: str
    title: str
    text: str
    facts: Mapping[str, str]
    headers: Schema | None
    payload: Schema | None
    examples: Sequence[Example]


class Reader:
    """Anchors are those of the component that draws the document, so that a link leads to the same place in both.

    It draws no list of channels, only each operation with its own: `channel-...` and what stands in this text alone
    lead nowhere once it has drawn. So do messages that are no components.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        info = mapping(document.get("info"))
        self.title = str(info.get("title") or "A service without a name")
        self.version = str(info.get("version") or "")
        self.description = str(info.get("description") or "")

    def servers(self) -> Iterator[Server]:
        for name, server in self._entries(self._document.get("servers")):
            url = f"{server.get('protocol', '')}://{server.get('host', '')}{server.get('pathname') or ''}"
            yield Server(f"server-{name}", name, url, _text_of(server))

    def operations(self) -> Iterator[Operation]:
        for name, operation in self._entries(self._document.get("operations")):
            channel = self._follow(operation.get("channel"))
            verb = VERBS.get(str(operation.get("action")), "has to do with")
            yield Operation(
                anchor=_operation_anchor(name, operation),
                name=name,
                title=_title(operation, name),
                verb=verb,
                text=_text_of(operation),
                channel=self._channel_link(operation.get("channel")),
                address=_address(channel),
                messages=self._message_links(operation.get("messages") or channel.get("messages")),
                reply=self._reply(operation.get("reply")),
            )

    def channels(self) -> Iterator[Channel]:
        operations = [operation for _, operation in self._entries(self._document.get("operations"))]
        answering = {last_part(self._follow(operation.get("reply")).get("channel")) for operation in operations}
        for name, channel in self._entries(self._document.get("channels")):
            bindings = channel.get("bindings")
            yield Channel(
                anchor=f"channel-{name}",
                name=name,
                title=_title(channel, name),
                text=_text_of(channel),
                address=_address(channel),
                answers=name in answering,
                messages=self._message_links(channel.get("messages")),
                bindings=as_json(bindings) if bindings else "",
            )

    def messages(self) -> Iterator[Message]:
        for name, message in self._all_messages().items():
            correlation = self._follow(message.get("correlationId")).get("location")
            facts = {"content type": message.get("contentType"), "correlation id": correlation}
            yield Message(
                anchor=f"message-{name}",
                name=name,
                title=_title(message, name),
                text=_text_of(message),
                facts={label: str(fact) for label, fact in facts.items() if fact},
                headers=self._part(message, name, "headers"),
                payload=self._part(message, name, "payload"),
                examples=[_example(example, count) for count, example in enumerate(_list(message.get("examples")), 1)],
            )

    def schemas(self) -> Iterator[Schema]:
        schemas = mapping(mapping(self._document.get("components")).get("schemas"))
        for name, schema in schemas.items():
            yield _schema(schema_anchor(name), str(name), schema)

    def contents(self) -> Iterator[Section]:
        """What has the same place in the text and in what the component draws."""
        components = mapping(mapping(self._document.get("components")).get("messages"))
        sections = (
            Section("Servers", "servers", [Link(server.name, server.anchor) for server in self.servers()]),
            Section("Operations", "operations", [Link(entry.title, entry.anchor) for entry in self.operations()]),
            Section(
                "Messages",
                "messages",
                [Link(entry.title, entry.anchor) for entry in self.messages() if entry.name in components],
            ),
            Section("Schemas", "schemas", [Link(schema.name, schema.anchor) for schema in self.schemas()]),
        )
        yield from (section for section in sections if section.links)

    # ---- references ---------------------------------------------------------------------------------------------

    def _entries(self, entries: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for name, entry in mapping(entries).items():
            yield str(name), self._follow(entry)

    def _follow(self, entry: object) -> Mapping[str, Any]:
        return mapping(target_of(self._document, entry))

    def _channel_link(self, reference: object) -> Link | None:
        name = last_part(reference)
        return Link(_title(self._follow(reference), name), f"channel-{name}") if name else None

    def _message_links(self, messages: object) -> list[Link]:
        """Of a channel's messages by name, or of an operation's list of references to them."""
        if isinstance(messages, list):
            named = {last_part(entry): entry for entry in messages}
        else:
            named = {str(name): entry for name, entry in mapping(messages).items()}
        return [
            Link(_title(self._follow(entry), name), f"message-{last_name(self._document, entry) or name}")
            for name, entry in named.items()
        ]

    def _all_messages(self) -> dict[str, Mapping[str, Any]]:
        found = dict(self._entries(mapping(self._document.get("components")).get("messages")))
        for _, channel in self._entries(self._document.get("channels")):
            for name, entry in mapping(channel.get("messages")).items():
                found.setdefault(last_name(self._document, entry) or str(name), self._follow(entry))
        return found

    def _reply(self, entry: object) -> Reply | None:
        if entry is None:
            return None
        reply = self._follow(entry)
        address = self._follow(reply.get("address"))
        channel = self._follow(reply.get("channel"))
        return Reply(
            channel=self._channel_link(reply.get("channel")),
            location=str(address.get("location") or channel.get("address") or ""),
            description=_text_of(address),
            messages=self._message_links(reply.get("messages") or channel.get("messages")),
        )

    def _part(self, message: Mapping[str, Any], name: str, part: str) -> Schema | None:
        schema = message.get(part)
        if isinstance(schema, Mapping) and "schemaFormat" in schema:  # a schema in a dialect of its own
            schema = schema.get("schema")
        return None if schema is None else _schema(f"message-{name}-{part}", part, schema)


def _schema(anchor: str, name: str, schema: object) -> Schema:
    content = mapping(schema)
    required = _list(content.get("required"))
    return Schema(
        anchor=anchor,
        name=name,
        description=_text_of(content),
        words=words_for(schema),
        limits=limits_of(schema),
        fields=[
            Field(str(key), key in required, words_for(value), limits_of(value), _text_of(mapping(value)))
            for key, value in mapping(content.get("properties")).items()
        ],
        json=as_json(schema),
    )


def _operation_anchor(name: str, operation: Mapping[str, Any]) -> str:
    alone, replied = KINDS.get(str(operation.get("action")), ("", ""))
    kind = replied if operation.get("reply") is not None else alone
    return f"operation-{kind}-{name}" if kind else f"operation-{name}"


def _example(example: object, count: int) -> Example:
    content = mapping(example)
    shown = {part: content[part] for part in ("headers", "payload") if part in content}
    return Example(str(content.get("name") or content.get("summary") or f"no. {count}"), as_json(shown))


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _title(entry: Mapping[str, Any], name: str) -> str:
    return str(entry.get("title") or entry.get("name") or name)


def _text_of(entry: Mapping[str, Any]) -> str:
    """Summary and description, which are both Markdown."""
    parts = (str(entry[key]) for key in ("summary", "description") if entry.get(key))
    return "\n\n".join(dict.fromkeys(parts))


def _address(channel: Mapping[str, Any]) -> str:
    return str(channel.get("address") or "")
