"""What an application writes to take part: `@handles(message)` on plain functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, overload

from sagas_framework.errors import ConfigurationError, DefinitionError
from sagas_framework.events.publishing import Announce
from sagas_framework.participant.signatures import is_dictionary, refuse_disagreeing_handlers
from sagas_framework.vocabulary import codec
from sagas_framework.vocabulary.annotations import annotation_of
from sagas_framework.vocabulary.command import AnyCommand, Command, PayloadType, ResponseType
from sagas_framework.vocabulary.contracts import refuse_contradictions
from sagas_framework.vocabulary.correlation import token_of
from sagas_framework.vocabulary.event import AnyEvent

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

Function = TypeVar("Function", bound=Callable[..., Any])
_MARK = "__sagas_handler__"


class AnswerLater(Enum):
    """The type of ANSWER_LATER, for a handler's annotation: `-> Response | AnswerLater`."""

    ANSWER_LATER = "answer later"


ANSWER_LATER: Final = AnswerLater.ANSWER_LATER
"""What a handler returns whose answer comes later, through `participant.answer` or `participant.refuse`."""


@dataclass(frozen=True)
class HandlerContext:
    """What a handler is given besides its payload.

    `session` is the local transaction: what is written there commits together with the memory that this step was
    done, or not at all (None in a participant without a database). `reply` is, for a compensation, what the action
    answered (None as well where it was to answer later).
    """

    saga_id: str
    step: str
    attempt: int
    session: Session | Any
    reply: Any = None
    orchestrator: str = ""
    _announce: Announce | None = None

    def publish(self, event: Any) -> None:
        """Publishes an event in this transaction: it leaves when that is committed. The participant says which there
        are: `create_participant(publishes=[...])`."""
        if self._announce is None:
            raise ConfigurationError("this participant publishes no events; give create_participant publishes=[...]")
        self._announce(event, self.session)

    @property
    def token(self) -> str:
        """Names this step to `participant.answer`; a handler that returns ANSWER_LATER keeps it in a row of its own."""
        return token_of(self.orchestrator, self.saga_id, self.step)


@dataclass(frozen=True)
class Work:
    """One handler in the form in which the participant runs it: `run(payload, context)` takes JSON, and `encode`
    makes JSON of what comes back. `command` is None where the application has not said which it is."""

    task: str
    run: Callable[[Any, HandlerContext], Any]
    encode: Callable[[Any], Any]
    reply_queue: str | None
    transient: tuple[type[Exception], ...]
    command: AnyCommand | None = None


@dataclass(frozen=True)
class Marked:
    """What `@handles` has noted on a function."""

    command: AnyCommand
    transient: tuple[type[Exception], ...]
    database_only: bool


class Mark(Protocol[PayloadType, ResponseType]):
    """What a type checker lets `@handles(command)` stand on. What the function itself returns is kept."""

    @overload
    def __call__(
        self, function: Callable[[PayloadType, HandlerContext], ResponseType], /
    ) -> Callable[[PayloadType, HandlerContext], ResponseType]: ...
    @overload
    def __call__(
        self, function: Callable[[PayloadType, HandlerContext], ResponseType | AnswerLater], /
    ) -> Callable[[PayloadType, HandlerContext], ResponseType | AnswerLater]: ...
    @overload
    def __call__(
        self, function: Callable[[dict[str, Any], HandlerContext], ResponseType | dict[str, Any] | AnswerLater], /
    ) -> Callable[[dict[str, Any], HandlerContext], ResponseType | dict[str, Any] | AnswerLater]: ...


def mark_as_handler(
    command: Command[PayloadType, ResponseType], transient: tuple[type[Exception], ...], database_only: bool
) -> Mark[PayloadType, ResponseType]:
    """What `handles` does for a command."""

    def mark(function: Function) -> Function:
        parameters = list(inspect.signature(function).parameters)
        if len(parameters) != 2:
            raise DefinitionError(f"handler {function.__qualname__} must take (payload, step), not {parameters}")
        setattr(function, _MARK, Marked(command, transient, database_only))
        return function

    return mark


def marked_in(module: Any) -> list[tuple[Callable[..., Any], Marked]]:
    found = [value for value in vars(module).values() if isinstance(getattr(value, _MARK, None), Marked)]
    if not found:
        raise ConfigurationError(f"{getattr(module, '__name__', module)} holds no function with @handles(...)")
    return [(function, getattr(function, _MARK)) for function in found]


def refuse_contradictory_handlers(modules: Iterable[Any], publishes: Iterable[AnyEvent] = ()) -> None:
    """What the participant that is given these modules could not keep: see the two it calls."""
    handlers = [(function, marked.command) for module in modules for function, marked in marked_in(module)]
    refuse_contradictions((command for _, command in handlers), events=publishes)
    refuse_disagreeing_handlers(handlers, AnswerLater)


def work_of(function: Callable[..., Any], marked: Marked) -> Work:
    command = marked.command
    read = reading(command, annotation_of(function, next(iter(inspect.signature(function).parameters))))

    def run(payload: Any, context: HandlerContext) -> Any:
        return function(read(payload), context)

    return Work(command.name, run, command.encode_response, None, marked.transient, command)


def reading(command: AnyCommand, annotation: Any) -> Callable[[Any], Any]:
    """How a handler is given its payload: as the command declares it, or, where it says so, as the JSON object."""

    def as_dictionary(payload: Any) -> Any:
        known = codec.names_in(command.payload, command.decode_payload(payload))
        declared = {name: value for name, value in payload.items() if name in known}
        return codec.decode(annotation, declared, f"payload of {command.name}")

    if is_dictionary(annotation) and annotation is not command.payload:
        return as_dictionary
    return command.decode_payload


def encode_undeclared(task: str, response: Any) -> Any:
    """The response to a command whose declaration this participant does not know."""
    contract = type(response) if is_dataclass(response) else object
    return codec.encode(contract, response, f"response of {task}")
