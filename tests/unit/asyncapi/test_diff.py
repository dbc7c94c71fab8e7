"""Two documents of a service: what only adds to it, what breaks whom, and what is no change at all."""

import copy
import json
from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from sagas_framework.asyncapi import diff
from sagas_framework.asyncapi.diff import differences
from sagas_framework.asyncapi.diff_report import as_json, as_text
from sagas_framework.asyncapi.document import Document
from sagas_framework.asyncapi.verdicts import Difference, Kind
from sagas_framework.errors import ConfigurationError

COMMAND, REPLY = "kitchen.cook", "kitchen.cook.response"
SUCCESS = REPLY + ".success"
INTEGER, TEXT, NULL = {"type": "integer"}, {"type": "string"}, {"type": "null"}


def in_celery(payload: Any) -> dict[str, Any]:
    arguments = {"type": "array", "items": [TEXT, payload], "minItems": 2, "additionalItems": False}
    return {"type": "array", "items": [arguments, {"type": "object", "maxProperties": 0}, {"type": "object"}]}


def message(payload: Any, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "headers": {"type": "object", "properties": {"task": {"const": name}}, "required": ["task"]},
        "payload": in_celery(payload),
        "correlationId": {"location": "$message.header#/id"},
    }


def document(received: Any = True, sent: Any = True, action: str = "receive", schemas: Any = None) -> Document:
    """A service that takes (or sends) one command and replies to it (or is replied to)."""
    queue = {"is": "queue", "queue": {"name": "kitchen.commands", "durable": True}, "bindingVersion": "0.3.0"}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Kitchen", "version": "1.0.0"},
        "defaultContentType": "application/json",
        "servers": {"broker": {"host": "localhost:5672", "protocol": "amqp"}},
        "channels": {
            COMMAND: {
                "address": "kitchen.commands",
                "messages": {COMMAND: {"$ref": f"#/components/messages/{COMMAND}"}},
                "bindings": {"amqp": queue, "redis": {}},
            },
            REPLY: {"address": None, "messages": {SUCCESS: {"$ref": f"#/components/messages/{SUCCESS}"}}},
        },
        "operations": {
            COMMAND: {
                "action": action,
                "channel": {"$ref": f"#/channels/{COMMAND}"},
                "bindings": {"amqp": {"ack": True}},
                "reply": {
                    "channel": {"$ref": f"#/channels/{REPLY}"},
                    "address": {"location": "$message.header#/sagas/reply_queue"},
                },
            }
        },
        "components": {
            "messages": {COMMAND: message(received, COMMAND), SUCCESS: message(sent, SUCCESS)},
            "schemas": schemas or {},
        },
    }


def obj(required: str = "", **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required.split()}


def any_of(*members: Any) -> dict[str, Any]:
    return {"anyOf": list(members)}


def closed(schema: dict[str, Any], others: Any = False) -> dict[str, Any]:
    return {**schema, "additionalProperties": others}


def kind_of(found: list[Difference]) -> str:
    """The worst that is told; empty: nothing is."""
    return min((each.kind for each in found), key=list(Kind).index, default="")


Change = Callable[[Document], object]


def command_channel(new: Document) -> Any:
    return new["channels"][COMMAND]


def operation(new: Document) -> Any:
    return new["operations"][COMMAND]


# ---- the table in the module's docstring -------------------------------------------------------------------------

A, AB = obj("a", a=INTEGER), obj("a b", a=INTEGER, b=INTEGER)
CARD = {"type": "object", "properties": {"by": {"const": "card"}, "number": TEXT}, "required": ["by"]}
CASH = {"type": "object", "properties": {"by": {"const": "cash"}, "amount": INTEGER}, "required": ["by"]}
SHORT, A_TEXT, B_TEXT = {**TEXT, "maxLength": 1}, {**TEXT, "pattern": "^a"}, {**TEXT, "pattern": "^b"}
PAIR = {"type": "array", "items": [INTEGER, TEXT], "additionalItems": False}

