"""The commands that a service takes and sends, read from its wiring."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from sagas_framework.definition.graph import Definition, Work
from sagas_framework.events.subscriber import Subscriber
from sagas_framework.orchestrator.orchestrator import Orchestrator
from sagas_framework.participant.participant import Participant
from sagas_framework.process_managers.consumer import ProcessManagerConsumer
from sagas_framework.vocabulary.command import AnyCommand
from sagas_framework.vocabulary.identity import Direction
from sagas_framework.vocabulary.names import answers_queue_name

Application = Orchestrator | Participant | Subscriber


@dataclass(frozen=True)
class Use:
    """One step of one saga that sends a command; a process manager has no steps. `reply_queue` is None where nobody
    awaits the answer."""

    saga: str
    step: str | None
    direction: Direction
    reply_queue: str | None

    def __str__(self) -> str:
        if self.step is None:
            return f"sent by process manager `{self.saga}`"
        what = "sent by" if self.direction is Direction.ACTION else "compensates"
        return f"{what} step `{self.step}` of `{self.saga}`" + ("" if self.reply_queue else ", and not awaited")


@dataclass(frozen=True)
class Exchange:
    """A command with its replies, as one service sees them. `uses`: the steps for which it is sent. `own_reply_queue`:
    where whoever takes it answers a command that names no queue."""

    command: AnyCommand
    action: Literal["send", "receive"]
    uses: tuple[Use, ...] = ()
    own_reply_queue: str | None = None

    @property
    def reply_queues(self) -> list[str]:
        """Where the answers are awaited; none where they are not, or where the command itself says where."""
        return sorted({use.reply_queue for use in self.uses if use.reply_queue is not None})

    @property
    def answered(self) -> bool:
        return self.action == "receive" or bool(self.reply_queues)


def exchanges_of(application: Application) -> list[Exchange]:
    if isinstance(application, Orchestrator):
        return _sent(use for one in application.definitions.values() for use in _uses_in(one))
    if isinstance(application, Subscriber):
        return _sent(_uses_by_process_managers(application))
    taken = ((taken.command, taken.reply_queue) for taken in application.takes())
    return [Exchange(command, "receive", own_reply_queue=queue) for command, queue in taken if command is not None]


def _sent(sent: Iterable[tuple[AnyCommand, Use]]) -> list[Exchange]:
    uses: dict[str, list[Use]] = {}
    commands: dict[str, AnyCommand] = {}
    for command, use in sent:
        commands.setdefault(command.name, command)
        uses.setdefault(command.name, []).append(use)
    return [Exchange(commands[name], "send", tuple(uses[name])) for name in commands]


def _uses_by_process_managers(subscriber: Subscriber) -> Iterator[tuple[AnyCommand, Use]]:
    reply_queue = answers_queue_name(subscriber.name)
    for consumer in subscriber.consumers:
        if isinstance(consumer, ProcessManagerConsumer):
            for command in consumer.commands:
                yield command, Use(consumer.description.name, None, Direction.ACTION, reply_queue)


def _uses_in(definition: Definition) -> Iterator[tuple[AnyCommand, Use]]:
    """Without the commands by which an orchestrator speaks to itself: those of its child sagas."""
    for node in definition.nodes.values():
        if node.command is not None and not node.is_child:
            awaited = node.work is not Work.DISPATCH
            yield node.command, _use(definition, node.name, Direction.ACTION, awaited)
        if node.undo_command is not None and not node.stopped_by_undoing:
            yield node.undo_command, _use(definition, node.name, Direction.COMPENSATION, node.compensation.awaited)


def _use(definition: Definition, step: str, direction: Direction, awaited: bool) -> Use:
    return Use(definition.name, step, direction, definition.response_queue if awaited else None)
