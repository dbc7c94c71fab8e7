"""Our shape of AsyncAPI against the official JSON Schema: documents are broken in many ways, and both judge."""

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from local_stack.plan import CHECKOUT, SERVICES
from sagas_framework.asyncapi.document import Document
from sagas_framework.asyncapi.references import pointer
from sagas_framework.asyncapi.shape import SHAPE, misshapen
from tests.support import npm

SEED = 5
LEFT_OUT = {"payload", "headers", "schemas", "security", "securitySchemes"}
LEFT_OUT_INSIDE = {"bindings", "serverBindings", "channelBindings", "operationBindings", "messageBindings"}
ODD = {"$ref", "x- more"}

REFERENCE = {"$ref": "#/x"}
PLACE = {"location": "$message.payload#/id", "description": "a"}
TEXTS = {"title": "a", "summary": "b", "description": "c", "tags": [{"name": "a"}], "externalDocs": {"url": "a"}}
EXAMPLE: Document = {"name": "a", "summary": "b", "headers": {}, "payload": None}
TRAIT = {**TEXTS, "name": "a", "contentType": "b", "deprecated": True, "correlationId": PLACE, "examples": [EXAMPLE]}
SERVER: Document = {
    **TEXTS,
    "host": "a",
    "protocol": "amqp",
    "protocolVersion": "b",
    "pathname": "/",
    "variables": {"a": {"enum": ["a"], "default": "a", "description": "b"}, "b": REFERENCE},
    "security": [{"type": "plain"}],
    "bindings": {"redis": {}, "x-a": 1},
}
CHANNEL = {
    **TEXTS,
    "address": None,
    "messages": {"a": {**TRAIT, "payload": {}, "traits": [TRAIT, REFERENCE, [{"name": "a"}, {}]]}, "b": REFERENCE},
    "parameters": {"a": {**PLACE, "enum": ["a"], "default": "a", "examples": ["a"]}, "b": REFERENCE},
    "servers": [REFERENCE],
    "bindings": {"redis": {}},
}
OPERATION = {
    **TEXTS,
    "action": "send",
    "channel": REFERENCE,
    "messages": [REFERENCE],
    "reply": {"channel": REFERENCE, "messages": [REFERENCE], "address": PLACE},
    "traits": [{**TEXTS, "bindings": {"redis": {}}}, REFERENCE],
    "bindings": {"amqp": {"ack": True}},
}
EVERYTHING: Document = {
    "asyncapi": "3.0.0",
    "id": "urn:a",
    "info": {
        "title": "a",
        "version": "1",
        "description": "b",
        "termsOfService": "urn:c",
        "contact": {"name": "a", "url": "urn:b", "email": "c@d"},
        "license": {"name": "a", "url": "urn:b"},
        "tags": [{"name": "a", "description": "b", "externalDocs": {"url": "c", "description": "d"}}, REFERENCE],
        "externalDocs": REFERENCE,
    },
    "defaultContentType": "a/b",
    "servers": {"a": SERVER, "b": REFERENCE},
    "channels": {"a": CHANNEL, "b": REFERENCE},
    "operations": {"a": OPERATION, "b": REFERENCE},
    "components": {
        "servers": {"a": {"host": "a", "protocol": "b"}},
        "channels": {"a": {"address": "a"}},
        "serverVariables": {"a": {"default": "a"}},
        "operations": {"a": {"action": "receive", "channel": REFERENCE}},
        "messages": {"a": {"payload": {}, "name": "a"}},
        "securitySchemes": {"a": {"type": "X509"}},
        "parameters": {"a": {"default": "a"}},
        "correlationIds": {"a": PLACE},
        "operationTraits": {"a": {"title": "a"}},
        "messageTraits": {"a": {"name": "a"}},
        "replies": {"a": {"messages": []}},
        "replyAddresses": {"a": PLACE},
        "serverBindings": {"a": {"amqp": {}}},
        "channelBindings": {"a": REFERENCE},
        "operationBindings": {"a": {"amqp": {}}},
        "messageBindings": {"a": {"amqp": {}}},
        "tags": {"a": {"name": "a"}},
        "externalDocs": {"a": {"url": "a"}},
        "schemas": {"a": {}},
    },
    "x-a": 1,
}