SCHEMAS: dict[str, list[tuple[Any, Any]]] = {
    "a new optional field": [(A, obj("a", a=INTEGER, b=INTEGER)), (obj(), obj(b=any_of(TEXT, NULL)))],
    "a new required field": [
        (A, AB),
        ({"type": "array", "items": A}, {"type": "array", "items": AB}),
        ({"type": "object", "required": ["a"]}, {"type": "object", "required": ["a", "b"]}),
    ],
    "a new field where others were refused": [(closed(A), closed(obj("a", a=INTEGER, b=TEXT)))],
    "a field removed": [
        (AB, A),
        (obj("a", a=INTEGER, b=TEXT), A),
        (any_of(AB, NULL), any_of(A, NULL)),
        (obj(a=A), {"type": "object", "additionalProperties": A}),
    ],
    "a field required now": [(obj("a", a=INTEGER, b=INTEGER), AB)],
    "a field optional now": [(AB, obj("a", a=INTEGER, b=INTEGER))],
    "another type": [
        (INTEGER, TEXT),
        (any_of(INTEGER, NULL), any_of(TEXT, NULL)),
        (PAIR, {**PAIR, "items": [INTEGER, INTEGER]}),
        (A, {"type": "array", "items": A}),
    ],
    "a type narrowed (integer of number, no null)": [
        ({"type": "number"}, INTEGER),
        ({"type": ["string", "null"]}, TEXT),
        (any_of(A, NULL), A),
        (True, TEXT),
        ({"type": "object", "additionalProperties": True}, {"type": "object", "additionalProperties": INTEGER}),
        ({"type": "array"}, {"type": "array", "items": TEXT}),
        (PAIR, {**PAIR, "items": [INTEGER]}),
    ],
    "a type widened (number of integer, or null)": [
        (INTEGER, {"type": "number"}),
        (TEXT, any_of(TEXT, NULL)),
        (A, any_of(A, NULL)),
        (INTEGER, {}),
        (PAIR, {**PAIR, "additionalItems": INTEGER}),
    ],
    "a value of an enum, a member of a union gone": [
        ({"enum": ["a", "b"]}, {"const": "a"}),
        (TEXT, {"enum": ["a"]}),
        (any_of(CARD, CASH), any_of(CARD)),
        ({"oneOf": [CARD, CASH]}, {"oneOf": [CASH]}),
    ],
    "a new value of an enum, member of a union": [
        ({"enum": ["a"]}, {"enum": ["a", "b"]}),
        ({"const": 1}, INTEGER),
        (any_of(CARD), any_of(CARD, CASH)),
        ({"oneOf": [CARD]}, {"oneOf": [CASH, CARD]}),
        (any_of(SHORT, A_TEXT), any_of(SHORT, A_TEXT, {**TEXT, "maxLength": 5})),
    ],
    "a bound tightened, a pattern or format added": [
        (INTEGER, {**INTEGER, "minimum": 0}),
        ({**TEXT, "maxLength": 9}, {**TEXT, "maxLength": 8}),
        ({"type": "array", "minItems": 1}, {"type": "array", "minItems": 2}),
        ({**TEXT}, {**TEXT, "pattern": "^a"}),
        ({**TEXT}, {**TEXT, "format": "date"}),
        ({**INTEGER, "multipleOf": 2}, {**INTEGER, "multipleOf": 4}),
        ({"type": "array"}, {"type": "array", "uniqueItems": True}),
        ({"type": "object"}, {"type": "object", "maxProperties": 3}),
    ],
    "a bound loosened, a pattern or format gone": [
        ({**INTEGER, "exclusiveMinimum": 0}, INTEGER),
        ({**INTEGER, "maximum": 8}, {**INTEGER, "maximum": 9.5}),
        ({**TEXT, "pattern": "^a"}, TEXT),
        ({**TEXT, "format": "uuid"}, TEXT),
        ({**INTEGER, "multipleOf": 4}, {**INTEGER, "multipleOf": 2}),
        ({"type": "object", "minProperties": 1}, {"type": "object", "minProperties": 0}),
        ({**INTEGER, "exclusiveMinimum": 1}, {**INTEGER, "minimum": 1}),
    ],
    "unknown fields refused now": [
        (A, closed(A)),
        (closed(A, True), closed(A)),
        (closed(A, True), A),
        ({"type": "object"}, obj()),
    ],
    "unknown fields tolerated now": [(closed(A), A), (A, closed(A, True))],
    "it cannot be told: another pattern, a `not`": [
        ({**TEXT, "pattern": "^a"}, {**TEXT, "pattern": "^b"}),
        ({**TEXT, "format": "date"}, {**TEXT, "format": "date-time"}),
        (TEXT, {**TEXT, "not": {"const": "x"}}),
        ({"oneOf": [INTEGER, {"minimum": 3}]}, {"oneOf": [INTEGER, {"minimum": 4}]}),
        ({"allOf": [A_TEXT, B_TEXT]}, B_TEXT),
        (any_of(A_TEXT, B_TEXT), any_of({**TEXT, "pattern": "^c"}, {**TEXT, "pattern": "^d"})),
        (closed(obj(a=INTEGER, b=INTEGER)), {"allOf": [closed(obj(a=INTEGER)), obj(b=INTEGER)]}),
        (PAIR, {"allOf": [{"type": "array", "items": PAIR["items"]}, {"additionalItems": False}]}),
        (any_of({"enum": ["a", "b"]}, {"enum": ["b", "c"]}), {"oneOf": [{"enum": ["a", "b"]}, {"enum": ["b", "c"]}]}),
        ({"not": {"const": {"title": "a"}}}, {"not": {"const": {"title": "b"}}}),
        (A, closed(A, TEXT)),
        ({"type": "object", "x-harmless": 1, "someday": 1}, {"type": "object", "someday": 2}),
        ({**A, "patternProperties": {"x": TEXT}}, {**A, "patternProperties": {"x": INTEGER}}),
        ({**A, "patternProperties": {"x": TEXT}}, {**obj("a", a=INTEGER, x=INTEGER), "patternProperties": {"x": TEXT}}),
    ],
    "another default": [(obj(a={**INTEGER, "default": 1}), obj(a={**INTEGER, "default": 2}))],
    "texts, tags, examples, order, component names": [
        ({**A, "title": "A", "description": "this"}, {**A, "title": "B", "examples": [{"a": 1}]}),
        (AB, {**AB, "required": ["b", "a"]}),
        ({"enum": ["a", "b", 1]}, {"enum": [1.0, "b", "a"]}),
        (any_of(CARD, CASH, NULL), any_of(NULL, CASH, CARD)),
        ({"oneOf": [CARD, CASH]}, {"oneOf": [CASH, CARD]}),
        ({"type": ["string", "null"], "maxLength": 3}, any_of(NULL, {**TEXT, "maxLength": 3})),
        (any_of({"const": "a"}, {"const": "b"}), {"enum": ["b", "a"]}),
        (PAIR, {"type": "array", "prefixItems": [INTEGER, TEXT], "items": False}),
        ({"allOf": [A]}, A),
        ({"allOf": [obj("a", a=INTEGER), obj("b", b=INTEGER)]}, AB),
        ({"oneOf": [INTEGER, {"minimum": 3}]}, {"oneOf": [{"minimum": 3}, INTEGER]}),
        ({"not": any_of({"const": "a"}, TEXT)}, {"not": any_of(TEXT, {"const": "a"})}),
        ({**TEXT, "minLength": 0}, TEXT),
        ({**INTEGER, "exclusiveMinimum": 0, "exclusiveMaximum": 9.5}, {**INTEGER, "minimum": 1, "maximum": 9}),
        ({"enum": [True, False]}, {"type": "boolean"}),
        (any_of(TEXT, {"const": "a"}), TEXT),
    ],
}  # fmt: skip
DOCUMENTS: dict[str, tuple[Change, Change] | list[Change]] = {
    # Where it matters which way a message goes: done to what is received, and to what is sent.
    "a message added to a channel": (
        lambda new: command_channel(new)["messages"].update(more=message(A, "more")),
        lambda new: new["channels"][REPLY]["messages"].update(more=message(A, "more")),
    ),
    "an operation or a channel added": [
        lambda new: new["operations"].update(more={"action": "send", "channel": {"$ref": f"#/channels/{COMMAND}"}}),
        lambda new: new["channels"].update(more={"address": "more"}),
    ],
    "an operation, channel, message, reply removed": [
        lambda new: new["operations"].pop(COMMAND),
        lambda new: new["channels"].pop(COMMAND),
        lambda new: command_channel(new)["messages"].clear(),
        lambda new: new["channels"][REPLY]["messages"].clear(),
        lambda new: operation(new).pop("reply"),
        lambda new: operation(new).update(messages=[]),
        lambda new: operation(new)["reply"].update(messages=[]),
    ],
    "the queue, its properties, another channel": [
        lambda new: command_channel(new).update(address="elsewhere"),
        lambda new: new["channels"][REPLY].update(address="elsewhere"),
        lambda new: command_channel(new)["bindings"]["amqp"]["queue"].update(durable=False),
        lambda new: command_channel(new).update(parameters={"table": {}}),
        lambda new: operation(new).update(channel={"$ref": f"#/channels/{REPLY}"}),
        lambda new: operation(new)["reply"].update(channel={"$ref": f"#/channels/{COMMAND}"}),
    ],
    "send instead of receive": [lambda new: operation(new).update(action="send")],
    "the place of the reply's address": [
        lambda new: operation(new)["reply"]["address"].update(location="$message.header#/reply_to"),
        lambda new: operation(new)["reply"].pop("address"),
    ],
    "content type, place of the correlation id": [
        lambda new: new["components"]["messages"][COMMAND].update(contentType="text/plain"),
        lambda new: new.update(defaultContentType="text/plain"),
        lambda new: new["components"]["messages"][SUCCESS]["correlationId"].update(location="$message.header#/other"),
        lambda new: new["components"]["messages"][SUCCESS].pop("correlationId"),
    ],
    "servers, bindings of operations": [
        lambda new: new["servers"]["broker"].update(host="elsewhere"),
        lambda new: operation(new)["bindings"]["amqp"].update(ack=False),
        lambda new: command_channel(new)["bindings"].pop("redis"),
    ],
}


