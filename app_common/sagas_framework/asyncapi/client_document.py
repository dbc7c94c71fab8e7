"""A service's document seen from the other side, and only as much of it as is safe to make code of.

DANGER: asyncapi-python's templates put texts between quotation marks, and names into code, as they stand: whoever
writes a document would write the client's code. So nothing is taken over but what is known here by name, and each
text of it has an alphabet that cannot leave a string. Prose is left out: titles, descriptions, examples, patterns.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from sagas_framework.asyncapi.document import Document, Schema
from sagas_framework.asyncapi.references import mapping, target_of
from sagas_framework.errors import ConfigurationError

_OTHER_SIDE = {"send": "receive", "receive": "send"}
_NAME = re.compile(r"[A-Za-z0-9_.-]+")  # stands in code without quotation marks
_PROPERTY = re.compile(r"[\w.$@/-]+")
_ADDRESS = re.compile(r"[\w.:@#$*+/-]*")  # without braces: they would make parameters of their contents
_VALUE = re.compile(r"[^\"'\\]*")  # within quotation marks, and cannot end them
_REFERENCE = re.compile(r"#/(channels|components/messages|components/schemas)/[A-Za-z0-9_.-]+")


def mirrored(document: Document) -> Document:
    """The document of whoever uses the service. ConfigurationError: code that is made of it might not be harmless.

    A message is its payload alone here: asyncapi-python's generator knows no tuples, of which Celery's body is one.
    """
    info, components = document["info"], document["components"]
    operations = {
        name: entry for name, entry in document["operations"].items() if not _is_sent_nowhere(entry, document)
    }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "The service", "version": _text(str(info["version"]), _ADDRESS, "the version")},
        "channels": _each(document["channels"], _channel, "channel"),
        "operations": _each(operations, _operation, "operation"),
        "components": {
            "messages": _each(components["messages"], _message, "message"),
            "schemas": _each(components.get("schemas", {}), _schema, "schema"),
        },
    }


def _is_sent_nowhere(operation: Mapping[str, Any], document: Document) -> bool:
    """An event without subscribers: nobody can wait for it."""
    channel = target_of(document, mapping(operation).get("channel"))
    return (
        mapping(operation).get("action") == "send"
        and isinstance(channel, Mapping)
        and channel.get("address", "") is None
    )


def _each(entries: Mapping[str, Any], convert: Callable[[Any, str], Any], what: str) -> dict[str, Any]:
    return {
        _text(name, _NAME, f"the name of one of the {what}s"): convert(entry, f"{what} {name}")
        for name, entry in entries.items()
    }


def _channel(channel: Mapping[str, Any], where: str) -> dict[str, Any]:
    address = channel["address"]
    return {
        "address": None if address is None else _text(address, _ADDRESS, f"the address of {where}"),
        "messages": _each(channel["messages"], _reference, "message"),
        "bindings": _plain(channel.get("bindings", {}), f"the bindings of {where}"),
    }


def _operation(operation: Mapping[str, Any], where: str) -> dict[str, Any]:
    mirrored_one = {
        "action": _OTHER_SIDE[operation["action"]],
        "channel": _reference(operation["channel"], where),
        "bindings": _plain(operation.get("bindings", {}), f"the bindings of {where}"),
    }
    if "reply" in operation:
        reply = operation["reply"]
        mirrored_one["reply"] = {"channel": _reference(reply["channel"], where)}
        if "address" in reply:
            location = _text(reply["address"]["location"], _ADDRESS, f"the location of replies of {where}")
            mirrored_one["reply"]["address"] = {"location": location}
    return mirrored_one


def _message(message: Mapping[str, Any], where: str) -> dict[str, Any]:
    arguments = message["payload"]["items"][0]
    content_type = _text(message.get("contentType", "application/json"), _ADDRESS, f"the content type of {where}")
    return {"contentType": content_type, "payload": _schema(arguments["items"][1], f"the payload of {where}")}


# ---- schemas ------------------------------------------------------------------------------------------------------


def _schema(schema: Any, where: str) -> Schema | bool:
    if isinstance(schema, bool):
        return schema
    if "$ref" in schema:  # what stands beside it is not read in draft 7
        return _reference(schema, where)
    # Patterns are left out, and so is what is said of the properties that match none.
    left_out = ("additionalProperties",) if "patternProperties" in schema else ()
    return {
        key: _KEYWORDS[key](value, f"{where}.{key}")
        for key, value in schema.items()
        if key in _KEYWORDS and key not in left_out
    }


def _fields(properties: Mapping[str, Any], where: str) -> dict[str, Any]:
    return {
        _text(name, _PROPERTY, f"a name in {where}"): _schema(field, f"{where}.{name}")
        for name, field in properties.items()
    }


def _names_of_fields(names: list[Any], where: str) -> list[str]:
    return [_text(name, _PROPERTY, where) for name in names]


def _one_or_several(schemas: Any, where: str) -> Any:
    return [_schema(one, where) for one in schemas] if isinstance(schemas, list) else _schema(schemas, where)


def _value(value: Any, where: str) -> Any:
    return _harmless(value, where, keys=_VALUE, texts=_VALUE)


def _number(value: Any, where: str) -> Any:
    if value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise _unsafe(value, where)


# ---- what both are made of ----------------------------------------------------------------------------------------


def _reference(entry: Mapping[str, Any], where: str) -> dict[str, str]:
    return {"$ref": _text(entry["$ref"], _REFERENCE, f"a reference of {where}")}


def _plain(value: Any, where: str) -> Any:
    """What is no prose: names, addresses and numbers."""
    return _harmless(value, where, keys=_NAME, texts=_ADDRESS)


def _harmless(value: Any, where: str, *, keys: re.Pattern[str], texts: re.Pattern[str]) -> Any:
    if isinstance(value, Mapping):
        return {
            _text(key, keys, where): _harmless(entry, where, keys=keys, texts=texts) for key, entry in value.items()
        }
    if isinstance(value, list):
        return [_harmless(entry, where, keys=keys, texts=texts) for entry in value]
    return _text(value, texts, where) if isinstance(value, str) else _number(value, where)


def _text(value: Any, alphabet: re.Pattern[str], where: str) -> str:
    if isinstance(value, str) and value.isprintable() and alphabet.fullmatch(value):
        return value
    raise _unsafe(value, where)


def _unsafe(value: Any, where: str) -> ConfigurationError:
    said = repr(value)
    return ConfigurationError(
        f"no client can be made safely: {where} is {said if len(said) <= 60 else said[:59] + '…'}, and would be a "
        "part of the client's code; rename it to letters, digits and ._-"
    )


_KEYWORDS: Mapping[str, Callable[[Any, str], Any]] = {
    "type": _plain,
    "format": _plain,
    "required": _names_of_fields,
    "properties": _fields,
    **dict.fromkeys(("items", "anyOf", "oneOf", "allOf"), _one_or_several),
    **dict.fromkeys(("additionalItems", "additionalProperties"), _schema),
    **dict.fromkeys(("enum", "const", "default"), _value),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"), _number),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "uniqueItems"), _number),
    **dict.fromkeys(("minProperties", "maxProperties"), _number),
}
"""Of a schema, what types are made of."""
