"""An event starts a saga in the transaction that handles it: once, with what its leading steps do, or not at all."""

from collections.abc import Iterator
from threading import Barrier

import pytest
from sqlalchemy import Connection, Engine, event, select, update

from sagas_framework import Operations, Orchestrator, Saga, StepContext, create_orchestrator, starts
from sagas_framework.operations.event_views import Standing
from sagas_framework.operations.events import Events
from sagas_framework.storage.schema import event_inbox, history, instances
from sagas_framework.transport.publisher import Publisher
from sagas_framework.vocabulary.event import event_of
from tests.support import approvals
from tests.support.approvals import (
    BOTH_FORMS,
    EVENTS,
    Approval,
    Approve,
    ApproveFluently,
    Desk,
    OrderApproved,
    OrderForgotten,
    OrderPlaced,
    OrderRejected,
    delivered,
    to_approve,
)
from tests.support.orchestration import answer, watching
from tests.support.threads import in_threads

BOTH = [starts(Approve, on=OrderPlaced, data=to_approve), starts(ApproveFluently, on=OrderPlaced, data=to_approve)]


@pytest.fixture(autouse=True)
def no_hooks_left() -> Iterator[None]:
    approvals.hooks.clear()
    yield
    approvals.hooks.clear()


@pytest.fixture
def desk(engine: Engine) -> Desk:
    return Desk(engine, BOTH[:1])


def refuse_thirteen(data: Approval, step: StepContext) -> None:
    if data.order_id == 13:
        raise ValueError("thirteen brings bad luck")


# ---- started, once --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("saga", BOTH_FORMS, ids=lambda saga: saga.name)
def test_an_event_starts_a_saga_of_either_form_with_the_data_that_its_function_makes(
    engine: Engine, saga: type[Saga[Approval]]
) -> None:
    desk = Desk(engine, [starts(saga, on=OrderPlaced, data=to_approve)])
    assert desk.take(delivered(OrderPlaced(7, 30))) == ["bank.charge"]
    assert desk.sagas_there() == [(saga.name, "running")]
    assert desk.data() == [{"order_id": 7, "amount": 30}]
    assert desk.notes() == ["order 7"]


def test_its_first_commands_leave_with_the_receipt_after_the_commit(desk: Desk) -> None:
    sent_before: list[int] = []

    def look(connection: Connection) -> None:
        sent_before.append(len(desk.bench.publisher.published))

    event.listen(desk.engine, "commit", look)
    desk.batches.handle([delivered(OrderPlaced(7))])
    event.remove(desk.engine, "commit", look)
    assert set(sent_before) == {0}
    assert [message.task for message in desk.bench.publisher.take()] == ["bank.charge", "sagas.receipts"]


def test_a_saga_that_an_event_has_started_goes_on_to_its_end_like_any_other(desk: Desk) -> None:
    desk.batches.handle([delivered(OrderPlaced(7))])
    charge = desk.bench.publisher.take()[0]
    desk.bench.handle(answer(charge))
    assert desk.sagas_there() == [("Approve", "succeeded")]
    assert desk.told() == [("orders.approved", 1)]


@pytest.mark.parametrize("saga", BOTH_FORMS, ids=lambda saga: saga.name)
def test_its_history_and_its_trace_say_which_event_has_started_it(engine: Engine, saga: type[Saga[Approval]]) -> None:
    desk = Desk(engine, [starts(saga, on=OrderPlaced, data=to_approve)])
    desk.take(delivered(OrderPlaced(7), id_="one"))
    operations = Operations(desk.bench)
    [listed] = operations.list()
    begun = operations.show(listed.id).history[0]
    named = {"event": event_of(OrderPlaced).name, "message_id": "one", "aggregate": "order_id=7"}
    assert (begun.event, begun.detail) == ("started", named)
    assert operations.trace(listed.id).splitlines()[0] == "❗️ begin saga (order placed, order_id=7)"


def test_the_due_loop_sends_what_a_worker_that_died_did_not(desk: Desk) -> None:
    desk.bench.publisher.broken = True
    desk.batches.handle([delivered(OrderPlaced(7), id_="one")])  # the receipt is not sent either: it comes again
    desk.bench.publisher.broken = False
    assert desk.take(delivered(OrderPlaced(7), id_="one")) == []
    (saga_id,) = desk.rows(instances.c.id)[0]
    assert [message.task for message in desk.bench.due_now(saga_id)] == ["bank.charge"]


