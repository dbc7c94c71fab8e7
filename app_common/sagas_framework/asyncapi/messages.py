"""Messages as they travel, described: headers, body, an example of each, made by the functions that send them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from asyncapi_python.kernel.document import CorrelationId, Tag

from sagas_framework.asyncapi import envelope, event_messages
from sagas_framework.asyncapi.announcements import Announcement, Receipts
from sagas_framework.asyncapi.document import IllustratedMessage, Schema, schema_ref
from sagas_framework.asyncapi.exchanges import Exchange
from sagas_framework.asyncapi.samples import Endless, Samples
from sagas_framework.asyncapi.schemas import Schemas, pascal_case
from sagas_framework.errors import DefinitionError, PayloadRefused
from sagas_framework.transport import wire
from sagas_framework.vocabulary import codec
from sagas_framework.vocabulary.command import AnyCommand, Failure, FailureKind
from sagas_framework.vocabulary.correlation import HEADER, Correlation
from sagas_framework.vocabulary.event import AnyEvent
from sagas_framework.vocabulary.identity import Direction, message_id
from sagas_framework.vocabulary.occurrence import EventHeader

EXAMPLE_SAGA = "01970000-0000-7000-8000-00000000002a"
_ROLE_NAMES = ("Payload", "Response")
"""What every message file calls its classes: in a document these are named after their command."""
_COMMAND = "command"
_SUCCESS = "success"
_FAILURE = "failure"
_TAGS = {
    _COMMAND: "Asks for a step of a saga to be done or undone",
    _SUCCESS: "Answers that it was done",
    _FAILURE: "Answers that it was not, and why",
}
_COMMAND_HEADERS = "CommandHeaders"
_REPLY_HEADERS = "ReplyHeaders"
_SAGA_ID = "SagaId"
_SOME_STEP = "some_method.1"  # as a process manager counts what it sends
_WHY = "Why a step failed. Of what kind the failure is, the header says."
_ANSWERED = CorrelationId("The id of the command that is answered", "$message.header#/parent_id")


class Messages:
    """The messages of some commands and events, and the schemas that they share."""

    def __init__(self, commands: Sequence[AnyCommand], events: Sequence[AnyEvent] = ()) -> None:
        called: dict[Any, str] = {event.payload: _name_of(event.payload, event) for event in reversed(events)}
        called |= {
            contract: _name_of(contract, command)
            for command in reversed(commands)
            for contract in (command.payload, command.response)
            if contract is not None
        }
        ours: dict[Any, str] = {Correlation: "SagasHeader", Failure: "Failure"} if commands else {}
        ours |= {EventHeader: event_messages.EVENT_HEADER} if events else {}
        taken = (_COMMAND_HEADERS, _REPLY_HEADERS, _SAGA_ID, envelope.EMBED, *event_messages.OWN_NAMES)
        self._schemas = Schemas({**ours, **called}, taken=taken)
        self.components = {
            **self._schemas.components,
            **(_components_of_commands(self._schemas.components) if commands else {}),
            **(event_messages.components_of_events() if events else {}),
            **({envelope.EMBED: envelope.embed()} if commands or events else {}),
        }
        self._samples = Samples(self.components)

    # ---- the kinds ------------------------------------------------------------------------------------------------

    def command(self, exchange: Exchange, orchestrator: str) -> IllustratedMessage:
        command = exchange.command
        return self._message(
            self.outgoing(exchange, orchestrator),
            kind=_COMMAND,
            payload=self._schemas.of(command.payload),
            title=command.title,
            summary=command.summary,
            correlation_id=CorrelationId("The id of the command; its reply names it", "$message.header#/id"),
        )

    def success(self, exchange: Exchange, orchestrator: str) -> IllustratedMessage:
        response = exchange.command.response
        return self._message(
            self._answer(
                exchange, orchestrator, None if response is None else self._example(exchange.command, response)
            ),
            kind=_SUCCESS,
            payload={"type": "null"} if response is None else self._schemas.of(response),
            title=f"{_title(exchange.command)}: done",
            summary="",
            correlation_id=_ANSWERED,
        )

    def failure(self, exchange: Exchange, orchestrator: str) -> IllustratedMessage:
        failure = Failure("NotToday", "Nobody is there", "some_service.handlers", "Traceback ...", FailureKind.REFUSED)
        return self._message(
            self._answer(exchange, orchestrator, failure),
            kind=_FAILURE,
            payload=schema_ref("Failure"),
            title=f"{_title(exchange.command)}: failed",
            summary="",
            correlation_id=_ANSWERED,
        )

    def event(self, announcement: Announcement) -> IllustratedMessage:
        return event_messages.described_event(announcement, self._schemas, self._sample_of(announcement))

    def receipts(self, receipts: Receipts) -> IllustratedMessage:
        return event_messages.described_receipts(receipts)

    # ---- examples, made as the real ones are -----------------------------------------------------------------------

    def outgoing(self, exchange: Exchange, orchestrator: str) -> wire.OutgoingMessage:
        command, place = exchange.command, _place(exchange, orchestrator)
        payload = self._example(command, command.payload)
        return wire.command_message(command, _id_of(place), payload, place)

    def outgoing_event(self, announcement: Announcement) -> wire.OutgoingMessage:
        return event_messages.outgoing_event(announcement, self._sample_of(announcement))

    def _sample_of(self, announcement: Announcement) -> Any:
        return self._example(announcement.event, announcement.event.payload)

    def _answer(self, exchange: Exchange, orchestrator: str, answer: Any) -> wire.OutgoingMessage:
        asked = _place(exchange, orchestrator)
        queue = asked.reply_queue or ""
        return wire.reply_message(exchange.command.name, queue, EXAMPLE_SAGA, _id_of(asked), answer, asked)

    def _example(self, message: AnyCommand | AnyEvent, contract: Any) -> Any:
        """The JSON of a value that the class itself has taken."""
        what = f"the example of {message.name}"
        try:
            sample = self._samples.of(self._schemas.of(contract))
            return codec.encode(contract, codec.decode(contract, sample, what), what)
        except (Endless, PayloadRefused) as error:
            problem = error.problems if isinstance(error, PayloadRefused) else error
            raise DefinitionError(
                f"no example could be made for {message.name!r}: {problem}; give the field one: "
                "Annotated[..., pydantic.Field(examples=[...])]"
            ) from error

    def _message(
        self,
        example: wire.OutgoingMessage,
        *,
        kind: str,
        payload: Schema,
        title: str,
        summary: str,
        correlation_id: CorrelationId,
    ) -> IllustratedMessage:
        return envelope.message_of(
            example,
            tag=Tag(kind, _TAGS[kind], envelope.NO_DOCS),
            headers=envelope.headers_of(example.task, _REPLY_HEADERS if example.parent_id else _COMMAND_HEADERS),
            payload=envelope.body(schema_ref(_SAGA_ID), payload, "The arguments: the saga's id, and the payload."),
            title=title,
            summary=summary,
            correlation_id=correlation_id,
        )


def _title(command: AnyCommand) -> str:
    return command.title or command.name


def _name_of(contract: type[Any], message: AnyCommand | AnyEvent) -> str:
    name = contract.__name__
    return pascal_case(message.name.rpartition(".")[2]) + name if name in _ROLE_NAMES else name


def _place(exchange: Exchange, orchestrator: str) -> Correlation:
    """Of the first step that sends it; whoever only takes commands does not know for which steps they are sent."""
    use = exchange.uses[0] if exchange.uses else None
    own_name = exchange.command.name.rpartition(".")[2]
    return Correlation(
        orchestrator=orchestrator,
        saga=EXAMPLE_SAGA,
        step=(use.step or _SOME_STEP) if use else own_name,
        direction=use.direction if use else Direction.ACTION,
        attempt=1,
        reply_queue=use.reply_queue if use else f"{orchestrator}.replies",
    )


def _id_of(place: Correlation) -> str:
    return message_id(place.orchestrator, place.saga, place.step, place.direction, place.attempt)


# ---- what surrounds a payload ---------------------------------------------------------------------------------


def _components_of_commands(components: dict[str, Schema]) -> dict[str, Schema]:
    """What is the same in all of their messages; a failure's kind travels in the header, not in the payload."""
    failure = components["Failure"]
    travels = Failure("", "").to_wire()
    fields = {name: schema for name, schema in failure["properties"].items() if name in travels}
    answered = {"type": "string", "format": "uuid", "description": "The id of the command that it answers."}
    header = {HEADER: schema_ref("SagasHeader")}
    return {
        _COMMAND_HEADERS: envelope.headers_called(
            _COMMAND_HEADERS, envelope.nobodys("a command"), ["task", "id"], **header
        ),
        _REPLY_HEADERS: envelope.headers_called(_REPLY_HEADERS, answered, ["task", "id", "parent_id"], **header),
        "Failure": {**failure, "description": _WHY, "properties": fields},
        _SAGA_ID: {"title": _SAGA_ID, "type": "string", "format": "uuid", "description": "The saga it belongs to."},
    }
