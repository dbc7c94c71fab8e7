"""What is wrong with a document: where, and which of the validators says so."""

import copy
import sys
from collections.abc import Callable
from typing import Any

import pytest

from local_stack.plan import CHECKOUT
from sagas_framework.asyncapi.document import Document
from sagas_framework.asyncapi.references import pointer, references, resolved
from sagas_framework.asyncapi.source import load
from sagas_framework.asyncapi.validation import MAX_TEXT, Problem, Severity, problems
from sagas_framework.errors import ConfigurationError

KEPT = sorted((CHECKOUT / "docs" / "asyncapi").glob("*.yaml"))
MESSAGE = "kitchen.cook"


@pytest.fixture
def document() -> Document:
    ticket = {
        "type": "object",
        "properties": {"id": {"type": "integer", "examples": [7]}, "at": {"type": "string", "format": "date-time"}},
        "required": ["id"],
    }
    message = {
        "headers": {"type": "object", "properties": {"task": {"const": MESSAGE}}, "required": ["task"]},
        "payload": {"type": "array", "items": {"$ref": "#/components/schemas/Ticket"}},
        "examples": [{"headers": {"task": MESSAGE}, "payload": [{"id": 1, "at": "2026-01-01T00:00:00Z"}]}],
    }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Kitchen", "version": "1.0.0"},
        "channels": {
            MESSAGE: {
                "address": "kitchen.commands",
                "messages": {MESSAGE: {"$ref": f"#/components/messages/{MESSAGE}"}},
            }
        },
        "operations": {MESSAGE: {"action": "receive", "channel": {"$ref": f"#/channels/{MESSAGE}"}}},
        "components": {"messages": {MESSAGE: message}, "schemas": {"Ticket": ticket}},
    }


def message_of(document: Document) -> Any:
    return document["components"]["messages"][MESSAGE]


def channel_of(document: Document) -> Any:
    return document["channels"][MESSAGE]


def operation_of(document: Document) -> Any:
    return document["operations"][MESSAGE]


def example_of(document: Document) -> Any:
    return message_of(document)["examples"][0]


