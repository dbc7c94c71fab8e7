"""A saga that is another's step: asked for by a command, remembered as an instance, its end is the reply."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
from sqlalchemy import Engine

from sagas_framework import (
    PIVOT,
    RETRIABLE,
    AsyncStep,
    Command,
    DefinitionError,
    Failure,
    FailureKind,
    Refusal,
    RetryPolicy,
    Saga,
    SagaFailed,
    SagaHandle,
    Sleep,
    StepContext,
    WaitForSignal,
    child_saga,
    send,
)
from sagas_framework.definition.checks import refuse_bad_children
from sagas_framework.definition.compiler import compile_saga
from sagas_framework.engine.protocol import Cancel, Retry, Signal
from sagas_framework.storage.schema import outbox
from sagas_framework.transport.wire import OutgoingMessage
from sagas_framework.vocabulary.identity import child_saga_id
from tests.support.orchestration import Bench, answer, delivery_of

PACK = Command("depot.pack", "depot.commands", dict)
UNPACK = Command("depot.unpack", "depot.commands", dict)
BILL = Command("bank.bill", "bank.commands", dict)


@dataclass
class Parcel:
    number: int
    packed: bool = False


@dataclass
class Order:
    number: int
    shipped: bool = False
    told: str = ""


def packed(parcel: Parcel, reply: Any, step: StepContext) -> None:
    parcel.packed = True


class ShipParcel(Saga[Parcel]):
    response_queue = "orders.replies"
    steps = (
        AsyncStep(
            "pack",
            PACK,
            action=lambda parcel, step: {"number": parcel.number},
            on_success=packed,
            retry=RetryPolicy(max_attempts=1),
            compensation=send(UNPACK, lambda parcel, step: {"number": parcel.number}),
        ),
    )


def parcel_of(order: Order, step: StepContext) -> Parcel:
    return Parcel(order.number)


def remember(order: Order, parcel: Parcel, step: StepContext) -> None:
    order.shipped = parcel.packed


def told(order: Order, failure: Failure, step: StepContext) -> None:
    order.told = failure.message


class PlaceOrder(Saga[Order]):
    response_queue = "orders.replies"
    steps = (
        child_saga("ship", ShipParcel, parcel_of, on_success=remember, on_failure=told),
        AsyncStep("bill", BILL, action=lambda order, step: {}),
    )


class PatientOrder(Saga[Order]):
    response_queue = "orders.replies"
    steps = (
        child_saga("ship", ShipParcel, parcel_of, retry=RetryPolicy(max_attempts=3, initial_delay_seconds=0.0)),
        AsyncStep("bill", BILL, action=lambda order, step: {}),
    )


class Troubled(Saga[Order]):
    """What happens meanwhile is a test's business."""

    response_queue = "orders.replies"
    meanwhile: ClassVar[Any] = None
    steps = (
        AsyncStep(
            "bill",
            BILL,
            action=lambda order, step: {},
            on_success=lambda order, reply, step: Troubled.meanwhile(order, reply, step),
        ),
    )


@pytest.fixture
def bench(engine: Engine) -> Bench:
    return Bench(engine, PlaceOrder, ShipParcel)


def begun(bench: Bench) -> tuple[str, OutgoingMessage, OutgoingMessage]:
    """The parent's id, its command for the child, and the child's first command."""
    parent = bench.started(PlaceOrder, Order(7))
    (run,) = bench.publisher.take()
    bench.handle(delivery_of(run))
    (pack,) = bench.publisher.take()
    return parent, run, pack


def shipped(bench: Bench) -> tuple[str, OutgoingMessage]:
    """The parent's id and its command after the child has succeeded."""
    parent, _, pack = begun(bench)
    bench.handle(answer(pack, {}))
    (said,) = bench.publisher.take()
    bench.handle(delivery_of(said))
    (bill,) = bench.publisher.take()
    return parent, bill


def test_a_child_is_an_instance_of_its_own_whose_end_is_its_parents_reply(bench: Bench) -> None:
    parent, bill = shipped(bench)
    child = child_saga_id(parent, "ship", 1)
    assert bench.status(child) == "succeeded"
    assert bench.row(child)["data"] == {"number": 7, "packed": True}
    assert bill.task == "bank.bill" and bench.row(parent)["data"]["shipped"] is True
    assert bench.kept() == []


def test_a_child_that_is_rolled_back_fails_its_parents_step(bench: Bench) -> None:
    parent, _, pack = begun(bench)
    bench.handle(answer(pack, Failure("NoBoxes", "no boxes left")))
    (said,) = bench.publisher.take()
    bench.handle(delivery_of(said))
    assert bench.status(child_saga_id(parent, "ship", 1)) == "failed"
    assert bench.status(parent) == "failed"
    assert bench.row(parent)["data"]["told"] == "no boxes left"


