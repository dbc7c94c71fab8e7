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
    "hole": "fill:#fbe8e5,stroke:#a6261d,color:#5c1510,stroke-dasharray:4 3",
}


def to_mermaid(documents: Sequence[Document]) -> str:
    """A flowchart with one arrow for each pair of services. Nodes have numbers for ids, so that any name will do."""
    found = system_map(documents)
    told = spoken("The services and their messages", found.summary, "services")
    return "\n".join(["flowchart LR", *(f"    {line}" for line in (*told, *_lines(found))), ""])


def _lines(found: SystemMap) -> Iterator[str]:
    members: dict[str, list[str]] = {}
    for service in found.services:
        members.setdefault("orchestrator" if service.sends else "participant", []).append(_node(service))
        yield f"{_node(service)}[{label(service.title, service.role)}]"
    for number, ((sender, receiver), flows) in enumerate(found.pairs.items()):
        words = label(*(line for flow in flows for line in _told(flow)))
        hole = f"h{number}"
        if sender is None or receiver is None:
            members.setdefault("hole", []).append(hole)
            yield f"{hole}[{label(f'⚠ {flows[0].hole}')}]"
        yield f"{_node(sender) if sender else hole} -->|{words}| {_node(receiver) if receiver else hole}"
    for name, nodes in members.items():
        yield f"classDef {name} {_CLASSES[name]}"
        yield f"class {','.join(nodes)} {name}"


def _node(service: Service) -> str:
    return f"s{service.number}"


def _told(flow: Flow) -> Iterator[str]:
    yield flow.queue
    for message in flow.messages:
        yield f"▶ {message.name}"
        yield from (f"⚠ {dispute}" for dispute in message.disputes)
    for answers in dict.fromkeys(flow.answered(message) for message in flow.messages):
        yield f"↩ {answers}"
