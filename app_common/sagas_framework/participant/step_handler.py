"""The long form of a handler, for tasks that the application declares itself: `saga_step_handler`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from celery import Task

from sagas_framework.errors import DefinitionError
from sagas_framework.participant.handlers import AnswerLater, HandlerContext, Work, encode_undeclared, reading
from sagas_framework.participant.intake import Taken, mark_as_command
from sagas_framework.participant.participant import participant_of
from sagas_framework.participant.signatures import refuse_disagreement
from sagas_framework.vocabulary import codec
from sagas_framework.vocabulary.annotations import annotation_of
from sagas_framework.vocabulary.command import AnyCommand


def saga_step_handler(
    response_queue: str | None = None,
    *,
    command: AnyCommand | None = None,
    transient: tuple[type[Exception], ...] = (),
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The long form, for a task that the application declares itself:

        @app.task(bind=True, name=create_ticket_message.TASK_NAME)
        @saga_step_handler(response_queue=CREATE_ORDER_SAGA_RESPONSE_QUEUE)
        def create_ticket(self, saga_id, payload: dict) -> dict: ...

    It keeps the promises of `@handles`, one command at a time and never in batches; `step_context(self)` gives the
    HandlerContext. With `command=create_ticket_message.message` payload and response are checked against what that
    declares, and the service's AsyncAPI document has it; without, an annotated payload is decoded and validated as the
    annotation says. The reply queue that a command names wins over `response_queue`; with neither, nobody is answered.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        parameter = _payload_parameter(function)
        annotation = annotation_of(function, parameter)
        if command is not None:
            refuse_disagreement(function, parameter, command, AnswerLater)
        declared = None if command is None else reading(command, annotation)

        def read(task: str, raw: Any) -> Any:
            if declared is not None:
                return declared(raw)
            return raw if annotation is Any else codec.decode(annotation, raw, f"payload of {task}")

        @functools.wraps(function)
        def task_body(task: Task, saga_id: Any, payload: Any) -> None:
            def run(raw: Any, context: HandlerContext) -> Any:
                task.request.sagas_context = context
                return function(task, saga_id, read(task.name, raw))

            encode = functools.partial(encode_undeclared, task.name) if command is None else command.encode_response
            work = Work(task.name, run, encode, response_queue, transient, command)
            participant_of(task.app).perform(task, saga_id, payload, work)

        mark_as_command(task_body, Taken(command, response_queue))
        return task_body

    return decorate


def _payload_parameter(function: Callable[..., Any]) -> str:
    parameters = list(inspect.signature(function).parameters)
    if len(parameters) != 3:
        raise DefinitionError(f"handler {function.__qualname__} must take (self, saga_id, payload), not {parameters}")
    return parameters[2]


def step_context(task: Task) -> HandlerContext:
    """The context of the step that a `saga_step_handler` task is doing: its session, attempt, remembered reply."""
    context: HandlerContext = task.request.sagas_context
    return context
