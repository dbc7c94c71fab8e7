"""What an application writes to take part: `@handles(message)`, or `saga_step_handler` under a Celery task."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass, is_dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from celery import Celery, Task

from sagas_framework.errors import ConfigurationError, DefinitionError
from sagas_framework.vocabulary import codec
from sagas_framework.vocabulary.command import Command

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from sagas_framework.participant.participant import Participant

Function = TypeVar("Function", bound=Callable[..., Any])
_MARK = "__sagas_handler__"
_PARTICIPANT = "sagas_participant"


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


def handles(command: Command, *, transient: tuple[type[Exception], ...] = ()) -> Callable[[Function], Function]:
    """Marks `handler(payload, step)` as what does a command: its name, queue, decoding and reply in one word.

    Hand its module to `create_participant(handlers=[...])`. `transient` names exceptions after which the orchestrator
    is to ask again by the step's retry policy; TransientError always is one.
    """

    def mark(function: Function) -> Function:
        parameters = list(inspect.signature(function).parameters)
        if len(parameters) != 2:
            raise DefinitionError(f"handler {function.__qualname__} must take (payload, step), not {parameters}")
        setattr(function, _MARK, Marked(command, transient))
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


def saga_step_handler(
    response_queue: str | None = None, *, transient: tuple[type[Exception], ...] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The long form, for a task that the application declares itself:

        @app.task(bind=True, name=create_ticket_message.TASK_NAME)
        @saga_step_handler(response_queue=CREATE_ORDER_SAGA_RESPONSE_QUEUE)
        def create_ticket(self, saga_id, payload: dict) -> dict: ...

    It does exactly what `@handles` does; `step_context(self)` gives the HandlerContext. A payload annotated with a
    dataclass is decoded and validated. The reply queue that a command names wins over `response_queue`; with
    neither, nobody is answered.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        contract = _payload_contract(function)

        @functools.wraps(function)
        def task_body(task: Task, saga_id: Any, payload: Any) -> None:
            def run(raw: Any, context: HandlerContext) -> Any:
                decoded = raw if contract is None else codec.decode(contract, raw, f"payload of {task.name}")
                task.request.sagas_context = context
                result = function(task, saga_id, decoded)
                return codec.encode(
                    type(result) if is_dataclass(result) else object, result, f"response of {task.name}"
                )

            participant_of(task.app).perform(task, saga_id, payload, Work(task.name, run, response_queue, transient))

        return task_body

    return decorate


def _payload_contract(function: Callable[..., Any]) -> Any:
    parameters = list(inspect.signature(function).parameters)
    if len(parameters) != 3:
        raise DefinitionError(f"handler {function.__qualname__} must take (self, saga_id, payload), not {parameters}")
    annotation = typing.get_type_hints(function).get(parameters[2])
    return annotation if is_dataclass(annotation) else None


def step_context(task: Task) -> HandlerContext:
    """The context of the step that a `saga_step_handler` task is doing: its session, attempt, remembered reply."""
    context: HandlerContext = task.request.sagas_context
    return context


def attach(app: Celery, participant: Participant) -> None:
    setattr(app, _PARTICIPANT, participant)


def participant_of(app: Celery) -> Participant:
    participant: Participant | None = getattr(app, _PARTICIPANT, None)
    if participant is None:
        raise ConfigurationError(f"no participant is attached to the Celery app {app.main!r}; call create_participant")
    return participant
