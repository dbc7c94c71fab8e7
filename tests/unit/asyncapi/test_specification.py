"""What a document says of a service: read from its wiring, and true of the messages that it sends."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, make_dataclass
from types import ModuleType
from typing import Annotated, Any

import jsonschema
import pytest
from pydantic import Field

from sagas_framework import (
    AsyncStep,
    Broker,
    Command,
    HandlerContext,
    Orchestrator,
    Participant,
    Saga,
    SyncStep,
    child_saga,
    create_orchestrator,
    create_participant,
    handles,
    saga_step_handler,
    send,
)
from sagas_framework.asyncapi import Specification
from sagas_framework.asyncapi.document import Document
from sagas_framework.asyncapi.references import references, target
from sagas_framework.errors import ConfigurationError, DefinitionError
from sagas_framework.vocabulary.command import AnyCommand
from sagas_framework.vocabulary.correlation import Correlation
from tests.unit.asyncapi import same_name_message


@dataclass
class Meal:
    name: str


@dataclass
class Cooked:
    minutes: int


COOK = Command("kitchen.cook", "kitchen.commands", Meal, Cooked, title="Cook a meal", summary="As somebody likes it.")
THROW_AWAY = Command("kitchen.throw_away", "kitchen.commands", Meal)
CARVE = Command("kitchen.carve", "kitchen.commands", Meal, Cooked)
RING = Command("kitchen.ring", "bell.commands", Meal)


def meal(data: dict[str, Any], step: Any) -> Meal:
    return Meal("soup")


class Lunch(Saga[dict[str, Any]]):
    response_queue = "lunch.replies"
    steps = (
        AsyncStep("cook", COOK, action=meal, compensation=send(THROW_AWAY, meal)),
        AsyncStep("ring", RING, action=meal, awaited=False),
    )


class Dinner(Saga[dict[str, Any]]):
    response_queue = "dinner.replies"
    steps = (
        SyncStep("lay_table", compensation=send(RING, meal, awaited=False)),
        AsyncStep("roast", COOK, action=meal, compensation=send(THROW_AWAY, meal, awaited=False)),
    )


class Feast(Saga[dict[str, Any]]):
    response_queue = "feast.replies"
    steps = (child_saga("eat", Lunch, lambda data, step: {}),)


@contextmanager
def orchestrator(*sagas: type[Saga[Any]]) -> Iterator[Orchestrator]:
    made = create_orchestrator("restaurant", broker="memory://", database_url="sqlite://", sagas=sagas)
    try:
        yield made
    finally:
        made.engine.dispose()


def document_of(application: Orchestrator | Participant) -> Document:
    return Specification(application, title="A", version="1", description="B.").document()


def document_of_sagas(*sagas: type[Saga[Any]]) -> Document:
    with orchestrator(*sagas) as made:
        return document_of(made)


def participant(**handlers: Any) -> Participant:
    module = ModuleType("handlers_of_the_kitchen")
    vars(module).update(handlers)
    return create_participant(
        "kitchen", broker="memory://", database_url=None, queue="kitchen.commands", handlers=[module]
    )


def with_tasks(made: Participant, *commands: AnyCommand, reply_queue: str | None = None) -> Participant:
    """In the long form."""
    for command in commands:

        @made.app.task(bind=True, name=command.name)  # type: ignore[untyped-decorator]  # Celery has no types
        @saga_step_handler(reply_queue, command=command)
        def do(self: Any, saga_id: str, payload: dict[str, Any]) -> Any:
            return {}

    return made


@handles(COOK)
def cook(payload: Meal, step: HandlerContext) -> Cooked:
    return Cooked(1)


@handles(THROW_AWAY)
def throw_away(payload: Meal, step: HandlerContext) -> None:
    pass


def replies_of(document: Document, command: str) -> tuple[Any, Any]:
    """Where the answers go: the address, and where else it is told."""
    reply = document["operations"][command]["reply"]
    channel = document["channels"][reply["channel"]["$ref"].rpartition("/")[2]]
    return channel["address"], reply.get("address", {}).get("location")


def saga_header(document: Document, message: str) -> dict[str, Any]:
    [example] = document["components"]["messages"][message]["examples"]
    header: dict[str, Any] = example["headers"]["sagas"]
    return header


# ---- what a participant takes ---------------------------------------------------------------------------------------


def test_a_participant_receives_what_its_handlers_do_and_answers_where_the_command_says() -> None:
    document = document_of(participant(cook=cook, throw_away=throw_away))
    assert {key: operation["action"] for key, operation in document["operations"].items()} == {
        COOK.name: "receive",
        THROW_AWAY.name: "receive",
    }
    assert document["channels"][COOK.name]["address"] == "kitchen.commands"
    assert replies_of(document, COOK.name) == (None, "$message.header#/sagas/reply_queue")
    assert document["info"]["tags"][0]["name"] == "participant"


def test_the_words_of_a_message_file_are_in_the_document() -> None:
    document = document_of(participant(cook=cook))
    for place in (document["operations"][COOK.name], document["components"]["messages"][COOK.name]):
        assert (place["title"], place["summary"]) == (COOK.title, COOK.summary)


def test_a_task_of_the_long_form_is_told_with_the_queue_where_it_answers_what_names_none() -> None:
    document = document_of(with_tasks(participant(cook=cook), CARVE, reply_queue="old_saga.responses"))
    assert list(document["operations"]) == [CARVE.name, COOK.name]
    told = {name: document["channels"][f"{name}.response"]["description"] for name in document["operations"]}
    assert "where it names none, `old_saga.responses`" in told[CARVE.name]
    assert "where it names none, nobody is answered" in told[COOK.name]


def test_a_task_that_does_not_say_which_command_it_does_is_named_where_the_document_is_declared() -> None:
    made = participant(cook=cook)
    made.app.task(bind=True, name="kitchen.forgotten")(saga_step_handler()(carve_anything))
    with pytest.raises(ConfigurationError, match=r"'kitchen\.forgotten' .* does not say which command it does"):
        document_of(made)


@pytest.mark.parametrize(
    ("name", "queue", "complaint"),
    [("kitchen.slice", "kitchen.commands", "give them one name"), ("kitchen.carve", "nobody.reads", "never be called")],
)
def test_a_task_that_would_never_be_called_for_its_command_is_refused(name: str, queue: str, complaint: str) -> None:
    made = participant(cook=cook)
    made.app.task(bind=True, name=name)(
        saga_step_handler(command=Command("kitchen.carve", queue, Meal))(carve_anything)
    )
    with pytest.raises(ConfigurationError, match=complaint):
        document_of(made)


def carve_anything(self: Any, saga_id: str, payload: dict[str, Any]) -> None: ...


def test_a_success_without_a_response_is_null_and_one_with_a_response_is_of_its_class() -> None:
    document = document_of(participant(cook=cook, throw_away=throw_away))
    payloads = {
        name: message["payload"]["items"][0]["items"][1] for name, message in document["components"]["messages"].items()
    }
    assert payloads["kitchen.cook.response.success"] == {"$ref": "#/components/schemas/Cooked"}
    assert payloads["kitchen.throw_away.response.success"] == {"type": "null"}
    assert payloads["kitchen.cook.response.failure"] == {"$ref": "#/components/schemas/Failure"}


def test_a_class_that_two_commands_share_is_called_after_the_first() -> None:
    commands = [Command(f"depot.{name}", "kitchen.commands", same_name_message.Payload) for name in ("pack", "unpack")]
    schemas = document_of(with_tasks(participant(cook=cook), *commands))["components"]["schemas"]
    assert "PackPayload" in schemas
    assert "UnpackPayload" not in schemas


def test_every_reference_leads_to_something_also_to_a_class_with_letters_that_no_key_may_have() -> None:
    odd = Command("kitchen.cook-50_times", "kitchen.commands", Meal, make_dataclass("Kø", [("it", Cooked)]))
    document = document_of(with_tasks(participant(cook=cook), odd))
    found = [target(document, reference) for _, reference in references(document)]
    assert document["channels"][odd.name] in found
    assert document["components"]["messages"][odd.name] in found
    assert document["components"]["schemas"]["K_"] in found
    [example] = document["components"]["messages"][f"{odd.name}.response.success"]["examples"]
    assert example["payload"][0][1]["it"].keys() == {"minutes"}


def test_a_binding_that_says_nothing_but_that_it_is_there_is_written() -> None:
    document = document_of(participant(cook=cook))
    assert document["channels"][COOK.name]["bindings"]["redis"] == {}
    assert document["operations"][COOK.name]["bindings"]["redis"] == {}


# ---- what an orchestrator sends --------------------------------------------------------------------------------------


def test_an_orchestrator_sends_what_its_steps_do_and_undo_and_is_answered_on_its_own_queue() -> None:
    document = document_of_sagas(Lunch)
    assert {operation["action"] for operation in document["operations"].values()} == {"send"}
    assert list(document["operations"]) == sorted((COOK.name, RING.name, THROW_AWAY.name))
    assert replies_of(document, COOK.name) == replies_of(document, THROW_AWAY.name) == ("lunch.replies", None)
    assert document["operations"][COOK.name]["description"] == "- sent by step `cook` of `Lunch`"
    assert document["operations"][THROW_AWAY.name]["description"] == "- compensates step `cook` of `Lunch`"
    assert saga_header(document, THROW_AWAY.name)["direction"] == "compensation"
    assert saga_header(document, COOK.name)["orchestrator"] == "restaurant"


def test_what_nobody_awaits_has_no_reply_and_names_no_queue_for_one() -> None:
    document = document_of_sagas(Lunch)
    assert "reply" not in document["operations"][RING.name]
    assert not any(name.startswith(f"{RING.name}.response") for name in document["components"]["messages"])
    assert "reply_queue" not in saga_header(document, RING.name)
    assert document["operations"][RING.name]["description"].endswith("and not awaited")


def test_where_two_sagas_await_one_command_on_two_queues_the_command_says_which() -> None:
    document = document_of_sagas(Lunch, Dinner)
    assert replies_of(document, COOK.name) == (None, "$message.header#/sagas/reply_queue")
    told = document["channels"][f"{COOK.name}.response"]["description"]
    assert told.endswith("Here: dinner.replies, lunch.replies.")
    assert [tag["name"] for tag in document["operations"][COOK.name]["tags"]] == ["Dinner", "Lunch"]


def test_a_command_that_one_saga_awaits_and_another_does_not_is_answered_to_the_first() -> None:
    document = document_of_sagas(Lunch, Dinner)
    assert replies_of(document, THROW_AWAY.name) == ("lunch.replies", None)
    assert document["operations"][THROW_AWAY.name]["description"].splitlines() == [
        "- compensates step `cook` of `Lunch`",
        "- compensates step `roast` of `Dinner`, and not awaited",
    ]


def test_commands_by_which_an_orchestrator_asks_itself_for_children_are_nobody_elses() -> None:
    assert document_of_sagas(Lunch)["operations"] == document_of_sagas(Feast, Lunch)["operations"]


def test_an_orchestrator_that_sends_nothing_has_a_document_too() -> None:
    class Quiet(Saga[dict[str, Any]]):
        response_queue = "quiet"
        steps = (SyncStep("nothing", action=lambda data, step: None),)

    document = document_of_sagas(Quiet)
    assert (document["operations"], document["channels"]) == ({}, {})
    assert document["info"]["description"] == "B."


# ---- brokers ---------------------------------------------------------------------------------------------------------


def test_only_servers_and_how_queues_are_declared_depend_on_the_broker() -> None:
    made = Specification(participant(cook=cook), title="A", version="1", description="B.")
    urls = ("amqp://u:secret@host/v", "redis://:secret@host:6379/2", "redis+socket:///run/redis.sock")
    documents = [made.document(Broker(url)) for url in urls]
    for document in documents:
        assert "secret" not in str(document)
        document["servers"] = {}
    assert documents[0] == documents[1] == documents[2]
    quorum = made.document(Broker("amqp://host", quorum_queues=True))
    queue = quorum["channels"][COOK.name]["bindings"]["amqp"]["queue"]
    assert queue["arguments"] == {"x-queue-type": "quorum"}


# ---- examples --------------------------------------------------------------------------------------------------------


def test_every_example_is_of_its_own_schemas_and_the_header_is_one_that_is_read() -> None:
    document = document_of_sagas(Lunch, Dinner)
    for name, message in document["components"]["messages"].items():
        [example] = message["examples"]
        for part in ("headers", "payload"):
            schema = {"allOf": [message[part]], "components": document["components"]}
            jsonschema.Draft7Validator(schema, format_checker=jsonschema.FormatChecker()).validate(example[part])
        assert example["headers"]["task"] == name
        place = Correlation.from_headers(example["headers"])
        assert place is not None
        assert place.to_header() == example["headers"]["sagas"]


@pytest.mark.parametrize(
    "word",
    [{"attempt": 0}, {"attempt": 2**31}, {"step": ""}, {"step": "x" * 256}, {"saga": "x" * 121}, {"direction": "up"}],
)
def test_a_header_that_nobody_would_read_is_not_of_the_schema(word: dict[str, Any]) -> None:
    document = document_of(participant(cook=cook))
    header = saga_header(document, COOK.name)
    schema = {"allOf": [{"$ref": "#/components/schemas/SagasHeader"}], "components": document["components"]}
    assert jsonschema.Draft7Validator(schema).is_valid(header)
    assert not jsonschema.Draft7Validator(schema).is_valid(header | word)
    assert Correlation.from_headers({"sagas": header | word}) is None


def test_a_reply_must_say_what_it_answers() -> None:
    required = document_of(participant(cook=cook))["components"]["schemas"]["ReplyHeaders"]["required"]
    assert required == ["task", "id", "parent_id"]


def test_classes_called_like_ours_do_not_stand_in_for_them() -> None:
    @dataclass
    class Failure:
        code: int

    @dataclass
    class SagaId:
        number: int

    @dataclass
    class Report:
        failure: Failure
        saga: SagaId

    command = Command("desk.report", "kitchen.commands", Report)
    schemas = document_of(with_tasks(participant(cook=cook), command))["components"]["schemas"]
    assert set(schemas["Failure"]["properties"]) == {"type", "message", "module", "traceback"}
    assert schemas["SagaId"]["format"] == "uuid"
    fields = {name: field["$ref"].rpartition("/")[2] for name, field in schemas["Report"]["properties"].items()}
    assert set(schemas[fields["failure"]]["properties"]) == {"code"}
    assert set(schemas[fields["saga"]]["properties"]) == {"number"}


def test_the_bytes_that_a_document_shows_are_those_of_its_first_command() -> None:
    text = document_of(participant(cook=cook))["info"]["description"]
    assert '[["01970000-0000-7000-8000-00000000002a",{"name":"name"}],{},{"callbacks":null' in text
    assert "`LPUSH` to the list `kitchen.commands`" in text


# ---- names that a document cannot hold -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a/b", "a#b", "a b", "a~b", "ü", "shop:create"])
def test_a_command_whose_name_can_be_no_key_is_refused_with_its_place(name: str) -> None:
    odd = Command(name, "kitchen.commands", Meal)

    @handles(odd)
    def take(payload: Meal, step: HandlerContext) -> None:
        pass

    wired = participant(take=take)
    with pytest.raises(DefinitionError) as refused:
        Specification(wired, title="A", version="1", description="B.")
    assert f"command {name!r} ({odd.place}) cannot be in an AsyncAPI document" in str(refused.value)


def test_a_field_that_reads_like_a_reference_is_refused() -> None:
    @dataclass
    class Referring:
        link: Annotated[int, Field(alias="$ref")]
        count: int

    @handles(Command("kitchen.refer", "kitchen.commands", Referring))
    def take(payload: Any, step: HandlerContext) -> None:
        pass

    with pytest.raises(DefinitionError, match=r"a field called '\$ref' .* give it another alias .*'count'"):
        document_of(participant(take=take))
