"""The long form of a handler, for tasks that the application declares itself: `saga_step_handler`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from celery import Task

from sagas_framework.errors import DefinitionError
from sagas_framework.participant.handlers import HandlerContext, Work, encode_undeclared
from sagas_framework.participant.intake import mark_as_command
from sagas_framework.participant.participant import participant_of
from sagas_framework.participant.signatures import annotation_of
from sagas_framework.vocabulary import codec


def saga_step_handler(
    response_queue: str | None = None, *, transient: tuple[type[Exception], ...] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The long form, for a task that the application declares itself:

        @app.task(bind=True, name=create_ticket_message.TASK_NAME)
        @saga_step_handler(response_queue=CREATE_ORDER_SAGA_RESPONSE_QUEUE)
        def create_ticket(self, saga_id, payload: dict) -> dict: ...

    It keeps the promises of `@handles`, one command at a time and never in batches; `step_context(self)` gives the
    HandlerContext. An annotated payload is decoded and validated as that says. The reply queue that a command names
    wins over `response_queue`; with neither, nobody is answered.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        contract = _payload_contract(function)

        @functools.wraps(function)
        def task_body(task: Task, saga_id: Any, payload: Any) -> None:
            def run(raw: Any, context: HandlerContext) -> Any:
                decoded = raw if contract is Any else codec.decode(contract, raw, f"payload of {task.name}")
                task.request.sagas_context = context
                return function(task, saga_id, decoded)

            encode = functools.partial(encode_undeclared, task.name)
            work = Work(task.name, run, encode, response_queue, transient)
            participant_of(task.app).perform(task, saga_id, payload, work)

        mark_as_command(task_body)
        return task_body

    return decorate


def _payload_contract(function: Callable[..., Any]) -> Any:
    parameters = list(inspect.signature(function).parameters)
    if len(parameters) != 3:
        raise DefinitionError(f"handler {function.__qualname__} must take (self, saga_id, payload), not {parameters}")
    return annotation_of(function, parameters[2])


def step_context(task: Task) -> HandlerContext:
    """The context of the step that a `saga_step_handler` task is doing: its session, attempt, remembered reply."""
    context: HandlerContext = task.request.sagas_context
    return context