def test_an_event_that_comes_again_starts_nothing_again(desk: Desk) -> None:
    again = [delivered(OrderPlaced(7), id_="one") for _ in range(3)]
    assert desk.take(again[0], again[1]) == ["bank.charge"]
    assert desk.take(again[2]) == []
    assert desk.notes() == ["order 7"]


def test_two_workers_that_get_the_same_event_start_one_saga(desk: Desk) -> None:
    other, both_are_there = Desk(desk.engine, BOTH[:1]), Barrier(2)

    def take(mine: Desk) -> None:
        both_are_there.wait()
        mine.take(delivered(OrderPlaced(7), id_="one"))

    in_threads([lambda: take(desk), lambda: take(other)])
    assert desk.sagas_there() == [("Approve", "running")]


def test_one_event_may_start_several_sagas(engine: Engine) -> None:
    desk = Desk(engine, BOTH)
    assert desk.take(delivered(OrderPlaced(7))) == ["bank.charge", "bank.charge"]
    assert sorted(desk.sagas_there()) == [("Approve", "running"), ("ApproveFluently", "running")]


def test_the_events_of_one_order_start_sagas_in_their_order_however_they_come(desk: Desk) -> None:
    assert desk.take(delivered(OrderPlaced(7, 2), 2), delivered(OrderPlaced(7, 3), 3)) == []
    assert desk.take(delivered(OrderPlaced(7, 1), 1)) == ["bank.charge"] * 3
    amounts = {saga_id: data["amount"] for saga_id, data in desk.rows(instances.c.id, instances.c.data)}
    # Not by their ids: those of one millisecond are in no order.
    begun = [saga_id for saga_id, what in desk.rows(history.c.saga_id, history.c.event) if what == "started"]
    assert [amounts[saga_id] for saga_id in begun] == [1, 2, 3]


def test_many_events_start_as_many_sagas_in_one_transaction(desk: Desk) -> None:
    with watching(desk.engine) as seen:
        desk.batches.apply([delivered(OrderPlaced(number)) for number in range(20)], [])
    assert seen.commits == 1 and len(seen.writing_to("INTO saga_instance")) == 1
    assert len(desk.sagas_there()) == 20


# ---- a leading step that raises -------------------------------------------------------------------------------------


def test_a_leading_step_that_raises_fails_its_event_and_leaves_nothing_of_its_saga(desk: Desk) -> None:
    approvals.hooks["write_down"] = refuse_thirteen
    assert desk.take(delivered(OrderPlaced(13)), delivered(OrderPlaced(7))) == ["bank.charge"]
    assert desk.notes() == ["order 7"]
    assert [data["order_id"] for data in desk.data()] == [7]
    assert desk.waiting() == [(1, False, "thirteen brings bad luck")]


def test_it_is_tried_again_and_waits_for_the_operator_in_the_end(desk: Desk) -> None:
    approvals.hooks["write_down"] = refuse_thirteen
    desk.take(delivered(OrderPlaced(13)))
    desk.due_events()
    assert desk.waiting() == [(1, True, "thirteen brings bad luck")]
    desk.take(delivered(OrderPlaced(13, 2), 2))
    assert [parked for _, parked, _ in desk.waiting()] == [True, False], "the next of the same order waits behind it"
    assert desk.sagas_there() == []


def test_it_starts_the_saga_once_it_no_longer_raises(desk: Desk) -> None:
    approvals.hooks["write_down"] = refuse_thirteen
    desk.take(delivered(OrderPlaced(13)))
    approvals.hooks.clear()
    desk.due_events()
    assert [message.task for message in desk.bench.publisher.take() if message.task != "sagas.receipts"] == [
        "bank.charge"
    ]
    assert (desk.sagas_there(), desk.waiting()) == ([("Approve", "running")], [])


