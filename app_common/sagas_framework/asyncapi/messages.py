"""Messages as they travel, described: headers, body, an example of each, made by the functions that send them."""

from __future__ import annotations

from typing import Any, cast

from asyncapi_python.kernel.document import CorrelationId, MessageBindings, MessageExample, Tag
from asyncapi_python.kernel.document.bindings import AmqpMessageBinding

from sagas_framework.asyncapi.document import IllustratedMessage, Schema, schema_ref
from sagas_framework.asyncapi.exchanges import Exchange
from sagas_framework.asyncapi.samples import Endless, Samples
from sagas_framework.asyncapi.schemas import Schemas, pascal_case
from sagas_framework.errors import DefinitionError, PayloadRefused
from sagas_framework.transport import wire
from sagas_framework.vocabulary import codec, json_text
from sagas_framework.vocabulary.command import AnyCommand, Failure, FailureKind
from sagas_framework.vocabulary.correlation import HEADER, Correlation
from sagas_framework.vocabulary.identity import Direction, message_id

CONTENT_TYPE = "application/json"
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
_EMBED = "CeleryEmbed"
_WHY = "Why a step failed. Of what kind the failure is, the header says."
NO_DOCS = cast(Any, None)  # asyncapi-python's tags cannot do without; AsyncAPI's can
_ANSWERED = CorrelationId("The id of the command that is answered", "$message.header#/parent_id")


