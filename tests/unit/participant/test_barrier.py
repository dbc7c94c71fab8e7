"""The barrier's decisions, as a table: what is remembered, what comes, what happens."""

from dataclasses import replace

import pytest

from sagas_framework import Failure, FailureKind
from sagas_framework.participant import barrier
from sagas_framework.participant.barrier import (
    Answer,
    changes_of,
    changes_of_deferring,
    decide,
    refusal_of_later_answer,
    reply_to_undo,
)
from sagas_framework.storage.memory import Memory
from sagas_framework.vocabulary.identity import Direction

DO, UNDO = Direction.ACTION, Direction.COMPENSATION
NO = Failure("No", "no", kind=FailureKind.REFUSED)
NEW = Memory()
DONE = Memory(attempt=1, outcome="succeeded", reply={"id": 1})
REFUSED = Memory(attempt=2, outcome="failed", failure=NO.to_json())
BUSY = replace(REFUSED, failure=replace(NO, kind=FailureKind.TRANSIENT).to_json())
OF_OLD = replace(REFUSED, failure=NO.to_wire())
UNDONE = replace(DONE, undo_attempt=1, undo_outcome="succeeded", undo_reply={"gone": True})
UNNEEDED = Memory(undo_attempt=1, undo_outcome="unneeded")
NOT_UNDONE = replace(DONE, undo_attempt=2, undo_outcome="failed", undo_failure=BUSY.failure)
PARKED = Memory(parked="action")
DEFERRED = Memory(attempt=2, outcome="deferred", reply={"message_id": "m"})
TAKEN_BACK = replace(DEFERRED, undo_attempt=1, undo_outcome="succeeded")


@pytest.mark.rule(12, 13, 14)
@pytest.mark.parametrize(
    ("remembered", "direction", "attempt", "expected"),
    [
        (NEW, DO, 1, "run"),
        (DONE, DO, 1, "success {'id': 1}"),
        (DONE, DO, 9, "success {'id': 1}"),
        (REFUSED, DO, 1, "refused No"),
        (REFUSED, DO, 2, "refused No"),
        (REFUSED, DO, 3, "run"),
        (OF_OLD, DO, 2, "error No"),
        (BUSY, DO, 2, "transient No"),
        (BUSY, DO, 3, "run"),
        (UNDONE, DO, 1, "refused AlreadyCompensated"),
        (UNDONE, DO, 9, "refused AlreadyCompensated"),
        (UNNEEDED, DO, 1, "refused AlreadyCompensated"),
        (NOT_UNDONE, DO, 1, "success {'id': 1}"),
        (NEW, UNDO, 1, "unneeded"),
        (REFUSED, UNDO, 1, "unneeded"),
        (BUSY, UNDO, 1, "unneeded"),
        (UNNEEDED, UNDO, 2, "success None"),
        (DONE, UNDO, 1, "run"),
        (UNDONE, UNDO, 1, "success {'gone': True}"),
        (UNDONE, UNDO, 5, "success {'gone': True}"),
        (NOT_UNDONE, UNDO, 2, "transient No"),
        (NOT_UNDONE, UNDO, 3, "run"),
        (PARKED, DO, 1, "parked"),
        (PARKED, UNDO, 1, "unneeded"),
        (replace(DONE, parked="compensation"), DO, 1, "success {'id': 1}"),
        (replace(DONE, parked="compensation"), UNDO, 1, "parked"),
        (DEFERRED, DO, 1, "waiting"),
        (DEFERRED, DO, 2, "waiting"),
        (DEFERRED, DO, 3, "waiting"),
        (DEFERRED, UNDO, 1, "run"),
        (replace(DEFERRED, parked="action"), DO, 2, "waiting"),
        (TAKEN_BACK, DO, 2, "refused AlreadyCompensated"),
        (TAKEN_BACK, UNDO, 1, "success None"),
    ],
)
def test_what_is_remembered_decides(remembered: Memory, direction: Direction, attempt: int, expected: str) -> None:
    assert said(remembered, direction, attempt) == expected


@pytest.mark.rule(14)
@pytest.mark.parametrize(
    ("remembered", "expected"),
    [(NEW, "run"), (UNNEEDED, "success None"), (UNDONE, "success {'gone': True}"), (NOT_UNDONE, "transient No")],
)
def test_an_unconditional_compensation_runs_although_its_action_is_unknown(remembered: Memory, expected: str) -> None:
    assert said(remembered, UNDO, 1, unconditional=True) == expected


@pytest.mark.parametrize("direction", [DO, UNDO])
@pytest.mark.parametrize(
    "answer",
    [
        Answer({"id": 7}),
        *(Answer(failure=Failure("No", "no", kind=kind)) for kind in FailureKind),
    ],
)
def test_an_answer_that_is_remembered_is_what_a_duplicate_gets(direction: Direction, answer: Answer) -> None:
    remembered = replace(NEW if direction is DO else DONE, **changes_of(direction, 3, answer))
    assert decide(remembered, direction, 3).answer == answer


# ---- answers that come later ----------------------------------------------------------------------------------------


@pytest.mark.rule(12)
@pytest.mark.parametrize(("attempt", "answered"), [(1, 2), (2, 2), (3, 3)])
def test_of_the_attempts_of_an_action_that_is_answered_later_the_newest_is_answered(
    attempt: int, answered: int
) -> None:
    again = replace(DEFERRED, **changes_of_deferring(DEFERRED, attempt, {"message_id": f"of attempt {attempt}"}))
    assert again.attempt == answered
    assert again.reply["message_id"] == ("m" if attempt < 2 else f"of attempt {attempt}")


@pytest.mark.rule(14)
@pytest.mark.parametrize(
    ("remembered", "reply"),
    [(DONE, {"id": 1}), (NOT_UNDONE, {"id": 1}), (DEFERRED, None), (REFUSED, None), (NEW, None)],
)
def test_a_compensation_is_told_what_was_answered_and_nothing_else(remembered: Memory, reply: object) -> None:
    assert reply_to_undo(remembered) == reply


@pytest.mark.rule(14)
@pytest.mark.parametrize(
    ("remembered", "reason"),
    [
        (DEFERRED, None),
        (NEW, "not returned ANSWER_LATER"),
        (PARKED, "not returned ANSWER_LATER"),
        (DONE, 'answered already, with {"id":1}'),
        (REFUSED, "answered already, with No: no"),
        (TAKEN_BACK, "compensated meanwhile"),
        (replace(TAKEN_BACK, undo_outcome="failed", undo_failure=NO.to_json()), "compensated meanwhile"),
        (UNDONE, "compensated meanwhile"),
        (UNNEEDED, "compensated meanwhile"),
    ],
)
def test_a_later_answer_is_taken_only_by_a_step_that_still_waits_for_it(remembered: Memory, reason: str | None) -> None:
    said = refusal_of_later_answer(remembered)
    assert said is None if reason is None else said is not None and reason in said


def said(remembered: Memory, direction: Direction, attempt: int, *, unconditional: bool = False) -> str:
    decision = decide(remembered, direction, attempt, unconditional=unconditional)
    if decision.answer is None:
        return {None: "run", barrier.PARKED.silence: "parked", barrier.WAITING.silence: "waiting"}[decision.silence]
    if decision.changes:
        assert decision.changes["undo_outcome"] == "unneeded" and decision.answer == Answer(None)
        return "unneeded"
    failure = decision.answer.failure
    return f"{failure.kind} {failure.type}" if failure else f"success {decision.answer.value}"
