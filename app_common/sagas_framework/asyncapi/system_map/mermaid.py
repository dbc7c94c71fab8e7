"""The map as Mermaid text, which GitHub and many editors draw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sagas_framework.asyncapi.document import Document
from sagas_framework.asyncapi.system_map.model import Flow, Service, SystemMap
from sagas_framework.asyncapi.system_map.reading import system_map
from sagas_framework.drawing.mermaid import label, spoken

_CLASSES = {
    "orchestrator": "fill:#e4eefb,stroke:#1456a8,color:#0d3566",
    "participant": "fill:#f4f4f2,stroke:#8b949c,color:#3a4148",
    "subscriber": "fill:#eef6ee,stroke:#17693f,color:#123d27",
    "messages": "fill:#ffffff,stroke:#b7bdc3,color:#3a4148",
    "events": "fill:#ffffff,stroke:#17693f,color:#3a4148,stroke-dasharray:6 4",
    "disputed": "fill:#ffffff,stroke:#a6261d,color:#3a4148",
    "hole": "fill:#fbe8e5,stroke:#a6261d,color:#5c1510,stroke-dasharray:4 3",
}


def to_mermaid(documents: Sequence[Document]) -> str:
    """A flowchart; what goes from one service to another stands in a node between them, which cuts no line.

    Nodes have numbers for ids, so that any name will do.
    """
    found = system_map(documents)
    told = spoken("The services and their messages", found.summary, "services")
    return "\n".join(["flowchart LR", *(f"    {line}" for line in (*told, *_lines(found))), ""])


def _lines(found: SystemMap) -> Iterator[str]:
    members: dict[str, list[str]] = {}
    for service in found.services:
        members.setdefault(_looks_of(service), []).append(_node(service))
        yield f"{_node(service)}[{label(service.title, service.role)}]"
    for number, flows in enumerate(found.pairs):
        first, card, told = flows[0], f"c{number}", [line for flow in flows for line in _told(flow)]
        disputed = any(flow.disputed for flow in flows)
        if first.hole:
            told.append(f"⚠ {first.hole}")
        plain = "events" if first.are_events else "messages"
        members.setdefault("hole" if first.hole else "disputed" if disputed else plain, []).append(card)
        out, on = ("-.-", "-.->") if first.are_events else ("---", "-->")
        yield f"{card}({label(*told)})"
        if first.sender:
            yield f"{_node(first.sender)} {out} {card}"
        if first.receiver:
            yield f"{card} {on} {_node(first.receiver)}"
    for name, nodes in members.items():
        yield f"classDef {name} {_CLASSES[name]}"
        yield f"class {','.join(nodes)} {name}"


def _looks_of(service: Service) -> str:
    if service.sends:
        return "orchestrator"
    return "subscriber" if service.handles and not service.receives else "participant"


def _node(service: Service) -> str:
    return f"s{service.number}"


def _told(flow: Flow) -> Iterator[str]:
    """In short lines: Mermaid breaks long ones."""
    yield f"events through {flow.queue}" if flow.are_events else f"through {flow.queue}"
    for message in flow.messages:
        yield message.name
        yield from (f"⚠ {dispute}" for dispute in message.disputes)
    if flow.are_events:
        yield f"↩ {flow.answered(flow.messages[0])}"
        return
    yield from dict.fromkeys(f"↩ {message.answers or 'no answer awaited'}" for message in flow.messages)
    if flow.reply_queue:
        yield f"↩ to {flow.reply_queue}"