def test_if_one_of_two_sagas_cannot_start_neither_does(engine: Engine) -> None:
    def refuse_the_fluent_one(data: Approval, step: StepContext) -> None:
        if len(seen) % 2:
            raise ValueError("not this one")
        seen.append(step.saga_id)

    seen: list[str] = []
    approvals.hooks["write_down"] = refuse_the_fluent_one
    desk = Desk(engine, BOTH)
    assert desk.take(delivered(OrderPlaced(7))) == []
    assert (desk.sagas_there(), desk.notes()) == ([], [])
    assert desk.waiting() == [(1, False, "not this one")]


def test_what_the_data_function_raises_or_makes_wrongly_fails_the_event(engine: Engine) -> None:
    def no_data(event: OrderPlaced) -> Approval:
        if event.order_id == 13:
            raise KeyError("no such customer")
        return None  # type: ignore[return-value]

    desk = Desk(engine, [starts(Approve, on=OrderPlaced, data=no_data)])
    assert desk.take(delivered(OrderPlaced(13)), delivered(OrderPlaced(7))) == []
    first, second = (why for _, _, why in desk.waiting())
    assert "no such customer" in first and "data of Approve" in second


# ---- what a leading step publishes ----------------------------------------------------------------------------------


def test_what_a_leading_step_publishes_leaves_after_the_same_commit(desk: Desk) -> None:
    approvals.hooks["write_down"] = lambda data, step: step.publish(OrderApproved(data.order_id))
    assert desk.take(delivered(OrderPlaced(7))) == ["orders.approved", "bank.charge"]
    assert desk.told() == [("orders.approved", 1)]


def test_what_a_leading_step_publishes_that_raises_is_not_told(desk: Desk) -> None:
    def tell_and_refuse(data: Approval, step: StepContext) -> None:
        step.publish(OrderApproved(data.order_id))
        refuse_thirteen(data, step)

    approvals.hooks["write_down"] = tell_and_refuse
    assert desk.take(delivered(OrderPlaced(13)), delivered(OrderPlaced(7))) == ["orders.approved", "bank.charge"]
    assert desk.told() == [("orders.approved", 1)]


def test_a_leading_step_that_publishes_what_is_not_declared_fails_the_event_and_says_so(desk: Desk) -> None:
    approvals.hooks["write_down"] = lambda data, step: step.publish(OrderForgotten(data.order_id))
    assert desk.take(delivered(OrderPlaced(7))) == []
    ((_, _, why),) = desk.waiting()
    assert "Add OrderForgotten to `publishes`" in why


# ---- the orchestrator as it is wired, and its operator --------------------------------------------------------------


@pytest.fixture
def wired(engine: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Orchestrator]:
    monkeypatch.setattr(Publisher, "publish", lambda self, messages: None)
    orchestrator = create_orchestrator(
        "orders",
        broker="memory://",
        database_url=database_url,
        sagas=[Approve],
        publishes=[OrderApproved, OrderRejected],
        events_queue=EVENTS,
        on_events=BOTH[:1],
    )
    yield orchestrator
    orchestrator.engine.dispose()


def test_the_operator_sees_the_event_that_could_start_no_saga_and_replays_it(wired: Orchestrator) -> None:
    assert wired.subscription is not None
    approvals.hooks["write_down"] = lambda data, step: step.publish(OrderForgotten(data.order_id))
    assert wired.subscription.take_unknown(delivered(OrderPlaced(7)))
    take_again = wired.subscription.due_events()
    events = Events(wired)
    while (held := events.waiting()[0]).standing is not Standing.PARKED:
        with wired.engine.begin() as connection:
            connection.execute(update(event_inbox).values(wake_at=0.0))
        take_again()
    assert held.event == "shop.order_placed" and "Add OrderForgotten to `publishes`" in str(held.failure)
    approvals.hooks.clear()
    events.replay(held.id)
    take_again()
    assert events.waiting() == []
    with wired.engine.connect() as connection:
        assert list(connection.scalars(select(instances.c.saga))) == ["Approve"]


def test_an_event_that_starts_nothing_here_is_tried_again_where_the_operator_sees_it(wired: Orchestrator) -> None:
    assert wired.subscription is not None
    assert wired.subscription.take_unknown(delivered(OrderForgotten(7)))
    (held,) = Events(wired).waiting()
    assert held.standing is Standing.TO_BE_TRIED and "handles no such event (but shop.order_placed)" in str(
        held.failure
    )