def rows() -> dict[str, tuple[str, str]]:
    """The table as it stands in the docstring: (received, sent) for each row."""
    assert diff.__doc__
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in diff.__doc__.splitlines() if "|" in line]
    return {what: (received, sent) for what, received, sent in cells[2:]}


def test_the_table_in_the_docstring_names_all_that_is_tested_here_and_nothing_else() -> None:
    alone = {"a reply added to an operation", "an operation without an address removed"}
    assert set(rows()) == {*SCHEMAS, *DOCUMENTS, *alone}


@pytest.mark.parametrize(
    ("row", "old", "new"),
    [pytest.param(row, *case, id=f"{row} {number}") for row in SCHEMAS for number, case in enumerate(SCHEMAS[row], 1)],
)
def test_a_change_of_a_schema_is_what_the_table_says(row: str, old: Any, new: Any) -> None:
    received, sent = rows()[row]
    assert kind_of(differences(document(old), document(new))) == received
    assert kind_of(differences(document(sent=old), document(sent=new))) == sent
    # What a service sends as a command is read like a reply, and the reply to it like a command.
    assert kind_of(differences(document(old, action="send"), document(new, action="send"))) == sent
    assert kind_of(differences(document(sent=old, action="send"), document(sent=new, action="send"))) == received
    # One level deeper, and behind a reference, it is the same.
    deeper = [
        document(obj("in", **{"in": {"$ref": "#/components/schemas/It"}}), schemas={"It": each}) for each in (old, new)
    ]
    assert kind_of(differences(*deeper)) == received