def ticket_of(document: Document) -> Any:
    return document["components"]["schemas"]["Ticket"]


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_a_published_document_has_no_problem_not_even_a_warning(path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert problems(load(str(path))) == []
    assert capsys.readouterr() == ("", "")


def test_a_document_that_holds_together_has_no_problem(document: Document) -> None:
    before = copy.deepcopy(document)
    assert problems(document) == []
    assert document == before


@pytest.mark.parametrize(
    ("spoil", "where", "what", "said_by"),
    [
        (
            lambda document: document["operations"][MESSAGE].update(channel={"$ref": "#/channels/nobody"}),
            f"#/operations/{MESSAGE}/channel",
            "there is no 'nobody'",
            "references",
        ),
        (
            lambda document: ticket_of(document)["properties"].update(x={"$ref": "other.yaml#/x"}),
            "#/components/schemas/Ticket/properties/x",
            "leads out of the document",
            "references",
        ),
        (
            lambda document: document["channels"].update(loop={"$ref": "#/channels/loop"}),
            "#/channels/loop",
            "leads to itself",
            "references",
        ),
        (
            lambda document: ticket_of(document)["properties"]["id"].update(type="text"),
            "#/components/schemas/Ticket/properties/id/type",
            "'text' is not valid",
            "jsonschema",
        ),
        (
            lambda document: ticket_of(document)["properties"]["at"].update(pattern="("),
            "#/components/schemas/Ticket/properties/at/pattern",
            "is not a 'regex'",
            "jsonschema",
        ),
        (
            lambda document: example_of(document)["payload"][0].update(id="one"),
            f"{MESSAGE} example 1 payload[0].id",
            "'one' is not of type 'integer'",
            "jsonschema",
        ),
        (
            lambda document: example_of(document).update(headers={}),
            f"{MESSAGE} example 1 headers",
            "'task' is a required property",
            "jsonschema",
        ),
        (
            lambda document: example_of(document)["payload"][0].update(at="2026-01-01T00:00:00"),
            f"{MESSAGE} example 1 payload[0].at",
            "is not a 'date-time'",
            "jsonschema",
        ),
        (
            lambda document: example_of(document)["payload"][0].update(at="2026-13-01T00:00:00Z"),
            f"{MESSAGE} example 1 payload[0].at",
            "is not a 'date-time'",
            "jsonschema",
        ),
        (
            lambda document: ticket_of(document)["properties"]["id"].update(examples=[8, None]),
            "#/components/schemas/Ticket/properties/id example 2",
            "None is not of type 'integer'",
            "jsonschema",
        ),
        (
            lambda document: ticket_of(document)["properties"]["id"].update({"$id": "x:y", "not": {"$ref": "#/info"}}),
            f"{MESSAGE} example 1 payload",
            "it cannot be checked",
            "jsonschema",
        ),
        (
            lambda document: ticket_of(document).update(allOf=[{"$ref": "#/components/schemas/Ticket"}]),
            f"{MESSAGE} example 1 payload",
            "it cannot be checked: maximum recursion depth",
            "jsonschema",
        ),
        (lambda document: document.pop("operations"), "#/operations", "Missing 'operations'", "asyncapi-python"),
    ],
)  # fmt: skip
def test_a_problem_says_what_is_wrong_where_and_who_says_so(
    document: Document, spoil: Callable[[Document], None], where: str, what: str, said_by: str
) -> None:
    spoil(document)
    found = problems(document)
    assert (where, said_by) in {(each.where, each.said_by) for each in found}
    (said,) = {each.what for each in found if each.where == where}
    assert what in said
    assert {each.severity for each in found} == {Severity.ERROR}


def test_a_warning_is_told_after_the_errors(document: Document) -> None:
    document["channels"][MESSAGE]["address"] = MESSAGE
    (warning,) = problems(document)
    assert (warning.severity, warning.said_by) == (Severity.WARNING, "asyncapi-python")
    example_of(document)["payload"] = 7
    error, last = problems(document)
    assert (error.severity, last) == (Severity.ERROR, warning)


def test_what_builds_on_a_broken_reference_is_looked_at_when_that_is_mended(document: Document) -> None:
    document["operations"][MESSAGE]["channel"] = {"$ref": "#/channels/nobody"}
    example_of(document)["payload"] = 7
    (found,) = problems(document)
    assert found.said_by == "references"


def test_a_field_may_be_called_like_a_keyword(document: Document) -> None:
    ticket_of(document)["properties"]["default"] = {"type": "integer", "examples": ["seven"]}
    (found,) = problems(document)
    assert found.where == "#/components/schemas/Ticket/properties/default example 1"


def test_messages_that_stand_in_their_channel_are_looked_at_as_well(document: Document) -> None:
    message = document["components"].pop("messages")[MESSAGE]
    document["channels"][MESSAGE]["messages"] = {"a/b": message}
    assert problems(document) == []
    message["examples"][0]["payload"] = [{}]
    assert [each.where for each in problems(document)] == ["a/b example 1 payload[0]"]


@pytest.mark.parametrize("broken", [None, [], 7, "text", {"examples": [7]}, {"examples": None, "payload": None}])
def test_what_is_no_message_or_no_channel_is_no_crash(document: Document, broken: Any) -> None:
    document["components"]["messages"]["broken"] = broken
    document["channels"]["broken"] = broken
    assert all(isinstance(each, Problem) for each in problems(document))


def test_the_same_document_is_read_again_after_it_was_mended(document: Document) -> None:
    """asyncapi-python remembers files by their paths."""
    good = copy.deepcopy(document)
    document.pop("operations")
    assert {each.said_by for each in problems(document)} == {"asyncapi-python"}
    assert problems(good) == []


def test_what_is_long_is_cut(document: Document) -> None:
    example_of(document)["payload"][0]["id"] = "x" * 10_000
    (found,) = problems(document)
    assert len(found.what) == MAX_TEXT + len("...")


@pytest.mark.parametrize("module", ["jsonschema", "asyncapi_python_codegen"])
def test_without_the_extra_it_says_how_to_install_it(
    document: Document, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigurationError, match=r"pip install 'sagas-framework\[asyncapi-tools\]'") as refused:
        problems(document)
    assert module not in str(refused.value)  # the extra is enough; nobody installs its parts


# ---- what the objects of AsyncAPI look like -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda document: document.pop("info"), "#/info: is missing"),
        (lambda document: document["info"].pop("version"), "#/info/version: is missing"),
        (lambda document: document["info"].update(version=1.0), "#/info/version: must be a text"),
        (lambda document: document.update(servers=[1]), "#/servers: must be a mapping"),
        (
            lambda document: document.update(servers={"broker": {"protocol": "amqp"}}),
            "#/servers/broker/host: is missing",
        ),
        (
            lambda document: document.update(chanels={}),
            "#/chanels: is no key of AsyncAPI here; there are asyncapi, id, info,",
        ),
        (lambda document: document.update(asyncapi="3.9.9"), "#/asyncapi: must be 3.0.0"),
        (
            lambda document: message_of(document).update(contentType=7),
            "#/components/messages/kitchen.cook/contentType: must be a text",
        ),
        (
            lambda document: channel_of(document).update(address=7),
            "#/channels/kitchen.cook/address: must be a text or null",
        ),
        (
            lambda document: operation_of(document).update(action="shout"),
            "#/operations/kitchen.cook/action: must be send or receive",
        ),
        (
            lambda document: operation_of(document).update(channel=7),
            "#/operations/kitchen.cook/channel: must be a mapping",
        ),
        (
            lambda document: operation_of(document).update(channel={"$ref": 7}),
            "#/operations/kitchen.cook/channel/$ref: must be a text",
        ),
        (
            lambda document: operation_of(document).update(tags=[{"name": "a"}] * 2),
            "#/operations/kitchen.cook/tags: says something twice",
        ),
        (
            lambda document: message_of(document).update(correlationId={"location": "id"}),
            "/correlationId/location: must be a place in a message, like $message.header#/id",
        ),
        (
            lambda document: message_of(document)["examples"].append({"name": "a"}),
            "/examples/1: needs a payload or headers",
        ),
        (
            lambda document: channel_of(document).update(bindings={"carrier-pigeon": {}}),
            "/bindings/carrier-pigeon: is no key",
        ),
        (
            lambda document: channel_of(document).update({7: "seven"}),
            "#/channels/kitchen.cook/7: the key must be a text",
        ),
    ],
)
def test_what_is_not_of_asyncapi_is_one_error_that_says_what_is_wanted_there(
    document: Document, spoil: Callable[[Document], None], said: str
) -> None:
    spoil(document)
    (found,) = problems(document)
    assert said in f"{found.where}: {found.what}"
    assert (found.severity, found.said_by) == (Severity.ERROR, "AsyncAPI 3.0.0")


