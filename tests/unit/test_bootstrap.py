"""What is wired wrongly is refused while it is wired, with the names of what does not fit."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace, new_class
from typing import Any

import pytest

from restaurant_service import handlers
from sagas_framework import (
    AsyncStep,
    Command,
    DefinitionError,
    Event,
    HandlerContext,
    ProcessManager,
    WaitForSignal,
    child_saga,
    create_orchestrator,
    create_participant,
    create_subscriber,
    handles,
    saga_step_handler,
    send,
)
from sagas_framework.definition.saga import Saga
from sagas_framework.errors import ConfigurationError, ContradictoryMessages, UnusableContract


def test_a_handler_whose_commands_go_to_another_queue_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"consumes 'bar.commands', but its handler create_ticket"):
        create_participant("bar", broker="memory://", database_url=None, queue="bar.commands", handlers=[handlers])


def test_a_saga_without_a_reply_queue_is_refused_with_its_name() -> None:
    class Homeless(Saga[dict]):  # type: ignore[type-arg]
        steps = ()

    with pytest.raises(DefinitionError, match="Homeless"):
        create_orchestrator("o", broker="memory://", database_url="sqlite://", sagas=[Homeless])


def test_a_broker_that_is_not_supported_is_refused_with_those_that_are() -> None:
    with pytest.raises(ConfigurationError, match="begins with 'kafka'; supported are amqp"):
        create_participant("bar", broker="kafka://here", database_url=None, queue="bar.commands")


# ---- what contradicts itself ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ask:
    number: int


@dataclass(frozen=True)
class Odd:
    it: Callable[[], int]


CREATE, CREATE_WITH_DICT = Command("kitchen.create", "kitchen", Ask), Command("kitchen.create", "kitchen", dict)
REJECT = Command("kitchen.reject", "kitchen", dict)


def nothing(*arguments: Any) -> Any:
    """What a step does."""


def saga_of(name: str, *steps: Any, data: Any = dict, queue: str = "replies") -> type[Saga[Any]]:
    body = {"steps": steps, "response_queue": queue}
    return new_class(name, (Saga[data],), exec_body=lambda space: space.update(body))


def start(*sagas: type[Saga[Any]]) -> None:
    create_orchestrator("o", broker="memory://", database_url="sqlite://", sagas=sagas)


@pytest.mark.parametrize(
    "sagas",
    [
        [saga_of("One", AsyncStep("a", CREATE, nothing), AsyncStep("b", CREATE_WITH_DICT, nothing))],
        [saga_of("One", AsyncStep("a", CREATE, nothing, compensation=send(CREATE_WITH_DICT, nothing)))],
        [saga_of("One", AsyncStep("a", CREATE, nothing)), saga_of("Two", AsyncStep("a", CREATE_WITH_DICT, nothing))],
    ],
    ids=["in two steps", "in a compensation", "in two sagas"],
)
def test_an_orchestrator_whose_sagas_declare_a_command_differently_does_not_start(sagas: Any) -> None:
    both = f"'kitchen.create' is declared at {CREATE.place} and, differently, at {CREATE_WITH_DICT.place}: payload"
    with pytest.raises(ContradictoryMessages, match=re.escape(both)):
        start(*sagas)


def test_a_participant_whose_handlers_commands_are_declared_differently_does_not_start() -> None:
    @handles(CREATE)
    def one(payload: Ask, step: HandlerContext) -> None: ...

    @handles(CREATE_WITH_DICT)
    def other(payload: dict[str, Any], step: HandlerContext) -> None: ...

    module: Any = SimpleNamespace(one=one, other=other)
    with pytest.raises(ContradictoryMessages, match=re.escape(f"{CREATE.place} and, differently, at")):
        create_participant("kitchen", broker="memory://", database_url=None, queue="kitchen", handlers=[module])


def test_an_orchestrator_that_sends_commands_to_a_queue_of_replies_does_not_start() -> None:
    one, other = (saga_of(name, AsyncStep("a", REJECT, nothing), queue=name) for name in ("One", "kitchen"))
    with pytest.raises(
        ContradictoryMessages, match="the queue 'kitchen' is the reply queue of saga 'kitchen'"
    ) as refused:
        start(one, other)
    assert f"'kitchen.reject' ({REJECT.place})" in str(refused.value)


def test_the_saga_whose_reply_queue_it_is_is_named_with_its_place() -> None:
    class Written(Saga[dict]):  # type: ignore[type-arg]
        name = "Written"
        response_queue = "kitchen"
        steps = (AsyncStep("a", REJECT, nothing),)

    line = inspect.getsourcelines(Written)[1]
    place = f"saga 'Written' ({__file__}:{line})"
    with pytest.raises(ContradictoryMessages, match=re.escape(f"is the reply queue of {place}, and")):
        start(Written)


def test_an_orchestrator_may_send_itself_its_children() -> None:
    child = saga_of("Child", AsyncStep("a", REJECT, nothing))
    start(child, saga_of("Parent", child_saga("one", child, nothing), child_saga("two", child, nothing)))


@pytest.mark.parametrize(
    ("saga", "what"),
    [
        (saga_of("S", AsyncStep("a", Command("n", "q", Odd), nothing)), r"payload of 'n' \(.*\): Odd.it"),
        (saga_of("S", AsyncStep("a", Command("n", "q", Ask, Odd), nothing)), r"response of 'n' \(.*\): Odd.it"),
        (saga_of("S", AsyncStep("a", CREATE, nothing), data=Odd), r"data of saga 'S': Odd.it"),
        (saga_of("S", WaitForSignal("go", payload=Odd)), r"signal 'go' of saga 'S': Odd.it"),
    ],
)
def test_an_orchestrator_with_data_that_cannot_travel_does_not_start(saga: type[Saga[Any]], what: str) -> None:
    with pytest.raises(UnusableContract, match=what):
        start(saga)


# ---- tasks of the long form -----------------------------------------------------------------------------------------


def place_in(function: Callable[..., Any]) -> str:
    code = inspect.unwrap(function).__code__
    return f"{code.co_filename}:{code.co_firstlineno}"


@saga_step_handler()
def create_ticket(self: Any, saga_id: str, payload: dict[str, Any]) -> None: ...


@saga_step_handler()
def create_ticket_again(self: Any, saga_id: str, payload: dict[str, Any]) -> None: ...


def test_two_functions_of_the_long_form_for_one_task_are_refused_with_both_places() -> None:
    app = create_participant("bar", broker="memory://", database_url=None, queue="bar.commands").app
    app.task(bind=True, name="bar.create_ticket")(create_ticket)
    app.task(bind=True, name="bar.create_ticket")(create_ticket)  # the same once more
    with pytest.raises(ContradictoryMessages) as refused:
        app.task(bind=True, name="bar.create_ticket")(create_ticket_again)
    assert place_in(create_ticket) in str(refused.value)
    assert place_in(create_ticket_again) in str(refused.value)


@pytest.mark.parametrize("database_url", [None, "sqlite://"], ids=["one at a time", "in batches"])
def test_the_long_form_for_a_command_that_has_a_handler_is_refused_with_both_places(database_url: str | None) -> None:
    app = create_participant(
        "r", broker="memory://", database_url=database_url, queue="restaurant_service.commands", handlers=[handlers]
    ).app
    with pytest.raises(ContradictoryMessages) as refused:
        app.task(bind=True, name="restaurant_service.create_ticket")(create_ticket)
    assert place_in(handlers.create_ticket) in str(refused.value)
    assert place_in(create_ticket) in str(refused.value)


# ---- what comes back to a subscriber ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    number: int


Event("kitchen.asked", source="bar", payload=Asked, key="number", subscribers=["bar.events", "bar.answers"])


@dataclass
class Nothing:
    """Of no interest."""


class Silent(ProcessManager[Nothing]):
    @handles(Asked, starts="always")
    def begin(self, event: Asked) -> None: ...


class Sending(ProcessManager[Nothing]):
    commands = (REJECT,)

    @handles(Asked, starts="always")
    def begin(self, event: Asked) -> None: ...


def subscriber(*managers: Any, queue: str = "bar.events", **how: Any) -> Any:
    return create_subscriber(
        "bar", broker="memory://", database_url="sqlite://", queue=queue, process_managers=managers, **how
    )


@pytest.mark.parametrize(
    ("manager", "how", "queues"),
    [
        (Silent, {}, {"bar.events"}),
        (Silent, {"publishes": [Asked]}, {"bar.events", "bar.receipts"}),
        (Sending, {}, {"bar.events", "bar.answers"}),
        (Sending, {"publishes": [Asked]}, {"bar.events", "bar.answers", "bar.receipts"}),
    ],
)
def test_a_subscriber_takes_answers_only_where_it_sends_and_receipts_only_where_it_publishes(
    manager: Any, how: Any, queues: set[str]
) -> None:
    app = subscriber(manager, **how).app
    assert {queue.name for queue in app.conf.task_queues} == queues
    assert (f"{REJECT.name}.response.success" in app.tasks) is ("bar.answers" in queues)
    assert ("sagas.receipts" in app.tasks) is (len(queues) > 1)


def test_a_subscriber_whose_events_would_come_where_its_commands_are_answered_does_not_start() -> None:
    assert subscriber(Silent, queue="bar.answers")
    with pytest.raises(ConfigurationError, match=r"'bar.answers' is where its process managers' commands are answered"):
        subscriber(Sending, queue="bar.answers")
