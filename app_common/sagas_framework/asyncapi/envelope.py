"""What is the same in every message: Celery's body and headers, described."""

from __future__ import annotations

from typing import Any, cast

from asyncapi_python.kernel.document import CorrelationId, MessageBindings, MessageExample, Tag
from asyncapi_python.kernel.document.bindings import AmqpMessageBinding

from sagas_framework.asyncapi.document import IllustratedMessage, Schema, schema_ref
from sagas_framework.transport import wire
from sagas_framework.vocabulary import json_text

CONTENT_TYPE = "application/json"
NO_DOCS = cast(Any, None)  # asyncapi-python's tags cannot do without; AsyncAPI's can
EMBED = "CeleryEmbed"


def message_of(
    example: wire.OutgoingMessage,
    *,
    tag: Tag,
    headers: Schema,
    payload: Schema,
    title: str,
    summary: str = "",
    correlation_id: CorrelationId | None = None,
) -> IllustratedMessage:
    name = example.task
    return IllustratedMessage(
        key=name,
        name=name,
        title=title or None,
        summary=summary or None,
        description=None,
        content_type=CONTENT_TYPE,
        correlation_id=correlation_id,
        tags=[tag],
        headers=headers,
        payload=payload,
        deprecated=None,
        externalDocs=None,
        bindings=MessageBindings(amqp=AmqpMessageBinding(content_encoding="utf-8"), redis={}),
        traits=[],
        examples=[MessageExample(None, None, example.headers(), json_text.loads(example.body))],
    )


def body(first: Schema, payload: Schema, what: str) -> Schema:
    """Celery's protocol 2: positional arguments, named ones, and what else belongs to the task."""
    arguments = {"description": what} | _tuple(first, payload)
    named = {"type": "object", "maxProperties": 0, "description": "Named arguments: none."}
    return _tuple(arguments, named, schema_ref(EMBED))


def embed() -> Schema:
    nothing = {"type": "null"}
    return {
        "title": EMBED,
        "type": "object",
        "description": "Part of every Celery message; unused here.",
        "properties": {name: nothing for name in ("callbacks", "errbacks", "chain", "chord")},
    }


def headers_called(name: str, parent: Schema, required: list[str], **others: Schema) -> Schema:
    """The headers that all messages of a kind have."""
    identity = {"type": "string", "format": "uuid"}
    fields: dict[str, Schema] = {
        "task": {"type": "string", "description": "The task that Celery is to run: the message's name."},
        "id": {**identity, "description": "The message's id: the same whenever it is sent again."},
        "parent_id": parent,
        "root_id": {**identity, "description": "The same as the id."},
        "lang": {"type": "string", "description": "The sender's language; nobody reads it."},
        "ignore_result": {"type": "boolean", "description": "Nobody reads Celery's own result."},
        **others,
    }
    return {"title": name, "type": "object", "properties": fields, "required": required}


def headers_of(task: str, common: str, **others: Schema) -> Schema:
    """Of one message: its name, and what else of the common ones is narrower."""
    return {"type": "object", "properties": {"task": {"const": task}, **others}, "allOf": [schema_ref(common)]}


def nobodys(message: str) -> Schema:
    """`parent_id` where there is nothing that it could name."""
    return {"type": ["string", "null"], "description": f"Of {message} nobody reads it."}


def _tuple(*items: Schema) -> Schema:
    return {
        "type": "array",
        "items": list(items),
        "minItems": len(items),
        "maxItems": len(items),
        "additionalItems": False,
    }