def test_compensating_the_step_undoes_a_child_that_has_succeeded(bench: Bench) -> None:
    parent, bill = shipped(bench)
    child = child_saga_id(parent, "ship", 1)
    bench.handle(answer(bill, Failure("NoMoney", "no money")))
    (undo,) = bench.publisher.take()
    assert undo.task == "sagas.undo_child.ShipParcel"
    bench.handle(delivery_of(undo))
    (unpack,) = bench.publisher.take()
    assert unpack.task == "depot.unpack" and bench.status(child) == "compensating"
    bench.handle(answer(unpack, {}))
    (said,) = bench.publisher.take()
    assert bench.status(child) == "failed"
    bench.handle(delivery_of(said))
    assert bench.status(parent) == "failed"
    assert bench.kept() == []


def test_cancelling_a_parent_stops_its_child_without_waiting_for_its_end(bench: Bench) -> None:
    parent, _, pack = begun(bench)
    bench.act(parent, Cancel(1.0, "changed their mind"))
    (undo,) = bench.due_now(parent)
    bench.handle(delivery_of(undo))
    child = child_saga_id(parent, "ship", 1)
    assert bench.status(child) == "compensating"
    assert bench.publisher.take() == []  # packing is not answered yet: it is undone when it is
    bench.handle(answer(pack, {}))
    (unpack,) = bench.publisher.take()
    bench.handle(answer(unpack, {}))
    (said,) = bench.publisher.take()
    bench.handle(delivery_of(said))
    assert (bench.status(child), bench.status(parent)) == ("failed", "failed")


def test_a_command_that_comes_again_finds_the_child_and_starts_no_other(bench: Bench) -> None:
    _, run, pack = begun(bench)
    bench.handle(delivery_of(run))
    assert bench.publisher.take() == []
    bench.handle(delivery_of(run, redelivered=True))  # its process may have died before it sent anything
    assert [message.id for message in bench.publisher.take()] == [pack.id]
    bench.handle(answer(pack, {}))
    (said,) = bench.publisher.take()
    bench.handle(delivery_of(run))  # asked again after the end: the answer was lost
    assert [message.id for message in bench.publisher.take()] == [said.id]
    bench.handle(delivery_of(said), delivery_of(said))
    assert [message.task for message in bench.publisher.take()] == ["bank.bill"]


def test_two_copies_in_one_batch_make_one_child(bench: Bench) -> None:
    bench.started(PlaceOrder, Order(7))
    (run,) = bench.publisher.take()
    bench.handle(delivery_of(run), delivery_of(run))
    assert [message.task for message in bench.publisher.take()] == ["depot.pack"]


def test_a_child_that_is_undone_before_it_was_asked_for_never_begins(bench: Bench) -> None:
    parent = bench.started(PlaceOrder, Order(7))
    (run,) = bench.publisher.take()
    bench.act(parent, Cancel(1.0, "changed their mind"))
    (undo,) = bench.due_now(parent)
    bench.handle(delivery_of(undo))
    (said,) = bench.publisher.take()
    bench.handle(delivery_of(run))  # late
    assert bench.publisher.take() == []
    bench.handle(delivery_of(said))
    assert bench.status(parent) == "failed"
    assert bench.status(child_saga_id(parent, "ship", 1)) == "failed"


def test_a_second_attempt_that_is_undone_before_it_was_asked_for_never_begins_either(engine: Engine) -> None:
    bench = Bench(engine, PatientOrder, ShipParcel)
    parent = bench.started(PatientOrder, Order(7))
    (run,) = bench.publisher.take()
    bench.handle(delivery_of(run))
    (pack,) = bench.publisher.take()
    busy = Failure("Busy", "not now", kind=FailureKind.TRANSIENT)
    bench.handle(answer(pack, busy))
    (said,) = bench.publisher.take()
    bench.handle(delivery_of(said))
    *_, second = bench.due_now(parent)
    bench.act(parent, Cancel(1.0, "changed their mind"))
    *_, undo = bench.due_now(parent)
    bench.handle(delivery_of(undo))
    (said,) = bench.publisher.take()
    bench.handle(delivery_of(said))
    bench.handle(delivery_of(second, redelivered=True))  # what a dead worker held
    assert bench.publisher.take() == []
    assert bench.status(parent) == bench.status(child_saga_id(parent, "ship", 2)) == "failed"


def test_asking_again_for_a_child_sends_nothing_of_the_childs_again(bench: Bench) -> None:
    _, run, _ = begun(bench)
    bench.handle(delivery_of(replace(run, correlation={**(run.correlation or {}), "again": True})))
    assert bench.publisher.take() == []


def test_a_command_for_a_child_that_kills_its_workers_leaves_its_parent_to_the_operator(bench: Bench) -> None:
    parent = bench.started(PlaceOrder, Order(7))
    (run,) = bench.publisher.take()
    work = bench.replies.apply([], [delivery_of(run, redelivered=True)])
    assert work.outgoing == [] and [row["message_id"] for row in bench.kept()] == [run.id]
    assert bench.status(parent) == "needs_attention"
    bench.act(parent, Retry(1.0, "the bug is mended"))
    assert [message.id for message in bench.due_now(parent)] == [run.id]