@pytest.mark.parametrize("row", DOCUMENTS)
def test_a_change_of_the_document_is_what_the_table_says(row: str) -> None:
    changes = DOCUMENTS[row]
    for index, change in enumerate(changes):
        old, new = document(A, A), document(A, A)
        change(new)
        expected = rows()[row][index if isinstance(changes, tuple) else 0]
        assert kind_of(differences(old, new)) == expected, f"{row} {index}"


def test_a_reply_that_is_added_breaks_those_who_would_have_to_send_it() -> None:
    for action, expected in zip(("receive", "send"), rows()["a reply added to an operation"], strict=True):
        old, new = document(A, A, action), document(A, A, action)
        del operation(old)["reply"]
        assert kind_of(differences(old, new)) == expected


def test_what_was_sent_nowhere_may_go() -> None:
    for action, expected in zip(("receive", "send"), rows()["an operation without an address removed"], strict=True):
        old = document(A, A, action)
        command_channel(old)["address"] = None
        new = copy.deepcopy(old)
        del new["operations"][COMMAND]
        del new["channels"][COMMAND]
        assert kind_of(differences(old, new)) == expected


# ---- what is told ------------------------------------------------------------------------------------------------


def only(old: Document, new: Document) -> Difference:
    (found,) = differences(old, new)
    return found


def test_a_breakage_says_where_what_whom_and_what_to_do_instead() -> None:
    dish, new_dish = obj("dish", dish=TEXT), obj("dish count", dish=TEXT, count=INTEGER)
    old, new = (document(obj("items", items={"type": "array", "items": each})) for each in (dish, new_dish))
    found = only(old, new)
    assert found.where == "kitchen.cook payload.items[].count"
    assert found.what == "is a new required field"
    assert found.why == "who does not send it yet is refused"
    assert found.instead == "add it with a default"


