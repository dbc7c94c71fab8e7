"""What all messages of an application must agree on, looked at once, at start.

Two declarations of one message are no mistake as long as they say the same: the same file may be imported under two
names, and a service may write down for itself what another one takes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from hashlib import sha256
from typing import Any

from sagas_framework.errors import ContradictoryMessages
from sagas_framework.vocabulary import codec
from sagas_framework.vocabulary.command import AnyCommand
from sagas_framework.vocabulary.event import AnyEvent
from sagas_framework.vocabulary.json_schema import ExactJsonSchema
from sagas_framework.vocabulary.names import (
    failure_task_name,
    run_child_task_name,
    success_task_name,
    undo_child_task_name,
)
from sagas_framework.vocabulary.usable import nodes_of, refuse_unusable

_WORDS = ("title", "description", "examples", "discriminator")
_DATA = ("default", "const", "enum", "required")  # values: what looks like a keyword in there is none
TO_ITSELF = (run_child_task_name(""), undo_child_task_name(""))
"""How the names of those commands begin that an orchestrator sends to its own reply queue."""


def refuse_contradictions(
    commands: Iterable[AnyCommand],
    *,
    events: Iterable[AnyEvent] = (),
    reply_queues: Mapping[str, str] | None = None,
    data: Mapping[str, Any] | None = None,
) -> None:
    """`commands` and `events`: all that an application takes and sends. `reply_queues`: the queues on which it waits
    for replies, and who does (`saga 'CreateOrderSaga'`). `data`: what else it stores or takes as JSON, by what that is
    (`data of saga 'CreateOrderSaga'`).

    Raises ContradictoryMessages or UnusableContract.
    """
    commands, events = list(commands), list(events)
    contracts = [*_contracts_of(commands), *_contracts_of_events(events), *(data or {}).items()]
    for what, contract in contracts:
        refuse_unusable(contract, what)
    _refuse_two_of_a_name(commands)
    _refuse_names_of_replies(commands)
    _refuse_two_events_of_a_name(events)
    _refuse_events_called_like_commands(events, commands)
    _refuse_shared_queues(commands, reply_queues or {})
    _refuse_two_classes_of_a_name(contracts)


def _contracts_of(commands: Iterable[AnyCommand]) -> Iterator[tuple[str, Any]]:
    for command in commands:
        for role, contract in (("payload", command.payload), ("response", command.response)):
            if contract is not None:
                yield f"{role} of {command.name!r} ({command.place})", contract


def _contracts_of_events(events: Iterable[AnyEvent]) -> Iterator[tuple[str, Any]]:
    for event in events:
        yield f"payload of event {event.name!r} ({event.place})", event.payload


# ---- contradictions -------------------------------------------------------------------------------------------------


def _refuse_two_of_a_name(commands: Iterable[AnyCommand]) -> None:
    first_of: dict[str, AnyCommand] = {}
    for command in commands:
        first = first_of.setdefault(command.name, command)
        if first == command:
            continue
        differences = [f"queue {first.queue!r} / {command.queue!r}"] if first.queue != command.queue else []
        for role in ("payload", "response"):
            one, other = getattr(first, role), getattr(command, role)
            if content_of(one) != content_of(other):
                differences.append(f"{role} {_name_of(one)} / {_name_of(other)}")
        if differences:
            raise ContradictoryMessages(
                f"the command {command.name!r} is declared at {first.place} and, differently, at {command.place}: "
                f"{', '.join(differences)}. Declare it once and import it, or give one of the two another name"
            )


def _refuse_two_events_of_a_name(events: Iterable[AnyEvent]) -> None:
    first_of: dict[str, AnyEvent] = {}
    for event in events:
        first = first_of.setdefault(event.name, event)
        differences = [
            f"{role} {getattr(first, role)!r} / {getattr(event, role)!r}"
            for role in ("source", "key", "subscribers")
            if getattr(first, role) != getattr(event, role)
        ]
        one: Any = first.payload
        other: Any = event.payload
        if content_of(one) != content_of(other):
            differences.append(f"payload {_name_of(one)} / {_name_of(other)}")
        if differences:
            raise ContradictoryMessages(
                f"the event {event.name!r} is declared at {first.place} and, differently, at {event.place}: "
                f"{', '.join(differences)}. Declare it once and import it, or give one of the two another name"
            )


def _refuse_events_called_like_commands(events: Iterable[AnyEvent], commands: Iterable[AnyCommand]) -> None:
    places = {
        name: command.place
        for command in commands
        for name in (command.name, success_task_name(command.name), failure_task_name(command.name))
    }
    for event in events:
        if event.name in places:
            raise ContradictoryMessages(
                f"the event {event.name!r} ({event.place}) is called like a command, or the reply to one "
                f"({places[event.name]}): who receives it could not tell the two apart. Give it another name"
            )


def _refuse_names_of_replies(commands: Iterable[AnyCommand]) -> None:
    by_name = {command.name: command for command in commands}
    for name, command in by_name.items():
        for reply in (success_task_name(name), failure_task_name(name)):
            if reply in by_name:
                raise ContradictoryMessages(
                    f"the command {reply!r} ({by_name[reply].place}) is called like a reply to {name!r} "
                    f"({command.place}): who receives it could not tell the two apart. Give it another name"
                )


def _refuse_shared_queues(commands: Iterable[AnyCommand], reply_queues: Mapping[str, str]) -> None:
    for command in commands:
        if command.queue in reply_queues and not command.name.startswith(TO_ITSELF):
            raise ContradictoryMessages(
                f"the queue {command.queue!r} is the reply queue of {reply_queues[command.queue]}, and the command "
                f"{command.name!r} ({command.place}) is sent to it: whichever worker takes it would throw away what is "
                "meant for the other. Give replies a queue of their own"
            )


def _refuse_two_classes_of_a_name(contracts: Iterable[tuple[str, Any]]) -> None:
    first_of: dict[str, tuple[Any, str]] = {}
    for what, contract in contracts:
        for _, node in nodes_of(contract):
            if node.get("type") != "dataclass":
                continue
            first, where = first_of.setdefault(_name_of(node["cls"]), (node["cls"], what))
            if first is not node["cls"] and content_of(first) != content_of(node["cls"]):
                raise ContradictoryMessages(
                    f"two different classes are called {_name_of(first)}: one in the {where}, the other in the {what}. "
                    "Give one of them another name, or import its module once only"
                )


def _name_of(contract: Any) -> str:
    return "None" if contract is None else f"{contract.__module__}.{contract.__qualname__}"


@cache
def content_of(contract: Any) -> Any:
    """What JSON it stands for, whatever it and the classes within it are called: its JSON Schema without words, and
    with what each class contains in place of its name."""
    if contract is None:
        return None
    schema = codec.adapter_of(contract).json_schema(schema_generator=ExactJsonSchema)
    definitions = schema.pop("$defs", {})
    contents = dict.fromkeys(definitions, "")
    for _ in range(codec.MAX_DEPTH if definitions else 0):  # each time one level deeper; no payload is deeper
        contents = {name: _digest(_without_words(inner, contents)) for name, inner in definitions.items()}
    return _without_words(schema, contents)


def _digest(schema: Any) -> str:
    return sha256(json.dumps(schema, sort_keys=True).encode()).hexdigest()


def _without_words(schema: Any, contents: Mapping[str, str], names: bool = False) -> Any:
    """`names`: the keys are the names of fields, not JSON Schema's own."""
    if isinstance(schema, list):
        return [_without_words(inner, contents) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    if names:
        return {name: _without_words(inner, contents) for name, inner in schema.items()}
    return {
        key: contents.get(value.removeprefix("#/$defs/"), value)
        if key == "$ref"
        else value
        if key in _DATA
        else _without_words(value, contents, names=key in ("properties", "patternProperties"))
        for key, value in schema.items()
        if key not in _WORDS
    }
