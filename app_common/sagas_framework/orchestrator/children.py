"""A saga that is another's step: reading the commands by which it is asked for and undone, and finding its instance.

The child's instance is the memory: asked again, it answers again. Its id follows from its parent's, the step and the
attempt, so that no table says whose child it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sagas_framework.definition.graph import Definition
from sagas_framework.delivery.kept import kept_of
from sagas_framework.engine.protocol import Summons
from sagas_framework.engine.state import Asked, SagaStatus
from sagas_framework.orchestrator.instance import Arrival, Instance
from sagas_framework.storage.keeping import Kept
from sagas_framework.transport.delivery import Delivery
from sagas_framework.transport.wire import Unreadable, read_arguments
from sagas_framework.vocabulary.correlation import Correlation
from sagas_framework.vocabulary.identity import Direction, child_saga_id, is_saga_id
from sagas_framework.vocabulary.names import run_child_task_name, undo_child_task_name

MOST_ATTEMPTS_LOOKED_AT = 20
"""An attempt at a child is followed by another only when it has failed whole; so the latest are all that matter."""


@dataclass(frozen=True)
class Summoning(Arrival):
    """A command for a child. `candidates` are the ids that it may have, the latest attempt's first."""

    saga: str = ""
    data: Any = None
    candidates: tuple[str, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        return self.candidates

    def instance_of(self, known: Mapping[str, Instance], definition: Definition) -> Instance:
        """The child that this command is about, or a new one."""
        found = next((known[id_] for id_ in self.candidates if id_ in known), None)
        # One that was rolled back is not the attempt that is meant, not even when that is to be undone: its command may
        # still be on its way, and must find that it comes too late.
        if found is None or (found.id != self.saga_id and _has_failed(found)):
            return Instance.new(definition, self.saga_id, self.data)
        return found


def _has_failed(instance: Instance) -> bool:
    return instance.state.status is SagaStatus.FAILED


def child_tasks(definitions: Mapping[str, Definition]) -> dict[str, str]:
    """The tasks by which children are asked for and undone, and the saga that each is about."""
    children = {saga.name for definition in definitions.values() for saga in definition.children.values()}
    names = (run_child_task_name, undo_child_task_name)
    return {name(saga): saga for saga in sorted(children) for name in names}


def read_summons(delivery: Delivery, saga: str, now: float) -> Summoning | Kept:
    try:
        parent, payload = read_arguments(delivery.body, delivery.content_type)
    except Unreadable as error:
        return kept_of(delivery, str(error))
    place = delivery.correlation
    if place is None or place.reply_queue is None or place.saga != parent or not is_saga_id(parent):
        return kept_of(delivery, "it does not say which saga's step it is (no header of ours)", str(parent)[:100])
    attempt = _attempt(place, payload)
    if attempt is None:
        return kept_of(delivery, "it does not say which attempt is to be undone", parent)
    attempts = range(attempt, max(attempt - MOST_ATTEMPTS_LOOKED_AT, 0), -1)
    candidates = tuple(child_saga_id(parent, place.step, number) for number in attempts)
    entry = Summons(
        now,
        Asked(delivery.task, delivery.message_id, replace(place, again=False).to_header()),
        place.direction,
        # Not where it is merely asked again: what the child awaits is asked again by the child's own times.
        redelivered=delivery.redelivered or delivery.tried_before,
    )
    data = payload if place.direction is Direction.ACTION else {}
    return Summoning(candidates[0], entry, delivery, saga, data, candidates)


def _attempt(place: Correlation, payload: Any) -> int | None:
    if place.direction is Direction.ACTION:
        return place.attempt
    attempt = payload.get("attempt") if isinstance(payload, dict) else None
    return attempt if isinstance(attempt, int) and not isinstance(attempt, bool) and attempt > 0 else None