@pytest.mark.parametrize(
    ("old", "new", "where", "what"),
    [
        (obj(a=INTEGER), obj(a=TEXT), "payload.a", "was integer and is string now"),
        ({"type": "array", "items": [A]}, {"type": "array", "items": [AB]}, "payload[0].b", "is a new required field"),
        (closed(obj(), INTEGER), closed(obj(), TEXT), "payload.*", "was integer and is string now"),
        (obj(a=any_of(TEXT, NULL)), obj(a=TEXT), "payload.a", "is no longer null, only string"),
        ({"enum": ["a", "b"]}, {"enum": ["a"]}, "payload", 'is no longer "b"'),
        (any_of(CARD, CASH), CARD, "payload", 'is no longer by "cash"'),
        (any_of(CARD, CASH), any_of({**CARD, "required": ["by", "number"]}, CASH), "payload.number", "is required now"),
        (any_of(SHORT, A_TEXT), any_of({**TEXT, "maxLength": 0}, A_TEXT), "payload", "has maxLength 0; it was 1"),
        ({"type": "number"}, INTEGER, "payload", "was any number and is an integer now"),
    ],
)
def test_the_place_is_told_in_the_words_of_the_payload(old: Any, new: Any, where: str, what: str) -> None:
    found = only(document(old), document(new))
    assert found.where == f"{COMMAND} {where}"
    assert what in found.what


def test_headers_are_compared_too() -> None:
    old, new = document(), document()
    new["components"]["messages"][COMMAND]["headers"] = obj("task tenant", task={"const": COMMAND}, tenant=TEXT)
    found = only(old, new)
    assert (found.kind, found.where) == (Kind.BREAKAGE, "kitchen.cook headers.tenant")
    del new["components"]["messages"][COMMAND]["headers"]
    assert only(old, new).what == "the field is removed"


def test_a_field_that_an_all_of_shares_is_compared_in_detail() -> None:
    shared = obj("task id", task=TEXT, id=TEXT)
    old = document(
        {"allOf": [{"$ref": "#/components/schemas/Headers"}, obj(task={"const": "a"})]}, schemas={"Headers": shared}
    )
    new = document(
        {"allOf": [{"$ref": "#/components/schemas/Headers"}, obj(task={"const": "b"})]}, schemas={"Headers": shared}
    )
    assert {(each.where, each.what) for each in differences(old, new)} == {
        ("kitchen.cook payload.task", 'is no longer "a"'),
        ("kitchen.cook payload.task", 'may now be "b"'),
    }


def test_a_tuple_that_is_no_body_of_celery_is_told_as_it_stands() -> None:
    old, new = document(), document()
    for whole, payload in ((old, A), (new, AB)):
        pairs = {"type": "array", "items": [{"type": "array", "items": [INTEGER, payload]}]}
        whole["components"]["messages"][COMMAND]["payload"] = pairs
    assert only(old, new).where == "kitchen.cook payload[0][1].b"


def test_another_queue_is_told_once_though_the_binding_names_it_too() -> None:
    old, new = document(), document()
    command_channel(new)["address"] = "elsewhere"
    command_channel(new)["bindings"]["amqp"] = {"is": "queue", "queue": {"name": "elsewhere", "durable": True}}
    assert only(old, new).what == "the queue is elsewhere now; it was kitchen.commands"


def test_a_removed_command_is_told_once_and_not_for_each_of_its_channels() -> None:
    old, new = document(), document()
    new["operations"].clear()
    new["channels"].clear()
    assert only(old, new).what == "the operation is removed"
    assert only(new, old).kind is Kind.ADDITION


def test_a_channel_that_nobody_uses_has_to_stand_both_ways() -> None:
    old, new, other = document(A), document(AB), document(obj("a", a=any_of(INTEGER, NULL)))
    for each in (old, new, other):
        each["operations"].clear()
    assert kind_of(differences(old, new)) == Kind.BREAKAGE
    assert kind_of(differences(old, other)) == Kind.BREAKAGE


# ---- which messages of the channel are used -----------------------------------------------------------------------


@pytest.mark.parametrize("user", [operation, lambda new: operation(new)["reply"]], ids=["operation", "reply"])
def test_to_name_all_messages_of_the_channel_in_any_order_is_to_name_none(user: Change) -> None:
    old = document(A, A)
    for channel in old["channels"].values():
        channel["messages"]["more"] = message(A, "more")
    new = copy.deepcopy(old)
    owner: Any = user(new)
    names = list(new["channels"][owner["channel"]["$ref"].removeprefix("#/channels/")]["messages"])
    owner["messages"] = [{"$ref": f"{owner['channel']['$ref']}/messages/{name}"} for name in reversed(names)]
    assert differences(old, new) == differences(new, old) == []
    owner["messages"].pop()
    assert kind_of(differences(old, new)) == kind_of(differences(new, old)) == Kind.BREAKAGE


