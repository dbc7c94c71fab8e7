"""What a document says of events: who publishes them to which queues, who handles them, and the receipts."""

from dataclasses import dataclass, field
from types import ModuleType
from typing import Annotated, Any

import jsonschema
import pytest
from pydantic import Field

from sagas_framework import (
    Command,
    Event,
    EventContext,
    HandlerContext,
    Participant,
    ProcessManager,
    Saga,
    Subscriber,
    SyncStep,
    create_orchestrator,
    create_participant,
    create_subscriber,
    handles,
    starts,
)
from sagas_framework.asyncapi import Specification
from sagas_framework.asyncapi.document import Document
from sagas_framework.asyncapi.references import references, target
from sagas_framework.asyncapi.validation import problems
from sagas_framework.errors import DefinitionError
from sagas_framework.vocabulary.occurrence import EventHeader
from tests.support import npm

MAIL, BOOKS = "mail.events", "books/events"


@dataclass(frozen=True)
class UserRegistered:
    user_id: int
    """As the user is known everywhere."""
    email: str


@dataclass(frozen=True)
class UserLeft:
    user_id: int


@dataclass(frozen=True)
class WelcomeSent:
    user_id: int


@dataclass
class Mail:
    user_id: int


REGISTERED = Event(
    "users.user_registered",
    source="users",
    payload=UserRegistered,
    key="user_id",
    subscribers=[MAIL, BOOKS],
    title="A user has registered",
    summary="Before anything is confirmed.",
)
LEFT = Event("users.user_left", source="users", payload=UserLeft, key="user_id")
WELCOMED = Event("mail.welcome_sent", source="mail", payload=WelcomeSent, key="user_id", subscribers=[MAIL])
SEND_MAIL = Command("mail.send_mail", "mail.commands", Mail, Mail)
SENT, TAKEN = f"{REGISTERED.name}.to.{MAIL}", f"{REGISTERED.name}.at.{MAIL}"


@handles(SEND_MAIL)
def send_mail(payload: Mail, step: HandlerContext) -> Mail:
    return payload


@handles(UserRegistered)
def note(event: UserRegistered, context: EventContext) -> None:
    pass


@dataclass
class Progress:
    mails: list[str] = field(default_factory=list)


class Welcoming(ProcessManager[Progress]):
    commands = (SEND_MAIL,)
    publishes = (WelcomeSent,)

    @handles(UserRegistered, starts="always")
    def begin(self, event: UserRegistered) -> None:
        self.send(SEND_MAIL, Mail(event.user_id))

    @handles(WelcomeSent, saga_key="user", event_key="user_id")
    def finish(self, event: WelcomeSent) -> None:
        self.end()


class Import(Saga[dict[str, Any]]):
    response_queue = "import.replies"
    steps = (SyncStep("load", action=lambda data, step: None),)


def module(**functions: Any) -> ModuleType:
    made = ModuleType(__name__)
    vars(made).update(functions)
    return made


def document_of(application: Any) -> Document:
    try:
        return Specification(application, title="A", version="1", description="B.").document()
    finally:
        application.engine.dispose()


def publisher(*events: type[Any]) -> Participant:
    return create_participant(
        "users",
        broker="memory://",
        database_url="sqlite://",
        queue=SEND_MAIL.queue,
        handlers=[module(send_mail=send_mail)],
        publishes=events,
    )


def subscriber(**wired: Any) -> Subscriber:
    wired = wired or {"handlers": [module(note=note)]}
    return create_subscriber("mail", broker="memory://", database_url="sqlite://", queue=MAIL, **wired)


def actions(document: Document) -> dict[str, tuple[str, str | None]]:
    """Each operation: what it does, and with which queue."""
    return {
        name: (operation["action"], target(document, operation["channel"]["$ref"])["address"])
        for name, operation in document["operations"].items()
    }


PUBLISHERS = ("participant", "orchestrator", "subscriber")


def application_that_publishes(kind: str, *events: type[Any]) -> Any:
    if kind == "participant":
        return publisher(*events)
    if kind == "subscriber":
        return subscriber(handlers=[module(note=note)], publishes=events)
    return create_orchestrator("users", broker="memory://", database_url="sqlite://", sagas=[Import], publishes=events)


# ---- who publishes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PUBLISHERS)
def test_a_publisher_sends_an_event_to_each_subscriber_and_takes_their_receipts(kind: str) -> None:
    found = document_of(application_that_publishes(kind, UserRegistered))
    assert {
        SENT: ("send", MAIL),
        "users.user_registered.to.books_events": ("send", BOOKS),
        "sagas.receipts.at.users.receipts": ("receive", "users.receipts"),
    }.items() <= actions(found).items()
    assert "reply" not in found["operations"][SENT]
    assert "publisher" in [tag["name"] for tag in found["info"]["tags"]]


