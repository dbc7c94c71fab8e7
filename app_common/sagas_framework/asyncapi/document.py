"""A document: what every module but `specification` works on, and how asyncapi-python's classes become one.

asyncapi-python has classes for channels, operations, messages, replies and bindings. It has none for the root, the
servers and an address of replies, no examples in a message, and nothing that writes its classes down: that is here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import yaml
from asyncapi_python.kernel.document import (
    AmqpChannelBinding,
    Channel,
    Message,
    MessageExample,
    Operation,
    OperationReply,
    Server,
    Tag,
)

from sagas_framework.asyncapi.references import pointer
from sagas_framework.vocabulary import json_text

Document = dict[str, Any]
Schema = dict[str, Any]

VERSION = "3.0.0"
_FIRST = ("name", "address", "action", "title", "summary", "description", "content_type")


def schema_ref(name: str) -> Schema:
    return {"$ref": pointer("components", "schemas", name)}


@dataclass(frozen=True)
class BrokerServer(Server):
    """What AsyncAPI wants to know of a server; `key` is all that asyncapi-python has."""

    host: str
    pathname: str | None
    protocol: str
    description: str
    security: Sequence[Mapping[str, Any]]
    bindings: Mapping[str, Any]


@dataclass(frozen=True)
class IllustratedMessage(Message):
    """asyncapi-python knows examples only in traits."""

    examples: Sequence[MessageExample] = ()


@dataclass(frozen=True)
class Root:
    """What asyncapi-python has no class for: the document itself."""

    title: str
    version: str
    description: str
    tags: Sequence[Tag]
    servers: Sequence[BrokerServer]
    operations: Sequence[Operation]
    schemas: Mapping[str, Schema] = field(default_factory=dict)

    def as_document(self) -> Document:
        channels: dict[str, Channel] = {}
        for operation in self.operations:
            channels[operation.channel.key] = operation.channel
            if operation.reply is not None:
                channels[operation.reply.channel.key] = operation.reply.channel
        messages = {name: message for channel in channels.values() for name, message in channel.messages.items()}
        return {
            "asyncapi": VERSION,
            "info": {
                "title": self.title,
                "version": self.version,
                "description": self.description,
                "tags": written(self.tags),
            },
            "defaultContentType": "application/json",
            "servers": {server.key: written(server) for server in self.servers},
            "channels": {key: _channel(channels[key]) for key in sorted(channels)},
            "operations": {operation.key: _operation(operation) for operation in self.operations},
            "components": {
                "messages": {name: written(messages[name]) for name in sorted(messages)},
                "schemas": {name: self.schemas[name] for name in sorted(self.schemas)},
            },
        }


def _channel(channel: Channel) -> dict[str, Any]:
    messages = {name: {"$ref": pointer("components", "messages", name)} for name in channel.messages}
    return {"address": channel.address, **written(channel), "messages": messages}


def _operation(operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = {**written(operation), "channel": _channel_ref(operation.channel)}
    found.pop("messages", None)  # all that the channel has; asyncapi-python warns of any list here
    if operation.reply is not None:
        found["reply"] = _reply(operation.reply)
    return found


def _reply(reply: OperationReply) -> dict[str, Any]:
    where = {"address": {"location": reply.address}} if reply.address else {}
    # All that the channel has: the component that draws documents shows only what is named.
    messages = [{"$ref": pointer("channels", reply.channel.key, "messages", name)} for name in reply.channel.messages]
    return {**where, "channel": _channel_ref(reply.channel), "messages": messages}


def _channel_ref(channel: Channel) -> dict[str, str]:
    return {"$ref": pointer("channels", channel.key)}


def written(value: Any) -> Any:
    """asyncapi-python's classes as AsyncAPI writes them: names in camel case, and nothing that is not there."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        present = {name: entry for name, entry in vars(value).items() if not _is_absent(name, entry)}
        return {_key(value, name): written(present[name]) for name in sorted(present, key=_place)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {name: written(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [written(entry) for entry in value]
    return value


def _place(name: str) -> int:
    """What people look for comes first."""
    return _FIRST.index(name) if name in _FIRST else len(_FIRST)


def _is_absent(name: str, entry: Any) -> bool:
    if name in ("key", "extensions"):
        return True
    # An empty object may say something: `redis: {}` is all that there is to say of a queue on Redis.
    return entry is None or entry in ("", [], ()) or (name == "parameters" and not entry)


def _key(owner: Any, name: str) -> str:
    if isinstance(owner, AmqpChannelBinding) and name == "type":
        return "is"
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


# ---- as text --------------------------------------------------------------------------------------------------


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: _Dumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def to_yaml(document: Document) -> str:
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text


def to_json(document: Document) -> str:
    return json_text.dumps(document)
