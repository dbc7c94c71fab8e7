"""AsyncAPI documents made by hand, in the shape that the framework's have."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Schema = dict[str, Any]

TICKET: Schema = {"type": "object", "properties": {"ticket_id": {"type": "integer"}}, "required": ["ticket_id"]}
FAILURE: Schema = {"title": "Failure", "type": "object", "properties": {"message": {"type": "string"}}}


@dataclass(frozen=True)
class Exchange:
    """A command with its replies, as one service describes them; `replies` by the ends of their names."""

    action: str
    name: str
    queue: str | None
    reply_queue: str | None
    payload: Schema
    replies: Mapping[str, Schema]
    title: str
    tag: str = "command"
    headers: Schema | None = None


ANSWERS: Mapping[str, Schema] = {"success": {"type": "null"}, "failure": {"$ref": "#/components/schemas/Failure"}}


def sends(
    name: str,
    queue: str,
    reply_queue: str | None = "replies",
    *,
    payload: Schema = TICKET,
    replies: Mapping[str, Schema] = ANSWERS,
    title: str = "",
) -> Exchange:
    return Exchange("send", name, queue, reply_queue, payload, replies if reply_queue else {}, title)


def receives(
    name: str, queue: str, *, payload: Schema = TICKET, replies: Mapping[str, Schema] = ANSWERS, title: str = ""
) -> Exchange:
    """Where the answer goes says the command."""
    return Exchange("receive", name, queue, None, payload, replies, title)


def event_headers(source: str, key: str) -> Schema:
    header = {"properties": {"source": {"const": source}, "aggregate": {"pattern": f"^{key}="}}}
    return {"type": "object", "properties": {"sagas": header}}


def publishes(
    name: str,
    queue: str | None,
    *,
    payload: Schema = TICKET,
    headers: Schema | None = None,
    title: str = "",
    action: str = "send",
) -> Exchange:
    """An event, to one of its subscribers; None: it has none."""
    return Exchange(action, name, queue, None, payload, {}, title, "event", headers)


def subscribes(name: str, queue: str, *, payload: Schema = TICKET, headers: Schema | None = None) -> Exchange:
    return publishes(name, queue, payload=payload, headers=headers, action="receive")


def receipts(action: str, queue: str) -> Exchange:
    return Exchange(action, "sagas.receipts", queue, None, {}, {}, "", "receipts")


@dataclass
class Document:
    """Under construction."""

    channels: dict[str, Any] = field(default_factory=dict)
    operations: dict[str, Any] = field(default_factory=dict)
    messages: dict[str, Any] = field(default_factory=dict)

    def add(self, exchange: Exchange) -> None:
        name = exchange.name
        channel = self._channel(name, exchange.queue, {name: exchange.payload}, exchange.title)
        self.messages[name]["tags"] = [{"name": exchange.tag}]
        if exchange.headers is not None:
            self.messages[name]["headers"] = exchange.headers
        operation: dict[str, Any] = {"action": exchange.action, "channel": channel}
        if exchange.replies:
            reply = f"{name}.response"
            payloads = {f"{reply}.{end}": payload for end, payload in exchange.replies.items()}
            operation["reply"] = {"channel": self._channel(reply, exchange.reply_queue, payloads)}
            if exchange.reply_queue is None:
                operation["reply"]["address"] = {"location": "$message.header#/sagas/reply_queue"}
        self.operations[f"operation_{len(self.operations)}"] = operation

    def _channel(self, name: str, address: str | None, payloads: Mapping[str, Schema], title: str = "") -> Schema:
        key = name if name not in self.channels else f"{name} {len(self.channels)}"
        self.channels[key] = {
            "address": address,
            "messages": {each: {"$ref": f"#/components/messages/{pointer(each)}"} for each in payloads},
        }
        for each, payload in payloads.items():
            titled = {"title": title} if title else {}
            self.messages[each] = {"name": each, **titled, "payload": payload}
        return {"$ref": f"#/channels/{pointer(key)}"}


def document(title: str, *exchanges: Exchange, schemas: Mapping[str, Schema] | None = None) -> dict[str, Any]:
    made = Document()
    for exchange in exchanges:
        made.add(exchange)
    return {
        "asyncapi": "3.0.0",
        "info": {"title": title, "version": "1.0.0"},
        "channels": made.channels,
        "operations": made.operations,
        "components": {"messages": made.messages, "schemas": {"Failure": FAILURE, **(schemas or {})}},
    }


def pointer(name: str) -> str:
    """As it stands in a reference."""
    return name.replace("~", "~0").replace("/", "~1")
