"""Which keys the objects of AsyncAPI have, and what their values are: one JSON Schema, and what it says in plain words.

The official schema is larger than all of this package. This one leaves out what is looked at elsewhere (the schemas of
payloads and headers), and what is inside a binding or a security scheme; otherwise it is as strict.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from sagas_framework.asyncapi.document import VERSION

Shape = dict[str, Any]

_EXTENSION = r"^x-[\w.-]+$"
_TEXT: Shape = {"type": "string"}
_REFERENCE: Shape = {"type": "object", "properties": {"$ref": _TEXT}, "required": ["$ref"]}
_ANYTHING: Shape = {}


def _object(*required: str, **fields: Shape) -> Shape:
    """Of these fields and of extensions."""
    return {
        "type": "object",
        "properties": fields,
        "required": list(required),
        "patternProperties": {_EXTENSION: _ANYTHING},
        "additionalProperties": False,
    }


def _list(shape: Shape, **rules: Any) -> Shape:
    return {"type": "array", "items": shape, **rules}


def _map(shape: Shape) -> Shape:
    """By names that the author chooses."""
    return {"type": "object", "additionalProperties": shape}


def _or_reference(shape: Shape) -> Shape:
    """Not `oneOf`: that could only say that neither is right."""
    return {"if": {"required": ["$ref"]}, "then": _REFERENCE, "else": shape}


# ---- parts that several objects have -----------------------------------------------------------------------------

_LOCATION = {**_TEXT, "pattern": r"^\$message\.(header|payload)#"}
_PROTOCOLS = (
    "http ws amqp amqp1 mqtt kafka anypointmq nats jms sns sqs stomp redis ibmmq solace googlepubsub pulsar"
).split()
_SECURITY_TYPES = (
    "userPassword apiKey X509 symmetricEncryption asymmetricEncryption http httpApiKey oauth2 openIdConnect plain "
    "scramSha256 scramSha512 gssapi"
).split()

_external_docs = _object("url", url=_TEXT, description=_TEXT)
_tag = _object("name", name=_TEXT, description=_TEXT, externalDocs=_or_reference(_external_docs))
_bindings = _object(**{protocol: {"type": "object"} for protocol in _PROTOCOLS})
_security_scheme: Shape = {
    "type": "object",
    "properties": {"type": {"enum": _SECURITY_TYPES}, "description": _TEXT},
    "required": ["type"],
}
_labels = {
    "description": _TEXT,
    "tags": _list(_or_reference(_tag), uniqueItems=True),
    "externalDocs": _or_reference(_external_docs),
}
_texts = {**_labels, "title": _TEXT, "summary": _TEXT}
_described = {**_texts, "bindings": _or_reference(_bindings)}
_security = _list(_or_reference(_security_scheme))
_references = _list(_REFERENCE)

# ---- the objects -------------------------------------------------------------------------------------------------

_server_variable = _object(enum=_list(_TEXT, uniqueItems=True), default=_TEXT, description=_TEXT)
_server = _object(
    "host",
    "protocol",
    host=_TEXT,
    pathname=_TEXT,
    protocol=_TEXT,
    protocolVersion=_TEXT,
    variables=_map(_or_reference(_server_variable)),
    security=_security,
    **_described,
)
_parameter = _object(enum=_list(_TEXT), default=_TEXT, description=_TEXT, examples=_list(_TEXT), location=_LOCATION)
_correlation_id = _object("location", location=_LOCATION, description=_TEXT)
_example: Shape = {
    "type": "object",
    "properties": {"name": _TEXT, "summary": _TEXT, "headers": {"type": "object"}, "payload": _ANYTHING},
    "additionalProperties": False,
    "anyOf": [{"required": ["payload"]}, {"required": ["headers"]}],
}
_of_messages = {
    **_described,
    "name": _TEXT,
    "contentType": _TEXT,
    "headers": _ANYTHING,
    "correlationId": _or_reference(_correlation_id),
    "deprecated": {"type": "boolean"},
    "examples": _list(_example),
}
_message_trait = _object(**_of_messages)
_applied_trait: Shape = {  # alone, or in a list with what its extensions want to know
    "if": {"type": "array"},
    "then": {"items": [_or_reference(_message_trait), {"type": "object"}]},
    "else": _or_reference(_message_trait),
}
_message = _object(payload=_ANYTHING, traits=_list(_applied_trait), **_of_messages)
_channel = _object(
    address={"type": ["string", "null"]},
    messages=_map(_or_reference(_message)),
    parameters=_map(_or_reference(_parameter)),
    servers=_list(_REFERENCE, uniqueItems=True),
    **_described,
)
_reply_address = _object("location", location=_LOCATION, description=_TEXT)
_reply = _object(address=_or_reference(_reply_address), channel=_REFERENCE, messages=_references)
_operation_trait = _object(security=_security, **_described)
_operation = _object(
    "action",
    "channel",
    action={"enum": ["send", "receive"]},
    channel=_REFERENCE,
    messages=_references,
    reply=_or_reference(_reply),
    traits=_list(_or_reference(_operation_trait)),
    security=_security,
    **_described,
)
_components = {
    "servers": _server,
    "channels": _channel,
    "serverVariables": _server_variable,
    "operations": _operation,
    "messages": _message,
    "securitySchemes": _security_scheme,
    "parameters": _parameter,
    "correlationIds": _correlation_id,
    "operationTraits": _operation_trait,
    "messageTraits": _message_trait,
    "replies": _reply,
    "replyAddresses": _reply_address,
    "serverBindings": _bindings,
    "channelBindings": _bindings,
    "operationBindings": _bindings,
    "messageBindings": _bindings,
    "tags": _tag,
    "externalDocs": _external_docs,
}
_info = _object(
    "title",
    "version",
    title=_TEXT,
    version=_TEXT,
    termsOfService=_TEXT,
    contact=_object(name=_TEXT, url=_TEXT, email=_TEXT),
    license=_object("name", name=_TEXT, url=_TEXT),
    **_labels,
)
SHAPE = _object(
    "asyncapi",
    "info",
    asyncapi={"enum": [VERSION]},
    id=_TEXT,
    info=_info,
    defaultContentType=_TEXT,
    servers=_map(_or_reference(_server)),
    channels=_map(_or_reference(_channel)),
    operations=_map(_or_reference(_operation)),
    components=_object(
        schemas=_map(_ANYTHING), **{name: _map(_or_reference(shape)) for name, shape in _components.items()}
    ),
)

# ---- in plain words ----------------------------------------------------------------------------------------------

Complaint = tuple[tuple[str | int, ...], str]
_TYPES = {"string": "a text", "object": "a mapping", "array": "a list", "boolean": "true or false", "null": "null"}


def misshapen(document: Any) -> Iterator[Complaint]:
    """Each place that is not as AsyncAPI wants it, and what it wants there."""
    from jsonschema import Draft7Validator

    odd = list(_odd_keys(document))  # YAML has keys that are numbers; jsonschema breaks on them
    found = odd or [each for error in Draft7Validator(SHAPE).iter_errors(document) for each in _told(error)]
    yield from dict.fromkeys(found)


def _odd_keys(node: Any, *steps: str | int) -> Iterator[Complaint]:
    entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in entries:
        if isinstance(node, dict) and not isinstance(key, str):
            yield (*steps, str(key)), "the key must be a text: put it in quotes"
        yield from _odd_keys(value, *steps, key)


def _told(error: Any) -> Iterator[Complaint]:
    place, wanted, value = tuple(error.absolute_path), error.validator_value, error.instance
    if error.validator == "required":
        for key in wanted:
            if key not in value:
                yield (*place, key), "is missing"
    elif error.validator == "additionalProperties":
        known = error.schema["properties"]
        for key in value:
            if key not in known and not re.search(_EXTENSION, key):
                yield (
                    (*place, key),
                    f"is no key of AsyncAPI here; there are {', '.join(known)}, and what begins with x-",
                )
    else:
        yield place, _wanted(error.validator, wanted)


def _wanted(rule: str, wanted: Any) -> str:
    if rule == "type":
        types: Sequence[str] = [wanted] if isinstance(wanted, str) else wanted
        return f"must be {' or '.join(_TYPES[name] for name in types)}"
    if rule == "enum":
        return f"must be {' or '.join(wanted)}"
    if rule == "pattern":
        return "must be a place in a message, like $message.header#/id"
    return {"anyOf": "needs a payload or headers", "uniqueItems": "says something twice"}[rule]
