"""A business refusal and a system error, told apart all the way from the reply to the operator."""

import json

import pytest
from sqlalchemy import Engine, select

from sagas_framework import (
    AsyncStep,
    Failure,
    FailureKind,
    Operations,
    Refusal,
    RetryPolicy,
    Saga,
    StepContext,
    SyncStep,
    TransientError,
)
from sagas_framework.operations import readable_trace
from sagas_framework.storage.schema import history
from sagas_framework.transport.wire import OutgoingMessage
from tests.support.orchestration import Bench, answer, raw_delivery
from tests.support.sagas import CREATE, OrderData, Ticket, ask

seen: list[FailureKind] = []
raising: dict[str, Exception] = {}
"""What a test wants a function of the saga to raise, by the function's name."""


def remember_ticket(order: OrderData, ticket: Ticket, step: StepContext) -> None:
    if "remember_ticket" in raising:
        raise raising["remember_ticket"]


def check(order: OrderData, step: StepContext) -> None:
    if "check" in raising:
        raise raising["check"]


def note_kind(order: OrderData, failure: Failure, step: StepContext) -> None:
    seen.append(failure.kind)


class PickySaga(Saga[OrderData]):
    response_queue = "order_replies"
    steps = (
        AsyncStep("create", CREATE, action=ask, on_success=remember_ticket, on_failure=note_kind),
        SyncStep("check", action=check, retry=RetryPolicy(max_attempts=1)),
    )

    def on_saga_failure(self, data: OrderData, failure: Failure, step: StepContext) -> None:
        seen.append(failure.kind)


@pytest.fixture
def bench(engine: Engine) -> Bench:
    seen.clear()
    raising.clear()
    return Bench(engine, PickySaga)


def started(bench: Bench) -> tuple[str, OutgoingMessage]:
    saga_id = bench.started(PickySaga, OrderData(1))
    (command,) = bench.publisher.take()
    return saga_id, command


@pytest.mark.rule(2, 18)
@pytest.mark.parametrize(
    ("kind", "told"), [(FailureKind.REFUSED, "no money"), (FailureKind.ERROR, "Declined: no money")]
)
def test_a_refusal_and_an_error_are_told_apart_by_callbacks_the_row_the_history_and_the_trace(
    bench: Bench, kind: FailureKind, told: str
) -> None:
    saga_id, command = started(bench)
    bench.handle(answer(command, Failure("Declined", "no money", kind=kind)))
    assert seen == [kind, kind]  # on_failure, on_saga_failure
    assert bench.row(saga_id)["failure_details"]["kind"] == kind
    failure = bench.state(saga_id).failure
    assert failure is not None and failure.kind is kind and bench.state(saga_id).steps["create"].failure == failure
    with bench.engine.connect() as connection:
        details = connection.scalars(select(history.c.detail).where(history.c.saga_id == saga_id))
        kinds = [detail["failure"]["kind"] for detail in details if detail and "failure" in detail]
    assert kinds == [kind] * 3  # the reply, the step, the turning
    shown = Operations(bench).show(saga_id)
    assert shown.steps[0].failure is not None and shown.steps[0].failure["kind"] == kind
    assert shown.situation == f"create: {told}"
    assert f"❌ end saga ({told})" in readable_trace(shown)


@pytest.mark.rule(2)
def test_the_failure_of_a_stranger_is_an_error(bench: Bench) -> None:
    saga_id, command = started(bench)
    body = json.dumps([[saga_id, Failure("No", "no").to_wire()], {}, {}])
    bench.handle(raw_delivery(body, "kitchen.create.response.failure", parent_id=command.id))
    assert bench.row(saga_id)["failure_details"]["kind"] == FailureKind.ERROR


@pytest.mark.parametrize(
    ("error", "kind"),
    [(Refusal("no"), "refused"), (TransientError("later"), "transient"), (KeyError(), "error")],
)
@pytest.mark.parametrize("function", ["remember_ticket", "check"])
def test_what_a_sagas_own_functions_raise_has_its_kind_too(
    bench: Bench, function: str, error: Exception, kind: str
) -> None:
    saga_id, command = started(bench)
    raising[function] = error
    bench.handle(answer(command, {"ticket_id": 7}))
    assert bench.status(saga_id) == "failed"
    assert bench.row(saga_id)["failure_details"]["kind"] == kind
