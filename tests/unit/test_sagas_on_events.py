"""Which events start which sagas is checked while it is wired, with the names of what does not fit."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from sagas_framework import DefinitionError, Event, Saga, SagaBuilder, SyncStep, create_orchestrator, starts
from sagas_framework.errors import ConfigurationError, UncommittedSaga
from sagas_framework.orchestrator.on_events import EventStart
from tests.support.approvals import (
    EVENTS,
    Approval,
    Approve,
    ApproveFluently,
    OrderApproved,
    OrderPlaced,
    approved,
    placed,
    to_approve,
)

STARTS = starts(Approve, on=OrderPlaced, data=to_approve)


def orchestrator(**how: Any) -> Any:
    how = {"sagas": [Approve, ApproveFluently], "events_queue": EVENTS, "on_events": [STARTS]} | how
    return create_orchestrator("orders", broker="memory://", database_url="sqlite://", **how)


def test_an_orchestrator_that_events_start_takes_them_from_its_queue_and_says_which() -> None:
    made = orchestrator(publishes=[OrderApproved])
    assert made.subscribes == {"shop.order_placed": placed}
    assert made.events_queue == EVENTS
    assert made.publishes == {"orders.approved": approved}
    assert {queue.name for queue in made.app.conf.task_queues} == {"orders.replies", "orders.receipts", EVENTS}
    assert {"shop.order_placed", "sagas.receipts", "bank.charge.response.success"} <= set(made.app.tasks)


def test_an_orchestrator_that_no_event_starts_subscribes_to_none() -> None:
    made = create_orchestrator("orders", broker="memory://", database_url="sqlite://", sagas=[Approve])
    assert (made.subscribes, made.events_queue) == ({}, None)
    assert "shop.order_placed" not in made.app.tasks


def test_one_event_may_start_two_sagas_and_two_events_one() -> None:
    other = starts(Approve, on=OrderApproved, data=lambda event: Approval(event.order_id))
    with pytest.raises(ConfigurationError):  # OrderApproved goes to another queue
        orchestrator(on_events=[STARTS, other])
    assert orchestrator(on_events=[STARTS, starts(ApproveFluently, on=OrderPlaced, data=to_approve)]).subscribes


# ---- what does not fit ----------------------------------------------------------------------------------------------


class NeverRegistered(Saga[Approval]):
    response_queue = "orders.replies"
    steps = (SyncStep("nothing", action=lambda data, step: None),)


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        (
            {"on_events": [starts(Approve, on=OrderApproved, data=lambda event: Approval(event.order_id))]},
            r"orchestrator 'orders' handles 'orders.approved', which is published to .audit.events. \(.*approvals.*\)"
            r": it would never come. Add 'orders.events' to the event's subscribers",
        ),
        ({"events_queue": None}, r"events start its sagas \(starts\(Approve, on=OrderPlaced.*give it an events_queue"),
        ({"on_events": []}, r"no event of its events_queue 'orders.events' would do anything"),
        ({"events_queue": "orders.replies"}, r"'orders.replies' is that of the sagas' commands or replies \(Approve"),
        ({"events_queue": "bank.commands"}, r"'bank.commands' is that of the sagas' commands or replies \(Approve"),
        (
            {"events_queue": "orders.receipts", "publishes": [OrderApproved]},
            "'orders.receipts' is that of the receipts for the events that it publishes",
        ),
    ],
)
def test_a_queue_of_events_that_does_not_fit_is_refused(how: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        orchestrator(**how)


def test_a_saga_that_is_not_registered_cannot_be_started_by_an_event() -> None:
    start = starts(NeverRegistered, on=OrderPlaced, data=to_approve)
    with pytest.raises(DefinitionError, match=r"NeverRegistered.*test_sagas_on_events.py.*add it to the sagas"):
        orchestrator(on_events=[start])


def test_one_event_cannot_start_the_same_saga_twice() -> None:
    with pytest.raises(DefinitionError, match="is there twice; one event starts a saga once"):
        orchestrator(on_events=[STARTS, starts(Approve, on=OrderPlaced, data=to_approve)])


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (lambda: Approval(1), r"must take one argument, the event, not \(\)"),
        (lambda event, context: Approval(1), r"must take one argument, the event, not \(event, context\)"),
        (lambda *, event: Approval(1), r"must take one argument"),
        (Approval(1), "data must be a function that takes the event"),
    ],
)
def test_what_makes_the_data_takes_the_event_and_nothing_else(data: Any, problem: str) -> None:
    with pytest.raises(DefinitionError, match=rf"starts\(Approve, on=OrderPlaced.*{problem}"):
        starts(Approve, on=OrderPlaced, data=data)


@pytest.mark.parametrize(
    "data",
    [
        lambda event: Approval(event.order_id),
        lambda event, amount=3: Approval(event.order_id, amount),
        partial(lambda amount, event: Approval(event.order_id, amount), 3),
        Approval,
    ],
)
def test_what_can_be_called_with_the_event_makes_the_data(data: Callable[[Any], Approval]) -> None:
    assert isinstance(starts(Approve, on=OrderPlaced, data=data), EventStart)


def test_a_function_of_another_event_is_refused_by_its_annotation() -> None:
    def of_approved(event: OrderApproved) -> Approval:
        return Approval(event.order_id)

    with pytest.raises(DefinitionError, match=r"data takes .*OrderApproved.*the event is OrderPlaced"):
        starts(Approve, on=OrderPlaced, data=of_approved)  # type: ignore[arg-type]  # and mypy sees it


def test_mypy_sees_that_the_data_are_not_those_of_the_saga() -> None:
    """The mark is needed, or mypy says that it is not: `warn_unused_ignores`."""

    def somebody_elses(event: OrderPlaced) -> OrderPlaced:
        return event

    starts(Approve, on=OrderPlaced, data=somebody_elses)  # type: ignore[arg-type]
    starts(ApproveFluently, on=OrderPlaced, data=somebody_elses)  # type: ignore[arg-type]


@pytest.mark.parametrize("saga", [Saga, Approval, "Approve"])
def test_what_is_no_saga_that_could_be_started_is_refused_with_its_place(saga: Any) -> None:
    said = r"starts\(\S+, \.\.\.\) \(\S*test_sagas_on_events.py:\d+\): it is no saga .*; name a subclass of Saga"
    with pytest.raises(DefinitionError, match=said):
        starts(saga, on=OrderPlaced, data=to_approve)


def test_what_is_no_event_and_what_is_no_saga_yet_are_refused() -> None:
    with pytest.raises(DefinitionError, match="Approval is no event"):
        starts(Approve, on=Approval, data=lambda data: data)
    unfinished: Any = SagaBuilder("Half", response_queue="replies", data=Approval).step("one").local(print)
    with pytest.raises(UncommittedSaga):
        starts(unfinished, on=OrderPlaced, data=to_approve)


def test_two_events_of_one_name_are_refused_though_one_only_starts_sagas() -> None:
    class Another(OrderPlaced):
        """Of the same name, about something else."""

    Event("shop.order_placed", source="shop", payload=Another, key="amount", subscribers=[EVENTS])
    with pytest.raises(DefinitionError, match=r"'shop.order_placed' is declared at"):
        orchestrator(on_events=[STARTS, starts(ApproveFluently, on=Another, data=to_approve)])