def test_receipts_are_told_once_however_many_events_there_are() -> None:
    found = document_of(publisher(UserRegistered, UserLeft))
    assert [name for name in found["operations"] if "receipts" in name] == ["sagas.receipts.at.users.receipts"]


def test_an_event_that_nobody_subscribes_to_has_no_address_and_says_so() -> None:
    found = document_of(publisher(UserLeft))
    channel = found["channels"]["users.user_left.to.nobody"]
    assert channel["address"] is None
    assert channel["description"] == "Nobody subscribes to this event: it is sent nowhere."
    assert "Events on the wire" not in found["info"]["description"]


def test_the_words_of_a_message_file_are_in_the_document() -> None:
    found = document_of(publisher(UserRegistered))
    message, operation = found["components"]["messages"][REGISTERED.name], found["operations"][SENT]
    assert (message["title"], message["summary"]) == (REGISTERED.title, REGISTERED.summary)
    assert (operation["title"], operation["summary"]) == (f"{REGISTERED.title} ({MAIL})", REGISTERED.summary)
    fields = found["components"]["schemas"]["UserRegistered"]["properties"]
    assert fields["user_id"]["description"] == "As the user is known everywhere."


def test_the_bytes_that_a_document_shows_are_those_of_its_first_event() -> None:
    found = document_of(publisher(UserRegistered))["info"]["description"]
    assert '[["42",{"user_id":42,"email":"email"}],{},{"callbacks":null' in found
    assert f"`LPUSH` to the list `{BOOKS}`" in found
    assert f'[["{BOOKS}",{{"received":["01970000-' in found
    assert found.index("## On the wire") < found.index("## Events on the wire")


# ---- who subscribes --------------------------------------------------------------------------------------------------


def test_a_subscriber_receives_what_it_handles_and_sends_receipts_to_each_source() -> None:
    found = document_of(subscriber())
    assert actions(found) == {
        TAKEN: ("receive", MAIL),
        "sagas.receipts.to.users.receipts": ("send", "users.receipts"),
    }
    assert found["operations"][TAKEN]["description"] == f"- handled by `{__name__}.note`"
    assert [tag["name"] for tag in found["info"]["tags"]] == ["subscriber"]
    assert set(found["components"]["schemas"]) == {
        "CeleryEmbed", "EventHeader", "EventHeaders", "Receipts", "ReceiptsHeaders", "UserRegistered",
    }  # fmt: skip


def test_both_sides_have_the_same_channel_and_the_same_messages() -> None:
    sent, taken = document_of(publisher(UserRegistered)), document_of(subscriber())
    assert sent["channels"][SENT] == taken["channels"][SENT]
    for message in (REGISTERED.name, "sagas.receipts"):
        ours, theirs = (each["components"]["messages"][message] for each in (sent, taken))
        assert {**ours, "examples": []} == {**theirs, "examples": []}


def test_a_process_managers_commands_and_events_are_its_subscribers() -> None:
    found = document_of(subscriber(handlers=[module(note=note)], process_managers=[Welcoming]))
    command = found["operations"][SEND_MAIL.name]
    assert command["description"] == "- sent by process manager `Welcoming`"
    assert target(found, command["reply"]["channel"]["$ref"])["address"] == "mail.answers"
    assert found["operations"][TAKEN]["description"].splitlines() == [
        f"- handled by `{__name__}.note`",
        "- handled by process manager `Welcoming`",
    ]
    [example] = found["components"]["messages"][SEND_MAIL.name]["examples"]
    assert example["headers"]["sagas"]["orchestrator"] == "mail"
    assert example["headers"]["sagas"]["reply_queue"] == "mail.answers"


def test_an_orchestrator_receives_the_events_that_start_its_sagas() -> None:
    application = create_orchestrator(
        "mail",
        broker="memory://",
        database_url="sqlite://",
        sagas=[Import],
        events_queue=MAIL,
        on_events=[starts(Import, on=UserRegistered, data=lambda event: {"user_id": event.user_id})],
    )
    found = document_of(application)
    assert actions(found) == {
        TAKEN: ("receive", MAIL),
        "sagas.receipts.to.users.receipts": ("send", "users.receipts"),
    }
    assert found["operations"][TAKEN]["description"] == "- starts `Import`"
    assert [tag["name"] for tag in found["info"]["tags"]] == ["orchestrator", "subscriber"]


