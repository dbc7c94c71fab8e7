"""What time does to a saga: when it is due, and what happens then."""

from __future__ import annotations

from sagas_framework.definition.graph import Definition, Node
from sagas_framework.engine import backward, forward
from sagas_framework.engine.state import Phase, SagaState, StepState
from sagas_framework.engine.walk import Walk
from sagas_framework.vocabulary.command import Failure

LONGEST_ASK_AGAIN_FACTOR = 10
"""Asking again doubles its interval up to this many times the step's own."""

MOST_ASKS_SAVED = 3
"""So often asking again is left out because of a crowded queue. What was never sent, or was lost, waits there for ever
otherwise; and giving up counts only from an ask."""


def next_due(definition: Definition, state: SagaState) -> float | None:
    """When this saga must be looked at although nothing arrives for it; None: never."""
    if state.ended or state.paused:
        return None
    times = [] if state.deadline_at is None or state.failing else [state.deadline_at]
    for name, step in state.steps.items():
        times += [at for at in (step.retry_at, step.until) if at is not None]
        if step.awaited is not None and not step.stuck:
            times.append(step.awaited.ask_at)
            give_up_at = _give_up_at(definition.nodes[name], step)
            if give_up_at is not None:
                times.append(give_up_at)
    return min(times, default=None)


def _give_up_at(node: Node, step: StepState) -> float | None:
    if step.phase is not Phase.ACTING or not node.may_give_up or step.awaited is None:
        return None
    confirmed_at = step.awaited.confirmed_at
    return None if confirmed_at is None else confirmed_at + node.give_up_after_seconds


def look_at_the_clock(walk: Walk, crowded: frozenset[str]) -> None:
    """What the time asks for: another try, asking again, giving up, the deadline."""
    if walk.saga.paused or walk.saga.ended:
        return
    for name in list(walk.steps):
        step = walk.step(name)  # as it is by now: giving one up may have ended another's wait
        if step.retry_at is not None and step.retry_at <= walk.now:
            try_again(walk, name)
        elif step.awaited is not None and not step.stuck:
            _ask_again_or_give_up(walk, name, step, crowded)
        elif step.until is not None and step.until <= walk.now:
            forward.waited_long_enough(walk, name)
    deadline_at = walk.saga.deadline_at
    if deadline_at is not None and deadline_at <= walk.now and not walk.saga.failing:
        _deadline_passed(walk)


def try_again(walk: Walk, name: str) -> None:
    if walk.step(name).phase is Phase.UNDOING:
        backward.call_compensation(walk, name)
    else:
        forward.call_action(walk, name)


def _ask_again_or_give_up(walk: Walk, name: str, step: StepState, crowded: frozenset[str]) -> None:
    node, awaited = walk.node(name), step.awaited
    assert awaited is not None
    give_up_at = _give_up_at(node, step)
    if give_up_at is not None and give_up_at <= walk.now:
        failure = Failure(type="NoReply", message=f"no reply after {awaited.asks + 1} asks; it may have been done")
        walk.record("gave_up", name, step.attempt, failure=failure.to_json())
        walk.settle(name, Phase.UNKNOWN, failure=failure)
        backward.turn(walk, name, failure)
    elif awaited.unsent:
        ask_at = walk.now + node.ask_again_after_seconds
        walk.put(name, awaited=awaited._replace(unsent=False, ask_at=ask_at))
        walk.publish(name)
    elif awaited.ask_at <= walk.now:
        factor = min(2**awaited.asks, LONGEST_ASK_AGAIN_FACTOR)
        ask_at = walk.now + node.ask_again_after_seconds * factor
        walk.put(name, awaited=awaited._replace(asks=awaited.asks + 1, ask_at=ask_at))
        in_a_crowd = crowded & {_queue_of(node, step), walk.definition.response_queue}
        if in_a_crowd and awaited.asks < MOST_ASKS_SAVED:
            return
        walk.record("asked_again", name, step.attempt, asks=awaited.asks + 1)
        walk.publish(name, again=True)


def _queue_of(node: Node, step: StepState) -> str | None:
    """Where the awaited command was sent."""
    command = node.undo_command if step.phase is Phase.UNDOING else node.command
    return None if command is None else command.queue


def _deadline_passed(walk: Walk) -> None:
    """It stays set while the saga is undone: where a pivot that was in flight takes it forward after all, it counts."""
    walk.record("deadline_passed", walk.saga.current_step)
    if walk.past_no_return():
        walk.change(deadline_at=None, overdue=True)
    else:
        seconds = walk.definition.deadline_seconds
        failure = Failure("DeadlineExceeded", f"the saga did not end within {seconds} seconds")
        backward.fail(walk, walk.saga.current_step, failure)


def remember_confirmed(walk: Walk, message_ids: frozenset[str]) -> None:
    """Giving up counts from the first time that the broker confirmed asking again."""
    for name, step in list(walk.steps.items()):
        awaited = step.awaited
        if awaited is not None and awaited.confirmed_at is None and awaited.message_id in message_ids:
            walk.put(name, awaited=awaited._replace(confirmed_at=walk.now))