class Messages:
    """The messages of some commands, and the schemas that they share."""

    def __init__(self, commands: list[AnyCommand]) -> None:
        called = {
            contract: _name_of(contract, command)
            for command in reversed(commands)
            for contract in (command.payload, command.response)
            if contract is not None
        }
        ours = {Correlation: "SagasHeader", Failure: "Failure"}
        self._schemas = Schemas({**ours, **called}, taken=(_COMMAND_HEADERS, _REPLY_HEADERS, _SAGA_ID, _EMBED))
        self.components = {**self._schemas.components, **_envelope(self._schemas.components)}
        self._samples = Samples(self.components)

    # ---- the three kinds ----------------------------------------------------------------------------------------

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

    # ---- examples, made as the real ones are -----------------------------------------------------------------------

    def outgoing(self, exchange: Exchange, orchestrator: str) -> wire.OutgoingMessage:
        command, place = exchange.command, _place(exchange, orchestrator)
        payload = self._example(command, command.payload)
        return wire.command_message(command, _id_of(place), payload, place)

    def _answer(self, exchange: Exchange, orchestrator: str, answer: Any) -> wire.OutgoingMessage:
        asked = _place(exchange, orchestrator)
        queue = asked.reply_queue or ""
        return wire.reply_message(exchange.command.name, queue, EXAMPLE_SAGA, _id_of(asked), answer, asked)

    def _example(self, command: AnyCommand, contract: Any) -> Any:
        """The JSON of a value that the class itself has taken."""
        what = f"the example of {command.name}"
        try:
            sample = self._samples.of(self._schemas.of(contract))
            return codec.encode(contract, codec.decode(contract, sample, what), what)
        except (Endless, PayloadRefused) as error:
            problem = error.problems if isinstance(error, PayloadRefused) else error
            raise DefinitionError(
                f"no example could be made for {command.name!r}: {problem}; give the field one: "
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
        name = example.task
        return IllustratedMessage(
            key=name,
            name=name,
            title=title or None,
            summary=summary or None,
            description=None,
            content_type=CONTENT_TYPE,
            correlation_id=correlation_id,
            tags=[Tag(kind, _TAGS[kind], NO_DOCS)],
            headers=_headers(example),
            payload=_body(payload),
            deprecated=None,
            externalDocs=None,
            bindings=MessageBindings(amqp=AmqpMessageBinding(content_encoding="utf-8"), redis={}),
            traits=[],
            examples=[MessageExample(None, None, example.headers(), json_text.loads(example.body))],
        )


def _title(command: AnyCommand) -> str:
    return command.title or command.name


def _name_of(contract: type[Any], command: AnyCommand) -> str:
    name = contract.__name__
    return pascal_case(command.name.rpartition(".")[2]) + name if name in _ROLE_NAMES else name


def _place(exchange: Exchange, orchestrator: str) -> Correlation:
    """Of the first step that sends it; whoever only takes commands does not know for which steps they are sent."""
    use = exchange.uses[0] if exchange.uses else None
    own_name = exchange.command.name.rpartition(".")[2]
    return Correlation(
        orchestrator=orchestrator,
        saga=EXAMPLE_SAGA,
        step=use.step if use else own_name,
        direction=use.direction if use else Direction.ACTION,
        attempt=1,
        reply_queue=use.reply_queue if use else f"{orchestrator}.replies",
    )


def _id_of(place: Correlation) -> str:
    return message_id(place.orchestrator, place.saga, place.step, place.direction, place.attempt)


# ---- what surrounds a payload ---------------------------------------------------------------------------------


def _envelope(components: dict[str, Schema]) -> dict[str, Schema]:
    """What is the same in every message; a failure's kind travels in the header, not in the payload."""
    failure = components["Failure"]
    travels = Failure("", "").to_wire()
    fields = {name: schema for name, schema in failure["properties"].items() if name in travels}
    nothing = {"type": "null"}
    nobodys = {"type": ["string", "null"], "description": "Of a command nobody reads it."}
    answered = {"type": "string", "format": "uuid", "description": "The id of the command that it answers."}
    return {
        _COMMAND_HEADERS: _common_headers(_COMMAND_HEADERS, nobodys, ["task", "id"]),
        _REPLY_HEADERS: _common_headers(_REPLY_HEADERS, answered, ["task", "id", "parent_id"]),
        "Failure": {**failure, "description": _WHY, "properties": fields},
        _SAGA_ID: {"title": _SAGA_ID, "type": "string", "format": "uuid", "description": "The saga it belongs to."},
        _EMBED: {
            "title": _EMBED,
            "type": "object",
            "description": "Part of every Celery message; unused here.",
            "properties": {name: nothing for name in ("callbacks", "errbacks", "chain", "chord")},
        },
    }


def _body(payload: Schema) -> Schema:
    """Celery's protocol 2: positional arguments, named ones, and what else belongs to the task."""
    described = {"description": "The arguments: the saga's id, and the payload."}
    arguments = described | _tuple(schema_ref(_SAGA_ID), payload)
    named = {"type": "object", "maxProperties": 0, "description": "Named arguments: none."}
    return _tuple(arguments, named, schema_ref(_EMBED))


def _tuple(*items: Schema) -> Schema:
    return {
        "type": "array",
        "items": list(items),
        "minItems": len(items),
        "maxItems": len(items),
        "additionalItems": False,
    }


def _headers(message: wire.OutgoingMessage) -> Schema:
    common = schema_ref(_REPLY_HEADERS if message.parent_id else _COMMAND_HEADERS)
    return {"type": "object", "properties": {"task": {"const": message.task}}, "allOf": [common]}


def _common_headers(name: str, parent: Schema, required: list[str]) -> Schema:
    identity = {"type": "string", "format": "uuid"}
    fields: dict[str, Schema] = {
        "task": {"type": "string", "description": "The task that Celery is to run: the message's name."},
        "id": {**identity, "description": "The message's id: the same whenever it is sent again."},
        "parent_id": parent,
        "root_id": {**identity, "description": "The same as the id."},
        "lang": {"type": "string", "description": "The sender's language; nobody reads it."},
        "ignore_result": {"type": "boolean", "description": "Nobody reads Celery's own result."},
        HEADER: schema_ref("SagasHeader"),
    }
    return {"title": name, "type": "object", "properties": fields, "required": required}