def test_a_message_added_to_a_channel_is_told_once_though_the_operation_names_it_too() -> None:
    old, new = document(A, A), document(A, A)
    command_channel(new)["messages"]["more"] = message(A, "more")
    for whole in (old, new):
        names = command_channel(whole)["messages"]
        operation(whole)["messages"] = [{"$ref": f"#/channels/{COMMAND}/messages/{name}"} for name in names]
    assert (only(old, new).kind, only(old, new).what) == (Kind.ADDITION, "is a new message")
    assert only(new, old).what == "the message is removed"


# ---- as text and as JSON ------------------------------------------------------------------------------------------


def test_breakages_are_told_first_and_counted_before_the_version_that_is_wanted() -> None:
    old, new = document(A, A), document(AB, AB)
    new["servers"] = {}
    assert as_text(differences(old, new), old, new).splitlines() == [
        "breakage  kitchen.cook payload.b: is a new required field",
        "          who does not send it yet is refused; instead: add it with a default",
        "addition  kitchen.cook.response.success payload.b: is a new required field",
        "note      servers: are others: that is deployment, and breaks no contract",
        "1 breakage, 1 addition, 1 note",
        "a breakage wants version 2.0.0; it still says 1.0.0",
    ]
    assert as_text([], old, old) == "no difference"


@pytest.mark.parametrize(
    ("kind", "before", "after", "advice"),
    [
        (Kind.BREAKAGE, "1.4.2", "1.5.0", "a breakage wants version 2.0.0; it says 1.5.0"),
        (Kind.BREAKAGE, "1.4.2", "2.0.0-rc.1", None),
        (Kind.BREAKAGE, "1.4.2", "3.1.0", None),
        (Kind.ADDITION, "1.4.2", "1.4.2", "an addition wants version 1.5.0; it still says 1.4.2"),
        (Kind.ADDITION, "1.4.2", "1.4.3", "an addition wants version 1.5.0; it says 1.4.3"),
        (Kind.ADDITION, "1.4.2", "1.5.0", None),
        (Kind.ADDITION, "1.4.2", "2.0.0", None),
        (Kind.NOTE, "1.4.2", "1.4.2", None),
        (Kind.BREAKAGE, "0.4.2", "0.4.2", None),  # promises nothing
        (Kind.BREAKAGE, "2026-11", "2026-11", None),
        (Kind.BREAKAGE, "1.4.2", "1.4", None),
        (Kind.BREAKAGE, 1.4, None, None),
        (Kind.BREAKAGE, "1." + "9" * 5000 + ".0", "1.0.0", None),
    ],
)
def test_the_version_is_advised_where_it_is_a_semantic_one_and_too_low(
    kind: Kind, before: Any, after: Any, advice: str | None
) -> None:
    old, new = ({"info": {"version": version}} for version in (before, after))
    told = as_text([Difference(kind, "here", "something")], old, new).splitlines()
    assert told[2:] == ([] if advice is None else [advice])


def test_another_version_alone_is_no_difference() -> None:
    new = document()
    new["info"]["version"] = "7.0.0"
    assert differences(document(), new) == []


def test_differences_are_written_as_json_in_ascii() -> None:
    old, new = document(A), document(obj("a \x9b", **{"a": INTEGER, "\x9b": INTEGER}))
    text = as_json(differences(old, new))
    assert text.isascii()
    assert json.loads(text) == [
        {
            "kind": "breakage",
            "where": "kitchen.cook payload.\x9b",
            "what": "is a new required field",
            "why": "who does not send it yet is refused",
            "instead": "add it with a default",
        }
    ]


# ---- recursion and references ------------------------------------------------------------------------------------


def recursive(name: str, leaf: Any, optional: bool = False) -> Document:
    reference = {"$ref": f"#/components/schemas/{name}"}
    children = {"type": "array", "items": any_of(reference, NULL) if optional else reference}
    return document(reference, schemas={name: obj("value", value=leaf, children=children)})


@pytest.mark.parametrize("optional", [True, False])
def test_a_recursive_schema_is_compared_whatever_it_is_called(optional: bool) -> None:
    assert differences(recursive("Tree", INTEGER, optional), recursive("Node", INTEGER, optional)) == []
    found = differences(recursive("Tree", {"type": "number"}, optional), recursive("Node", INTEGER, optional))
    assert "kitchen.cook payload.value" in {each.where for each in found}
    assert len(found) <= 2  # as a member of a union it is looked at once more


