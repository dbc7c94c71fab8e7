"""Sagas far larger than anybody should write: they end, and each step's cost grows with the saga no more than that."""

from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Engine

from sagas_framework import AsyncStep, Command, Failure, Saga, StepContext, parallel, send
from sagas_framework.transport.celery_app import BATCH_PREFETCH
from sagas_framework.transport.wire import OutgoingMessage
from tests.support.orchestration import Bench, answer

pytestmark = pytest.mark.slow
STEPS = 1_000
PACK = Command("depot.pack", "depot.commands", dict)
UNPACK = Command("depot.unpack", "depot.commands", dict)


@dataclass
class Load:
    number: int


def what(load: Load, step: StepContext) -> dict[str, Any]:
    return {"what": step.step}


STEPS_OF_A_LOAD = tuple(
    AsyncStep(f"crate_{number}", PACK, what, compensation=send(UNPACK, what)) for number in range(STEPS)
)


class InARow(Saga[Load]):
    response_queue = "loads"
    steps = STEPS_OF_A_LOAD


class SideBySide(Saga[Load]):
    response_queue = "loads"
    steps = (parallel(*STEPS_OF_A_LOAD),)


def answer_all(bench: Bench, commands: list[OutgoingMessage], refused: str | None = None) -> None:
    """In batches as large as a worker's."""
    replies = [
        answer(command, Failure("TooHeavy", "no more") if (command.correlation or {})["step"] == refused else {})
        for command in commands
    ]
    for first in range(0, len(replies), BATCH_PREFETCH):
        bench.handle(*replies[first : first + BATCH_PREFETCH])


def test_a_thousand_steps_in_a_row_are_done_one_after_the_other(engine: Engine) -> None:
    bench = Bench(engine, InARow)
    saga_id = bench.started(InARow, Load(1))
    for number in range(STEPS):
        (command,) = bench.publisher.take()
        assert (command.correlation or {})["step"] == f"crate_{number}"
        answer_all(bench, [command])
    assert bench.status(saga_id) == "succeeded"


def test_a_thousand_branches_are_joined(engine: Engine) -> None:
    bench = Bench(engine, SideBySide)
    saga_id = bench.started(SideBySide, Load(1))
    commands = bench.publisher.take()
    assert len(commands) == STEPS
    answer_all(bench, commands)
    assert bench.status(saga_id) == "succeeded"


def test_a_thousand_branches_are_undone_when_one_is_refused(engine: Engine) -> None:
    bench = Bench(engine, SideBySide)
    saga_id = bench.started(SideBySide, Load(1))
    answer_all(bench, bench.publisher.take(), refused="crate_7")
    undoing = bench.publisher.take()
    assert {command.task for command in undoing} == {"depot.unpack"} and len(undoing) == STEPS - 1
    answer_all(bench, undoing)
    assert (bench.status(saga_id), bench.row(saga_id)["failed_step"]) == ("failed", "crate_7")
