"""`handles`: one word above whatever handles a message, be it a command or an event."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, overload

from sagas_framework.errors import DefinitionError
from sagas_framework.events.marks import Starts, mark_as_handler_of
from sagas_framework.participant.handlers import Mark, mark_as_handler
from sagas_framework.vocabulary.command import Command, PayloadType, ResponseType
from sagas_framework.vocabulary.place import place_of_caller

EventFunction = TypeVar("EventFunction", bound=Callable[..., Any])


@overload
def handles(
    what: Command[PayloadType, ResponseType],
    *,
    transient: tuple[type[Exception], ...] = ...,
    database_only: bool = ...,
) -> Mark[PayloadType, ResponseType]: ...
@overload
def handles(
    what: type[Any], *, starts: Starts = ..., saga_key: str | None = ..., event_key: str | None = ...
) -> Callable[[EventFunction], EventFunction]: ...
def handles(
    what: Any,
    *,
    transient: tuple[type[Exception], ...] = (),
    database_only: bool = False,
    starts: Starts = "never",
    saga_key: str | None = None,
    event_key: str | None = None,
) -> Any:
    """Marks what handles a command: `handler(payload, step)`, above which one word stands for its name, queue, decoding
    and reply. Or what handles an event: `handler(event, context)`, or a method of a process manager.

    **A command.** A payload that is annotated with `dict` is handed over as the JSON object that came, checked all the
    same, without the fields that its command does not declare.

    Hand its module to `create_participant(handlers=[...])`. What the handler raises fails the step: a Refusal is its
    decision, anything else an error. `transient` names exceptions after which the orchestrator is to ask again by the
    step's retry policy; TransientError always is one. A handler that cannot answer yet keeps `step.token` and returns
    ANSWER_LATER: the step waits until somebody calls `participant.answer`.

    `database_only` promises that the handler is short and does nothing but read and write through `step.session`. If
    all handlers of a participant promise it, its worker does many commands in one transaction, several times faster;
    a handler may then run twice for one command, of which only one run is ever committed.

    **An event**, named by its class (exactly: a subclass is another event). A plain function does nothing but read and
    write through `context.session`, and publish; hand its module to `create_subscriber(handlers=[...])`.

    Above a method of a process manager it also says which of its sagas the event is for, and may stand there more than
    once; a saga that is found twice handles the event once:

        @handles(UserRegistered, starts="always")                                      # a new one
        @handles(PricesRose)                                                           # all
        @handles(PricesRose, starts="if_none")                                         # all, or a new one
        @handles(UserVerified, saga_key="user", event_key="user_id")                   # those with that key
        @handles(UserInvited, saga_key="user", event_key="user_id", starts="if_none")  # those, or a new one
    """
    if isinstance(what, Command):
        _refuse_given(
            {"starts": starts != "never", "saga_key": saga_key is not None, "event_key": event_key is not None},
            f"says which sagas of a process manager an event is for, and {what.name!r} is a command",
        )
        return mark_as_handler(what, transient, database_only)
    mark = mark_as_handler_of(what, starts, saga_key, event_key)
    _refuse_given(
        {"transient": transient != (), "database_only": database_only},
        f"is said of a command, and {what.__qualname__} is an event",
    )
    return mark


def _refuse_given(options: Mapping[str, bool], because: str) -> None:
    for name, given in options.items():
        if given:
            raise DefinitionError(f"@handles(..., {name}=...) ({place_of_caller()}): {name} {because}; leave it out")