@pytest.fixture(scope="module")
def official() -> Draft7Validator:
    schema = json.loads(npm.module("@asyncapi/specs").joinpath("schemas/3.0.0.json").read_text())
    return Draft7Validator(schema)


def kept(service: str) -> Document:
    """Without its schemas, which both leave to others."""
    document: Document = yaml.safe_load((CHECKOUT / "docs" / "asyncapi" / f"{service}.yaml").read_text())
    document["components"]["schemas"] = {}
    for message in document["components"]["messages"].values():
        message.update(payload={}, headers={})
    return document


def broken(document: Document) -> Iterator[tuple[str, Document]]:
    """Every part of a document in every other way, one at a time."""
    for steps, node in parts(document):
        for change in others(node):
            if not is_refused_by_the_specification_alone(steps, change):
                told = f"{pointer(*steps)} {change!r:.100}"
                yield told, replaced(without_sections_beside(document, steps), steps, change)


def is_refused_by_the_specification_alone(steps: tuple[str | int, ...], change: Any) -> bool:
    """The official schema has forgotten that a parameter is an object, and looks at no component with an odd name."""
    if steps[-2:-1] == ("parameters",):
        return not isinstance(change, dict)
    return steps[:-1] == ("components",) and isinstance(change, dict) and bool(ODD & change.keys())


def parts(node: Any, *steps: str | int) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if LEFT_OUT & set(steps) or LEFT_OUT_INSIDE & set(steps[:-1]):
        return
    yield steps, node
    for key, entry in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from parts(entry, *steps, key)


def others(node: Any) -> Iterator[Any]:
    """Another type, a key less, a key renamed, a key or an entry more."""
    yield from ("text", 7, None, True, [], {}, {"other": {}})
    if isinstance(node, dict):
        for key in node:
            rest = {name: entry for name, entry in node.items() if name != key}
            yield from (rest, {**rest, f"{key}s": node[key]})
        yield from ({**node, more: {}} for more in ("more", "x-more", *sorted(ODD)))
    if isinstance(node, list):
        yield from ([*node, more] for more in ({}, "text", *node[:1]))


def without_sections_beside(document: Document, steps: tuple[str | int, ...]) -> Document:
    """All else is right, and costs the official schema its time."""
    if len(steps) < 2:
        return document
    return {key: document[key] for key in document if key in ("asyncapi", "info", steps[0])}


def replaced(node: Any, steps: tuple[str | int, ...], change: Any) -> Any:
    if not steps:
        return change
    found = copy.copy(node)
    found[steps[0]] = replaced(node[steps[0]], steps[1:], change)
    return found


def judged_differently(official: Draft7Validator, documents: list[tuple[str, Document]]) -> tuple[list[str], list[str]]:
    """What only ours takes, and what only the official one takes."""
    ours = Draft7Validator(SHAPE)
    verdicts = [(told, ours.is_valid(document), official.is_valid(document)) for told, document in documents]
    assert {taken for _, _, taken in verdicts} == {True, False}
    only_ours = [told for told, ours_takes, official_takes in verdicts if ours_takes and not official_takes]
    return only_ours, [told for told, ours_takes, official_takes in verdicts if official_takes and not ours_takes]


def test_a_document_with_everything_is_right(official: Draft7Validator) -> None:
    assert [error.message for error in official.iter_errors(EVERYTHING)] == []
    assert list(misshapen(EVERYTHING)) == []


@pytest.mark.parametrize(("name", "size"), [("everything", 80), *((service, 20) for service in SERVICES)])
def test_ours_refuses_what_the_official_schema_refuses_and_nothing_else(
    name: str, size: int, official: Draft7Validator
) -> None:
    """A sample: the official schema is slow, and all of them take it minutes."""
    every = list(broken(EVERYTHING if name == "everything" else kept(name)))
    sample = random.Random(SEED).sample(every, size)
    assert judged_differently(official, sample) == ([], [])
