"""Names in a document are keys, of few letters; Celery takes any name for a task, and brokers any for a queue."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from sagas_framework.errors import DefinitionError
from sagas_framework.vocabulary.command import AnyCommand
from sagas_framework.vocabulary.event import AnyEvent

_KEY = re.compile(r"[A-Za-z0-9._-]+")


def cleaned(name: str) -> str:
    """As AsyncAPI wants the names of components, and as pydantic makes them."""
    return re.sub(r"[^a-zA-Z0-9._-]", "_", name)


def refuse_names(commands: Iterable[AnyCommand], events: Iterable[AnyEvent]) -> None:
    """Those of tasks are the names of messages, and are not changed."""
    declared: list[tuple[str, AnyCommand | AnyEvent]] = [("command", command) for command in commands]
    declared += [("event", event) for event in events]
    for kind, message in declared:
        if not _KEY.fullmatch(message.name):
            raise DefinitionError(
                f"{kind} {message.name!r} ({message.place}) cannot be in an AsyncAPI document: name it with letters "
                "(a-z, A-Z), digits, and ._- only"
            )


def refuse_shared_names(operations: Iterable[str]) -> None:
    """Each would hide the other."""
    shared = sorted(name for name, count in Counter(operations).items() if count > 1)
    if shared:
        raise DefinitionError(
            f"two operations of an AsyncAPI document would be called {shared[0]!r}: their messages and queues differ "
            "in signs that a document cannot tell apart; rename one of them"
        )
