"""Waiting for the end of a saga: its row is looked at again and again, less and less often."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic

from sqlalchemy import Engine, RowMapping

from sagas_framework.definition.graph import Definition
from sagas_framework.definition.saga import Data
from sagas_framework.engine.child import NEVER_BEGUN
from sagas_framework.engine.state import SagaStatus
from sagas_framework.errors import DefinitionError, SagaFailed, WaitTimedOut, in_one_line
from sagas_framework.orchestrator.calls import refuse_inside_a_step
from sagas_framework.storage import views
from sagas_framework.storage.database import reading
from sagas_framework.storage.weather import is_bad_weather
from sagas_framework.vocabulary import codec
from sagas_framework.vocabulary.command import Failure

DEFAULT_WAIT_SECONDS = 30.0
# A pause is at most half of what was waited before it, and the first one: so much does waiting add to a saga's time.
FIRST_PAUSE_SECONDS = 0.005
PAUSE_GROWTH = 1.5
LONGEST_PAUSE_SECONDS = 0.25

_ENDED = (SagaStatus.SUCCEEDED, SagaStatus.FAILED)


@dataclass(frozen=True)
class Execution(Generic[Data]):
    """A saga that has ended: how, with which data, and, where it was rolled back, at which step and why.

    `created` is the handle's: False when its idempotency key had started it before. `data` is None for one saga only,
    which nobody here has started: another's step, undone before it had begun.
    """

    saga_id: str
    status: SagaStatus
    data: Data
    failure: Failure | None
    failed_step: str | None
    created: bool

    @property
    def succeeded(self) -> bool:
        return self.status is SagaStatus.SUCCEEDED


@dataclass(frozen=True)
class SagaHandle(Generic[Data]):
    """A started saga. `created` is False when the idempotency key had started it before."""

    saga_id: str
    created: bool
    _engine: Engine = field(repr=False, compare=False)
    _definitions: Mapping[str, Definition] = field(repr=False, compare=False)

    def wait(self, timeout_seconds: float = DEFAULT_WAIT_SECONDS, *, raise_on_failure: bool = True) -> Execution[Data]:
        """The finished execution; raises WaitTimedOut when the saga has not ended by then. It goes on all the same.

        A saga that was rolled back raises SagaFailed, or is returned like one that succeeded. Commit the transaction
        that started the saga before you wait. Inside a step it is refused: the worker that waits would have to end it.
        """
        refuse_inside_a_step("handle.wait()")
        row = _when_ended(self._engine, self.saga_id, timeout_seconds)
        execution = _execution(row, self._definitions, self.created)
        if raise_on_failure and not execution.succeeded:
            raise SagaFailed(row["saga"], self.saga_id, execution.failed_step, _reason(execution.failure), execution)
        return execution


def _when_ended(engine: Engine, saga_id: str, timeout_seconds: float) -> RowMapping:
    deadline = time.monotonic() + timeout_seconds
    pauses = _pauses()
    while True:
        weather: Exception | None = None
        try:
            row = _look(engine, saga_id)
            if row is not None and row["status"] in _ENDED:
                return row
            situation = _situation(saga_id, row)
        except Exception as error:
            if not is_bad_weather(error):
                raise
            weather, situation = error, f"its database cannot be read: {in_one_line(error)}"
        seconds_left = deadline - time.monotonic()
        if seconds_left <= 0:
            raise WaitTimedOut(saga_id, timeout_seconds, situation) from weather
        time.sleep(min(next(pauses), seconds_left))  # no connection is held meanwhile


def _pauses() -> Iterator[float]:
    seconds = FIRST_PAUSE_SECONDS
    while True:
        yield seconds
        seconds = min(seconds * PAUSE_GROWTH, LONGEST_PAUSE_SECONDS)


def _look(engine: Engine, saga_id: str) -> RowMapping | None:
    """Only what says where the saga stands; its whole row once it has ended."""
    with reading(engine) as connection:
        row = views.standing(connection, saga_id)
        return views.saga(connection, saga_id) if row is not None and row["status"] in _ENDED else row


def _situation(saga_id: str, row: RowMapping | None) -> str:
    if row is None:
        return "it is not in the database: was the transaction that started it committed?"
    doing = "needs attention" if row["status"] == SagaStatus.NEEDS_ATTENTION else f"is {row['status']}"
    where = f" at step {row['current_step']!r}" if row["current_step"] else ""
    paused = " and paused by an operator" if row["paused"] else ""
    return f"it {doing}{where}{paused}; `sagas show {saga_id}` says more"


def _reason(failure: Failure | None) -> str:
    if failure is None:
        return "no reason given"
    return f"{failure.type}: {failure.message}" if failure.message else failure.type


def _execution(row: RowMapping, definitions: Mapping[str, Definition], created: bool) -> Execution[Any]:
    definition = definitions.get(row["saga"])
    if definition is None:
        raise DefinitionError("it is not registered with the orchestrator that waits for it", saga=row["saga"])
    failure = None if row["failure_details"] is None else Failure.from_json(row["failure_details"])
    what = f"data of saga {row['id']}"
    return Execution(
        saga_id=row["id"],
        status=SagaStatus(row["status"]),
        data=None if failure == NEVER_BEGUN else codec.decode(definition.data_type, row["data"], what),
        failure=failure,
        failed_step=row["failed_step"],
        created=created,
    )
