"""What a saga publishes leaves with the commit of the step that says it, once, or not at all."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, event, insert
from sqlalchemy.orm import Session

from sagas_framework import Failure, Saga, StepContext
from sagas_framework.engine.protocol import Retry
from sagas_framework.errors import DefinitionError
from tests.support import approvals
from tests.support.approvals import (
    AUDIT,
    BOTH_FORMS,
    Approval,
    Approve,
    Desk,
    OrderApproved,
    OrderForgotten,
)
from tests.support.orchestration import answer
from tests.support.sagas import orders


@pytest.fixture(autouse=True)
def no_hooks_left() -> Iterator[None]:
    approvals.hooks.clear()
    yield
    approvals.hooks.clear()


@pytest.fixture
def desk(engine: Engine) -> Desk:
    return Desk(engine)


both_forms = pytest.mark.parametrize("saga", BOTH_FORMS, ids=lambda saga: saga.name)


def raise_it(data: Approval, step: StepContext) -> None:
    raise ValueError("not today")


def tell(data: Approval, step: StepContext) -> None:
    step.publish(OrderApproved(data.order_id))


def forget(data: Approval, step: StepContext) -> None:
    step.publish(OrderForgotten(data.order_id))


# ---- the end of a saga ----------------------------------------------------------------------------------------------


@both_forms
def test_a_saga_tells_of_its_success_with_its_last_commit(desk: Desk, saga: type[Saga[Approval]]) -> None:
    saga_id = desk.bench.started(saga, Approval(7))
    (charge,) = desk.bench.publisher.take()
    assert desk.told() == []
    desk.bench.handle(answer(charge))
    assert desk.bench.status(saga_id) == "succeeded"
    assert desk.told() == [("orders.approved", 1)]
    desk.relay()
    (sent,) = desk.bench.publisher.take()
    assert (sent.queue, sent.task, sent.correlation) == (
        AUDIT,
        "orders.approved",
        {"source": "orders", "aggregate": "order_id=7", "number": 1},
    )
    assert '"order_id":7' in sent.body


@both_forms
def test_a_saga_tells_of_its_failure_and_why(desk: Desk, saga: type[Saga[Approval]]) -> None:
    saga_id = desk.bench.started(saga, Approval(7))
    (charge,) = desk.bench.publisher.take()
    desk.bench.handle(answer(charge, Failure("NoMoney", "the card is empty")))
    assert desk.bench.status(saga_id) == "failed"
    assert desk.told() == [("orders.rejected", 1)]
    desk.relay()
    assert "the card is empty" in desk.bench.publisher.take()[0].body


def test_an_end_that_is_not_committed_tells_nothing_and_its_repetition_tells_it_once(desk: Desk) -> None:
    saga_id = desk.bench.started(Approve, Approval(7))
    (charge,) = desk.bench.publisher.take()

    def refuse(connection: Connection) -> None:
        raise RuntimeError("power cut")

    event.listen(desk.engine, "commit", refuse)
    with pytest.raises(RuntimeError, match="power cut"):
        desk.bench.handle(answer(charge))
    event.remove(desk.engine, "commit", refuse)
    assert desk.bench.status(saga_id) == "running" and desk.told() == []
    desk.bench.handle(answer(charge, redelivered=True))
    desk.bench.handle(answer(charge, redelivered=True))
    assert desk.told() == [("orders.approved", 1)]


@both_forms
@pytest.mark.parametrize("hook", ["tell_success", "tell_failure"])
def test_a_hook_that_raises_after_it_has_published_tells_nothing_until_the_operators_retry(
    desk: Desk, saga: type[Saga[Approval]], hook: str
) -> None:
    approvals.hooks[hook] = raise_it
    saga_id = desk.bench.started(saga, Approval(7))
    (charge,) = desk.bench.publisher.take()
    desk.bench.handle(answer(charge, Failure("NoMoney", "empty") if hook == "tell_failure" else None))
    assert desk.bench.status(saga_id) == "needs_attention" and desk.told() == []
    desk.bench.act(saga_id, Retry(1.0, "let us see"))
    assert desk.bench.status(saga_id) == "needs_attention" and desk.told() == []
    approvals.hooks.clear()
    desk.bench.act(saga_id, Retry(2.0, "mended"))
    expected = {"tell_success": ("succeeded", "orders.approved"), "tell_failure": ("failed", "orders.rejected")}[hook]
    assert (desk.bench.status(saga_id), *desk.told()) == (expected[0], (expected[1], 1))


def test_a_hook_that_raises_takes_no_number_from_the_sagas_that_end_beside_it(desk: Desk) -> None:
    """All are about one order: a number that is missing would hold up its subscriber for ever."""
    ids = [desk.bench.started(Approve, Approval(7)) for _ in range(3)]
    charges = desk.bench.publisher.take()
    approvals.hooks["tell_success"] = lambda data, step: raise_it(data, step) if step.saga_id == ids[1] else None
    desk.bench.handle(*(answer(charge) for charge in charges))
    assert [desk.bench.status(id_) for id_ in ids] == ["succeeded", "needs_attention", "succeeded"]
    assert desk.told() == [("orders.approved", 1), ("orders.approved", 2)]


# ---- any local step -------------------------------------------------------------------------------------------------


@both_forms
def test_a_local_step_tells_with_its_own_commit(desk: Desk, saga: type[Saga[Approval]]) -> None:
    approvals.hooks["settle"] = tell
    desk.bench.started(saga, Approval(7))
    desk.bench.handle(answer(desk.bench.publisher.take()[0]))
    assert desk.told() == [("orders.approved", 1), ("orders.approved", 2)]


def test_a_local_step_that_raises_has_told_nothing(desk: Desk) -> None:
    def tell_and_raise(data: Approval, step: StepContext) -> None:
        tell(data, step)
        raise_it(data, step)

    approvals.hooks["settle"] = tell_and_raise
    saga_id = desk.bench.started(Approve, Approval(7))
    desk.bench.handle(answer(desk.bench.publisher.take()[0]))
    assert desk.bench.status(saga_id) == "failed"
    assert desk.told() == [("orders.rejected", 1)]


# ---- what is not declared -------------------------------------------------------------------------------------------


def test_an_undeclared_event_fails_the_step_that_publishes_it_and_says_what_to_do(desk: Desk) -> None:
    approvals.hooks["settle"] = forget
    saga_id = desk.bench.started(Approve, Approval(7))
    desk.bench.handle(answer(desk.bench.publisher.take()[0]))
    row = desk.bench.row(saga_id)
    assert (row["status"], row["failed_step"]) == ("failed", "settle")
    message = row["failure_details"]["message"]
    assert "'orders.forgotten' is not among the events that this service says it publishes" in message
    assert "(orders.approved, orders.rejected)" in message and "Add OrderForgotten to `publishes`" in message


def test_an_undeclared_event_stops_the_saga_whose_hook_publishes_it(desk: Desk) -> None:
    approvals.hooks["tell_success"] = forget
    saga_id = desk.bench.started(Approve, Approval(7))
    desk.bench.handle(answer(desk.bench.publisher.take()[0]))
    assert desk.bench.status(saga_id) == "needs_attention" and desk.told() == []
    assert "Add OrderForgotten to `publishes`" in str(desk.bench.row(saga_id))


def test_an_orchestrator_that_publishes_nothing_says_so(engine: Engine) -> None:
    desk = Desk(engine, publishes=())
    saga_id = desk.bench.started(Approve, Approval(7))
    desk.bench.handle(answer(desk.bench.publisher.take()[0]))
    assert desk.bench.status(saga_id) == "needs_attention"
    assert "give create_orchestrator publishes=[...]" in str(desk.bench.row(saga_id))


def test_who_starts_a_saga_whose_leading_step_publishes_what_is_not_declared_is_told(desk: Desk) -> None:
    approvals.hooks["write_down"] = forget
    with pytest.raises(DefinitionError, match="Add OrderForgotten to `publishes`"):
        desk.bench.started(Approve, Approval(7))


# ---- the leading local steps of start() -----------------------------------------------------------------------------


def test_a_leading_step_tells_in_the_transaction_of_whoever_starts_the_saga(desk: Desk) -> None:
    approvals.hooks["write_down"] = tell
    with Session(desk.engine) as session:
        desk.bench.start(Approve, Approval(7), session)
        session.rollback()
    assert (desk.told(), desk.notes(), desk.sagas_there()) == ([], [], [])
    with Session(desk.engine) as session, session.begin():
        desk.bench.start(Approve, Approval(7), session)
    assert (desk.told(), desk.notes()) == ([("orders.approved", 1)], ["order 7"])
    desk.relay()
    assert [message.task for message in desk.bench.publisher.take()] == ["bank.charge", "orders.approved"]


def test_a_leading_step_that_raises_takes_its_event_along_though_the_caller_commits_the_rest(desk: Desk) -> None:
    def tell_and_raise(data: Approval, step: StepContext) -> None:
        tell(data, step)
        raise_it(data, step)

    approvals.hooks["write_down"] = tell_and_raise
    with Session(desk.engine) as session, session.begin():
        session.execute(insert(orders).values(note="the caller's"))
        with pytest.raises(ValueError, match="not today"):
            desk.bench.start(Approve, Approval(7), session)
    assert (desk.told(), desk.notes(), desk.sagas_there()) == ([], ["the caller's"], [])


def test_a_repeated_start_tells_nothing_again(desk: Desk) -> None:
    approvals.hooks["write_down"] = tell
    assert desk.bench.started(Approve, Approval(7), "key") == desk.bench.started(Approve, Approval(7), "key")
    assert desk.told() == [("orders.approved", 1)]
