"""The barrier before a handler: one row of memory per step, taken first by action and compensation alike.

Pure decisions: given what is remembered, is the handler to run, or is there an answer already?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sagas_framework.storage.memory import Memory
from sagas_framework.vocabulary import json_text
from sagas_framework.vocabulary.command import MAX_MESSAGE_CHARACTERS, Failure, FailureKind
from sagas_framework.vocabulary.identity import Direction

SUCCEEDED = "succeeded"
FAILED = "failed"
DEFERRED = "deferred"
UNNEEDED = "unneeded"

_COMPENSATED_FIRST = Failure(
    type="AlreadyCompensated",
    message="this step was compensated before its action arrived; it is refused from then on, in any attempt",
    kind=FailureKind.REFUSED,
)


@dataclass(frozen=True)
class Answer:
    """What goes back to the orchestrator."""

    value: Any = None
    failure: Failure | None = None


@dataclass(frozen=True)
class Decision:
    """With an `answer`, or a reason for `silence`, the handler does not run. `changes` are to be remembered first."""

    answer: Answer | None = None
    changes: dict[str, Any] | None = None
    silence: str | None = None


RUN = Decision()
PARKED = Decision(silence="it waits with the operator")
WAITING = Decision(silence="its answer comes later")


def decide(memory: Memory, direction: Direction, attempt: int, *, unconditional: bool = False) -> Decision:
    """`unconditional`: this compensation's action was never ours, so that our not knowing it means nothing."""
    if memory.parked == direction.value and not _answered(memory, direction):
        return PARKED  # only that way: a parked action never succeeded, and can be compensated
    if direction is Direction.ACTION:
        return _decide_action(memory, attempt)
    return _decide_compensation(memory, attempt, unconditional)


def _answered(memory: Memory, direction: Direction) -> bool:
    return (memory.outcome if direction is Direction.ACTION else memory.undo_outcome) is not None


def _decide_action(memory: Memory, attempt: int) -> Decision:
    if memory.undo_outcome in (SUCCEEDED, UNNEEDED):
        return Decision(Answer(failure=_COMPENSATED_FIRST))
    if memory.outcome == SUCCEEDED:  # in whatever attempt: a later one asks for what is already there
        return Decision(Answer(memory.reply))
    if memory.outcome == DEFERRED:
        return WAITING
    if memory.outcome == FAILED and attempt <= memory.attempt:
        return Decision(Answer(failure=Failure.from_json(memory.failure)))
    return RUN


def _decide_compensation(memory: Memory, attempt: int, unconditional: bool) -> Decision:
    if memory.undo_outcome in (SUCCEEDED, UNNEEDED):
        return Decision(Answer(memory.undo_reply))
    if memory.outcome not in (SUCCEEDED, DEFERRED) and not unconditional:
        return Decision(Answer(None), {"undo_attempt": attempt, "undo_outcome": UNNEEDED})
    if memory.undo_outcome == FAILED and attempt <= memory.undo_attempt:
        return Decision(Answer(failure=Failure.from_json(memory.undo_failure)))
    return RUN


def changes_of(direction: Direction, attempt: int, answer: Answer) -> dict[str, Any]:
    """What is to be remembered of an attempt that has come to its answer."""
    prefix = "" if direction is Direction.ACTION else "undo_"
    return {
        f"{prefix}attempt": attempt,
        f"{prefix}outcome": SUCCEEDED if answer.failure is None else FAILED,
        f"{prefix}reply": answer.value,
        f"{prefix}failure": answer.failure.to_json() if answer.failure else None,
    }


def changes_of_deferring(memory: Memory, attempt: int, address: Any) -> dict[str, Any]:
    """What is to be remembered of an action that is answered later, and each time that it is asked again: it is the
    newest attempt that is going to be answered. `address`: where to."""
    if attempt < memory.attempt:
        return {}
    return {"attempt": attempt, "outcome": DEFERRED, "reply": address, "failure": None}


def reply_to_undo(memory: Memory) -> Any:
    """What a compensation is told that its action answered."""
    return memory.reply if memory.outcome == SUCCEEDED else None


def refusal_of_later_answer(memory: Memory) -> str | None:
    """Why an answer that comes later is not taken; None: it is."""
    if memory.undo_outcome is not None:
        return "it was compensated meanwhile"
    if memory.outcome == DEFERRED:
        return None
    if memory.outcome is None:
        return "its handler has not returned ANSWER_LATER"
    failure = None if memory.failure is None else Failure.from_json(memory.failure)
    given = json_text.dumps(memory.reply) if failure is None else f"{failure.type}: {failure.message}"
    return f"it was answered already, with {given[:MAX_MESSAGE_CHARACTERS]}"