def test_a_recursive_schema_inside_of_what_is_compared_as_a_whole_is_no_endless_loop() -> None:
    old, new = (recursive(name, INTEGER) for name in ("Tree", "Node"))
    for whole, name in ((old, "Tree"), (new, "Node")):
        whole["components"]["schemas"]["Other"] = {"not": {"$ref": f"#/components/schemas/{name}"}}
        whole["components"]["messages"][COMMAND]["payload"] = {"$ref": "#/components/schemas/Other"}
        whole["components"]["messages"][SUCCESS]["payload"] = True
    assert differences(old, new) == []


def test_what_was_assumed_inside_a_recursion_is_not_taken_for_granted_elsewhere() -> None:
    """`Inner` is seen first inside `Outer`, which has changed and is being compared at that moment."""

    def both(leaf: Any) -> Document:
        to = {name: {"$ref": f"#/components/schemas/{name}"} for name in ("Outer", "Inner")}
        schemas = {"Outer": obj(inner=to["Inner"], value=leaf), "Inner": obj(outer=to["Outer"])}
        return document(to["Outer"], to["Inner"], schemas=schemas)

    found = {each.where for each in differences(both({"type": "number"}), both(INTEGER))}
    assert found == {f"{COMMAND} payload.value", f"{SUCCESS} payload.outer.value"}


def test_a_schema_used_twice_at_each_of_many_levels_is_compared_in_time() -> None:
    levels = {f"L{level}": obj(a={"$ref": f"#/components/schemas/L{level + 1}"}) for level in range(60)}
    for schema in levels.values():
        schema["properties"]["b"] = schema["properties"]["a"].copy()
    whole = document({"$ref": "#/components/schemas/L0"}, schemas={**levels, "L60": TEXT})
    assert differences(whole, copy.deepcopy(whole)) == []


@pytest.mark.parametrize("reference", ["#/components/schemas/Nobody", "other.yaml#/It", 7])
def test_a_reference_to_nowhere_is_an_error_and_no_verdict(reference: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"\$ref"):
        differences(document({"$ref": reference}), document({"$ref": reference}))


