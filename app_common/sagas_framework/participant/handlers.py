"""What an application writes to take part: `@handles(message)` on plain functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from sagas_framework.errors import ConfigurationError, DefinitionError
from sagas_framework.vocabulary.command import Command

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

Function = TypeVar("Function", bound=Callable[..., Any])
_MARK = "__sagas_handler__"


@dataclass(frozen=True)
class HandlerContext:
    """What a handler is given besides its payload.

    `session` is the local transaction: what is written there commits together with the memory that this step was
    done, or not at all (None in a participant without a database). `reply` is, for a compensation, what the action
    answered.
    """

    saga_id: str
    step: str
    attempt: int
    session: Session | Any
    reply: Any = None


@dataclass(frozen=True)
class Work:
    """One handler in the form in which the participant runs it: `run(payload, context)` with JSON on both sides."""

    task: str
    run: Callable[[Any, HandlerContext], Any]
    reply_queue: str | None
    transient: tuple[type[Exception], ...]


@dataclass(frozen=True)
class Marked:
    """What `@handles` has noted on a function."""

    command: Command
    transient: tuple[type[Exception], ...]
    database_only: bool


def handles(
    command: Command, *, transient: tuple[type[Exception], ...] = (), database_only: bool = False
) -> Callable[[Function], Function]:
    """Marks `handler(payload, step)` as what does a command: its name, queue, decoding and reply in one word.

    Hand its module to `create_participant(handlers=[...])`. What the handler raises fails the step: a Refusal is its
    decision, anything else an error. `transient` names exceptions after which the orchestrator is to ask again by the
    step's retry policy; TransientError always is one.

    `database_only` promises that the handler is short and does nothing but read and write through `step.session`. If
    all handlers of a participant promise it, its worker does many commands in one transaction, several times faster;
    a handler may then run twice for one command, of which only one run is ever committed.
    """

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


def work_of(function: Callable[..., Any], marked: Marked) -> Work:
    command = marked.command

    def run(payload: Any, context: HandlerContext) -> Any:
        return command.encode_response(function(command.decode_payload(payload), context))

    return Work(command.name, run, None, marked.transient)