def test_each_missing_and_each_unknown_key_is_told_once(document: Document) -> None:
    document["info"] = {"name": "Kitchen", "author": "me"}
    where = [each.where for each in problems(document)]
    assert sorted(where) == ["#/info/author", "#/info/name", "#/info/title", "#/info/version"]


def test_extensions_and_references_are_allowed_where_asyncapi_allows_them(document: Document) -> None:
    document["components"].update(
        tags={"hot": {"name": "hot", "x-colour": "red"}},
        messageTraits={"early": {"title": "Early"}},
        replies={"cooked": {"channel": {"$ref": f"#/channels/{MESSAGE}"}}},
    )
    message_of(document).update(
        {
            "tags": [{"$ref": "#/components/tags/hot"}],
            "traits": [{"$ref": "#/components/messageTraits/early"}],
            "x-a": 1,
        }
    )
    operation_of(document)["reply"] = {"$ref": "#/components/replies/cooked"}
    document["channels"]["also"] = {"$ref": f"#/channels/{MESSAGE}", "messages": 7}  # beside a $ref is nobody's place
    document["x-team"] = ["kitchen"]
    assert problems(document) == []


# ---- references --------------------------------------------------------------------------------------------------


def test_a_reference_finds_names_with_slashes_tildes_and_percent_signs() -> None:
    document = {"a/b~c%d é": [{"found": True}]}
    reference = pointer("a/b~c%d é", 0)
    assert "%25d" in reference
    assert resolved(document, {"$ref": reference}) == {"found": True}


@pytest.mark.parametrize("reference", ["#/list/1", "#/list/x", "#/list/0/deeper/still", "#/nothing"])
def test_a_reference_to_nothing_says_what_is_missing(reference: str) -> None:
    with pytest.raises(ConfigurationError, match="leads nowhere: there is no"):
        resolved({"list": [{"deeper": 7}]}, {"$ref": reference})


def test_references_are_found_everywhere_but_in_examples() -> None:
    document = {"a": [{"$ref": "#/x"}], "examples": [{"$ref": "y"}], "properties": {"$ref": {"$ref": "#/z"}}}
    assert list(references(document)) == [(("a", 0), "#/x"), (("properties", "$ref"), "#/z")]