def test_references_in_a_circle_are_no_endless_loop() -> None:
    circle = {"One": {"$ref": "#/components/schemas/Two"}, "Two": {"$ref": "#/components/schemas/One"}}
    with pytest.raises(ConfigurationError, match="leads to itself"):
        differences(document(True), document({"$ref": "#/components/schemas/One"}, schemas=circle))
    itself = document(
        {"$ref": "#/components/schemas/It"}, schemas={"It": any_of({"$ref": "#/components/schemas/It"}, TEXT)}
    )
    assert differences(itself, document(TEXT)) == []
    whole = document()
    whole["channels"][COMMAND] = {"$ref": f"#/channels/{COMMAND}"}
    with pytest.raises(ConfigurationError, match="leads to itself"):
        differences(whole, document())


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (7, "7 stands where a schema must be"),
        ({"properties": []}, "a schema has properties: []"),
        ({"type": "text"}, 'a schema has type: "text"'),
        ({"required": "a"}, 'a schema has required: "a"'),
        ({"anyOf": {}}, "a schema has anyOf: {}"),
        ({"minimum": True}, "a schema has minimum: true"),
        ({"multipleOf": 0}, "a schema has multipleOf: 0"),
    ],
)
def test_what_is_no_schema_is_named(schema: Any, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        differences(document(schema), document(True))
    assert said in str(caught.value)


@pytest.mark.parametrize("part", ["channels", "operations"])
def test_a_part_of_a_document_that_is_no_mapping_is_named(part: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{part} of a document is no mapping"):
        differences(document(), {**document(), part: ["x"]})


# ---- what no breakage means --------------------------------------------------------------------------------------

NUMBERS = [INTEGER, {"type": "number"}, *({**INTEGER, word: 2} for word in ("minimum", "maximum", "multipleOf"))]
LISTED = [{"enum": ["a", "b"]}, {"enum": ["a", 1]}, {"const": "a"}]
TEXTS = [TEXT, {**TEXT, "maxLength": 1}, {**TEXT, "pattern": "^a"}, *LISTED]
PLAIN = [*NUMBERS, *TEXTS, NULL, True, {"type": ["integer", "null"]}, {"type": "boolean"}, {"type": "object"}]


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def made(fields: dict[str, Any], required: set[str], others: Any) -> dict[str, Any]:
        schema = {"type": "object", "properties": fields, "required": sorted(required & fields.keys())}
        return schema if others is None else {**schema, "additionalProperties": others}

    fields = st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
    return st.builds(made, fields, st.sets(st.sampled_from("ab")), st.sampled_from([None, None, True, False, INTEGER]))


def arrays(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    lists = st.fixed_dictionaries({"type": st.just("array"), "items": inner}, optional={"minItems": st.just(1)})
    tuples = st.fixed_dictionaries(
        {"type": st.just("array"), "items": st.lists(inner, min_size=1, max_size=2)},
        optional={"additionalItems": st.sampled_from([False, INTEGER]), "maxItems": st.just(1)},
    )
    return lists | tuples


def unions(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    members = st.lists(inner, min_size=1, max_size=2)
    return st.builds(lambda word, parts: {word: parts}, st.sampled_from(["anyOf", "oneOf", "allOf"]), members)


schemas = st.recursive(
    st.sampled_from(PLAIN), lambda inner: objects(inner) | arrays(inner) | unions(inner), max_leaves=4
)
VALUES: list[Any] = [None, True, 0, 1, 2, 3, 1.5, "", "a", "b", "ab", {}, []]


def values() -> list[Any]:
    flat = [*VALUES, *([one] for one in VALUES), *([one, two] for one, two in permutations([1, 2, 1.5, "a", None], 2))]
    fields = [{"a": one} for one in flat] + [{"b": one} for one in flat]
    pairs = [{"a": one, "b": two} for one in [1, "a", None] for two in [1, 3, "b", {"a": 1}, [1]]]
    return [*flat, *fields, *pairs, *({"a": one} for one in pairs), *([one] for one in pairs)]


ALL_VALUES = values()


def as_sent(schema: Any) -> Any:
    """The schema of what honest senders send: of fields that are not declared, only what may have any name."""
    if isinstance(schema, list):
        return [as_sent(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: value if key in ("enum", "const") else as_sent(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and isinstance(schema.get("type"), str):
        found["properties"] = {name: as_sent(value) for name, value in schema["properties"].items()}
        found.setdefault("additionalProperties", False)
    return found


def lost(before: Any, after: Any) -> list[Any]:
    """What may be sent by the one schema and is refused by the other."""
    sent, known, taken = (Draft7Validator(schema) for schema in (before, as_sent(before), after))
    return [each for each in ALL_VALUES if known.is_valid(each) and sent.is_valid(each) and not taken.is_valid(each)]


def breaks(old: Document, new: Document) -> bool:
    return kind_of(differences(old, new)) == Kind.BREAKAGE


@given(schemas, schemas)
@example({"enum": [1]}, {"type": "integer"})
@example({"type": "object", "properties": {"a": INTEGER}}, {"allOf": [obj(a=INTEGER), {"additionalProperties": False}]})
def test_what_breaks_nobody_takes_and_sends_no_value_that_it_must_not(old: Any, new: Any) -> None:
    if not breaks(document(old), document(new)):
        assert lost(old, new) == []
    if not breaks(document(sent=old), document(sent=new)):
        assert lost(new, old) == []


@given(schemas)
def test_a_schema_has_not_changed_when_it_is_written_in_another_order(schema: Any) -> None:
    def turned(node: Any) -> Any:
        if isinstance(node, dict):
            unordered = ("anyOf", "oneOf", "allOf", "enum", "required")
            found = {key: turned(value) for key, value in reversed(node.items())}
            return {key: value[::-1] if key in unordered else value for key, value in found.items()}
        return [turned(each) for each in node] if isinstance(node, list) else node

    assert differences(document(schema, schema), document(turned(schema), turned(schema))) == []
    copied = json.loads(json.dumps(document(schema, schema)))
    assert differences(document(schema, schema), copied) == []


def test_unions_that_unfold_into_more_than_anybody_can_compare_are_given_up_with_a_reason() -> None:
    """Each member of each has two members itself: a thousand million of them."""

    def nested(last: dict[str, Any]) -> Document:
        levels = {f"L{n}": any_of(*({"$ref": f"#/components/schemas/L{n + 1}"},) * 2) for n in range(30)}
        return document({"$ref": "#/components/schemas/L0"}, schemas={**levels, "L30": last})

    with pytest.raises(ConfigurationError, match="unfolds into more than"):
        differences(nested(INTEGER), nested({"type": "string"}))