def test_what_a_subscriber_publishes_to_itself_is_sent_and_received_on_one_channel() -> None:
    found = document_of(subscriber(process_managers=[Welcoming]))
    both = {name: operation for name, operation in found["operations"].items() if name.startswith(WELCOMED.name)}
    assert [operation["action"] for operation in both.values()] == ["send", "receive"]
    assert len({operation["channel"]["$ref"] for operation in both.values()}) == 1
    assert actions(found)["sagas.receipts.at.mail.receipts"] == ("receive", "mail.receipts")
    assert actions(found)["sagas.receipts.to.mail.receipts"] == ("send", "mail.receipts")


# ---- true of the messages --------------------------------------------------------------------------------------------


def all_documents() -> dict[str, Document]:
    return {
        "participant": document_of(publisher(UserRegistered, UserLeft)),
        "orchestrator": document_of(application_that_publishes("orchestrator", UserRegistered)),
        "nobody": document_of(application_that_publishes("orchestrator", UserLeft)),
        "subscriber": document_of(subscriber()),
        "process manager": document_of(subscriber(handlers=[module(note=note)], process_managers=[Welcoming])),
    }


def test_every_example_is_of_its_own_schemas_and_an_events_header_is_one_that_is_read() -> None:
    for document in all_documents().values():
        assert [target(document, reference) for _, reference in references(document)]
        for name, message in document["components"]["messages"].items():
            [example] = message["examples"]
            for part in ("headers", "payload"):
                schema = {"allOf": [message[part]], "components": document["components"]}
                jsonschema.Draft7Validator(schema, format_checker=jsonschema.FormatChecker()).validate(example[part])
            if message["tags"][0]["name"] == "event":
                header = EventHeader.from_headers(example["headers"])
                assert header is not None
                assert header.to_header() == example["headers"]["sagas"], name


@pytest.mark.parametrize(
    "word",
    [{"number": 0}, {"number": 2**63}, {"number": True}, {"source": ""}, {"aggregate": ""}, {"aggregate": "x" * 201}],
)
def test_a_header_that_nobody_would_read_is_not_of_the_schema(word: dict[str, Any]) -> None:
    document = document_of(publisher(UserRegistered))
    [example] = document["components"]["messages"][REGISTERED.name]["examples"]
    schema = {"allOf": [{"$ref": "#/components/schemas/EventHeader"}], "components": document["components"]}
    header = example["headers"]["sagas"]
    assert jsonschema.Draft7Validator(schema).is_valid(header)
    assert not jsonschema.Draft7Validator(schema).is_valid(header | word)
    assert EventHeader.from_headers({"sagas": header | word}) is None


def test_an_event_must_carry_the_header_and_be_of_its_source_and_key() -> None:
    document = document_of(publisher(UserRegistered))
    message = document["components"]["messages"][REGISTERED.name]
    checker = jsonschema.Draft7Validator({"allOf": [message["headers"]], "components": document["components"]})
    [example] = message["examples"]
    headers = example["headers"]
    assert checker.is_valid(headers)
    assert not checker.is_valid({name: value for name, value in headers.items() if name != "sagas"})
    for word in ({"source": "others"}, {"aggregate": "account_id=42"}):
        assert not checker.is_valid(headers | {"sagas": headers["sagas"] | word})


def test_our_own_validation_and_asyncapi_pythons_rules_have_nothing_to_say() -> None:
    for name, document in all_documents().items():
        assert problems(document) == [], name


def test_the_official_parser_and_the_json_schema_of_asyncapi_have_nothing_to_say() -> None:
    found = npm.answer_of("diagnostics.js", all_documents(), needs="@asyncapi/parser")
    said = [(name, each) for name in found for each in found[name] if each["code"] != "asyncapi-latest-version"]
    assert said == []


# ---- names that a document cannot hold -------------------------------------------------------------------------------


def test_an_event_whose_name_can_be_no_key_is_refused_with_its_place() -> None:
    @dataclass(frozen=True)
    class Odd:
        it: int

    odd = Event("users/odd", source="users", payload=Odd, key="it")
    with pytest.raises(DefinitionError) as refused:
        document_of(publisher(Odd))
    assert f"event 'users/odd' ({odd.place}) cannot be in an AsyncAPI document" in str(refused.value)


def test_queues_that_a_document_could_not_tell_apart_are_refused() -> None:
    @dataclass(frozen=True)
    class Told:
        it: int

    Event("users.told", source="users", payload=Told, key="it", subscribers=["a/b", "a:b"])
    with pytest.raises(DefinitionError, match=r"would be called 'users\.told\.to\.a_b'"):
        document_of(publisher(Told))


def test_a_key_of_which_no_example_could_be_made_is_told() -> None:
    @dataclass(frozen=True)
    class Blank:
        it: Annotated[str, Field(examples=[""])]

    Event("users.blank", source="users", payload=Blank, key="it")
    with pytest.raises(DefinitionError, match=r"no example could be made for 'users\.blank'.*examples="):
        document_of(publisher(Blank))