@pytest.mark.parametrize("asked_to", ["run", "undo"])
def test_who_comes_second_to_make_a_child_finds_the_firsts(postgresql_engine: Engine, asked_to: str) -> None:
    """In a batch that runs with savepoints, in which another saga's reply is handled as if nothing had happened."""
    first, second = (Bench(postgresql_engine, PlaceOrder, ShipParcel, Troubled) for _ in range(2))
    parent = first.started(PlaceOrder, Order(7))
    (run,) = first.publisher.take()
    command = run
    if asked_to == "undo":
        first.act(parent, Cancel(1.0, "changed their mind"))
        *_, command = first.due_now(parent)
    troubled = first.started(Troubled, Order(8))
    (bill,) = first.publisher.take()
    tries = iter(("the fast one, whose batch is run again with savepoints", "the careful one"))

    def meanwhile(order: Order, reply: Any, step: StepContext) -> None:
        if next(tries) == "the careful one":  # which has looked for the child already
            second.handle(delivery_of(run))
        raise Refusal("no")

    Troubled.meanwhile = meanwhile
    first.handle(answer(bill, {}), delivery_of(command))
    assert first.kept() == [] and first.status(troubled) == "failed"
    assert first.status(child_saga_id(parent, "ship", 1)) == ("running" if asked_to == "run" else "compensating")


def test_whoever_waits_for_a_child_that_never_began_is_told_so_and_finds_no_data(bench: Bench) -> None:
    parent = bench.started(PlaceOrder, Order(7))
    bench.publisher.take()
    bench.act(parent, Cancel(1.0, "changed their mind"))
    (undo,) = bench.due_now(parent)
    bench.handle(delivery_of(undo))
    child: SagaHandle[Any] = SagaHandle(child_saga_id(parent, "ship", 1), False, bench.engine, bench.definitions)
    execution = child.wait(raise_on_failure=False)
    assert (execution.succeeded, execution.data, execution.failed_step) == (False, None, None)
    with pytest.raises(SagaFailed, match="before this one had begun"):
        child.wait()


def test_a_command_for_a_child_that_does_not_say_whose_it_is_is_kept(bench: Bench) -> None:
    bench.started(PlaceOrder, Order(7))
    (run,) = bench.publisher.take()
    stranger = OutgoingMessage(run.queue, run.task, run.id, run.body, None, None)
    bench.handle(delivery_of(stranger))
    assert [row["message_id"] for row in bench.kept()] == [run.id]
    assert bench.publisher.take() == []


@pytest.mark.parametrize("last", [WaitForSignal("collected"), Sleep("dry", 1.0)], ids=["a signal", "time"])
def test_an_end_that_no_message_led_to_is_told_by_the_outbox(engine: Engine, last: Any) -> None:
    """Design rule 5 is of no help: there is no message left whose redelivery would tell it."""

    class Parcels(Saga[Parcel]):
        response_queue = "orders.replies"
        steps = (last,)

    class Orders(Saga[Order]):
        response_queue = "orders.replies"
        steps = (child_saga("ship", Parcels, parcel_of),)

    bench = Bench(engine, Orders, Parcels)
    parent = bench.started(Orders, Order(7))
    (run,) = bench.publisher.take()
    bench.handle(delivery_of(run))
    child = child_saga_id(parent, "ship", 1)
    if isinstance(last, Sleep):
        assert bench.due_now(child) == []
    else:
        bench.act(child, Signal(1.0, "collected", {}))
    assert bench.status(child) == "succeeded"
    with engine.connect() as connection:
        (said,) = [OutgoingMessage(**row.message) for row in connection.execute(outbox.select())]
    bench.handle(delivery_of(said))
    assert bench.status(parent) == "succeeded"


class FinalSaga(Saga[Parcel]):
    response_queue = "orders.replies"
    steps = (AsyncStep("pack", PACK, action=lambda parcel, step: {}, kind=PIVOT),)


@pytest.mark.parametrize(
    ("its_steps", "registered", "why"),
    [
        ([child_saga("ship", ShipParcel, parcel_of)], [], "not registered"),
        ([child_saga("ship", FinalSaga, parcel_of)], [FinalSaga], "cannot be undone from its pivot step 'pack'"),
        ([child_saga("ship", FinalSaga, parcel_of, kind=RETRIABLE)], [FinalSaga], None),
        ([child_saga("ship", FinalSaga, parcel_of, kind=PIVOT)], [FinalSaga], None),
        ([child_saga("ship", FinalSaga, parcel_of, compensation=lambda order, step: None)], [FinalSaga], None),
    ],
)
def test_a_child_runs_on_the_same_orchestrator_and_can_be_undone_where_its_step_can(
    its_steps: list[Any], registered: list[type[Saga[Any]]], why: str | None
) -> None:
    class Parent(Saga[Order]):
        response_queue = "orders.replies"
        steps = its_steps

    known = {saga.name: compile_saga(saga) for saga in registered}
    if why is None:
        refuse_bad_children(compile_saga(Parent), known)
    else:
        with pytest.raises(DefinitionError, match=why):
            refuse_bad_children(compile_saga(Parent), known)
