"""What a service takes and what it sends, read from its wiring."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from sagas_framework.definition.graph import Definition, Work
from sagas_framework.errors import DefinitionError
from sagas_framework.orchestrator.orchestrator import Orchestrator
from sagas_framework.participant.participant import Participant
from sagas_framework.vocabulary.command import AnyCommand
from sagas_framework.vocabulary.identity import Direction

_KEY = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Use:
    """One step of one saga that sends a command. `reply_queue` is None where nobody awaits the answer."""

    saga: str
    step: str
    direction: Direction
    reply_queue: str | None

    def __str__(self) -> str:
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


def exchanges_of(application: Orchestrator | Participant) -> list[Exchange]:
    if isinstance(application, Orchestrator):
        return _sent_by(application.definitions.values())
    taken = ((taken.command, taken.reply_queue) for taken in application.takes())
    return [Exchange(command, "receive", own_reply_queue=queue) for command, queue in taken if command is not None]


def refuse_names(commands: Iterable[AnyCommand]) -> None:
    """Celery takes any name for a task. In a document it is a key, and AsyncAPI's are of these letters."""
    for command in commands:
        if not _KEY.fullmatch(command.name):
            raise DefinitionError(
                f"command {command.name!r} ({command.place}) cannot be in an AsyncAPI document: name it with letters "
                "(a-z, A-Z), digits, and ._- only"
            )


def _sent_by(definitions: Iterable[Definition]) -> list[Exchange]:
    uses: dict[str, list[Use]] = {}
    commands: dict[str, AnyCommand] = {}
    for definition in definitions:
        for command, use in _uses_in(definition):
            commands.setdefault(command.name, command)
            uses.setdefault(command.name, []).append(use)
    return [Exchange(commands[name], "send", tuple(uses[name])) for name in commands]


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
