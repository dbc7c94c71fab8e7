"""The pieces of the SVG: the box of a service, and the card that says what goes from one to another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sagas_framework.asyncapi.system_map.model import Flow, Message, Service
from sagas_framework.drawing.shapes import (
    BOLD,
    FACT_SIZE,
    MARK_HEIGHT,
    NAME_SIZE,
    Lines,
    icon,
    looking,
    mark,
    text,
    title,
)
from sagas_framework.drawing.text import cut, escaped, in_lines, width_of

INSET = 12  # from an edge to what is said
SERVICE_WIDTH = 216
LEAST_CARD_WIDTH, MOST_CARD_WIDTH = 200, 360
ROW_HEIGHT = 17
PILL_HEIGHT = 20
ICON_ROOM = 17
MESSAGE_SIZE = 12
SECTION_GAP = 8
_SERVICE_NAME_WIDTH = SERVICE_WIDTH - 2 * INSET - 22


@dataclass(frozen=True)
class ServiceBox:
    service: Service
    least_height: float = 0  # for the lines that end at it

    @property
    def _names(self) -> list[str]:
        return in_lines(self.service.title, NAME_SIZE * BOLD, _SERVICE_NAME_WIDTH, 2)

    @property
    def height(self) -> float:
        return max(2 * INSET + self._told_height, self.least_height)

    @property
    def _told_height(self) -> float:
        return ROW_HEIGHT * (len(self._names) + len(self._roles)) - 3

    @property
    def _roles(self) -> list[str]:
        return in_lines(self.service.role, FACT_SIZE, _SERVICE_NAME_WIDTH, 2)

    def draw(self, left: float, top: float) -> Lines:
        service, names = self.service, self._names
        facts = " · ".join(filter(None, [service.role, service.version]))
        looks = looking("service", *(["busy"] if service.sends else []))
        yield f'<g{looks} transform="translate({left:g} {top:g})">{title(f"{service.title}: {facts}")}'
        yield f'<rect{looking("box")} width="{SERVICE_WIDTH}" height="{self.height:g}" rx="9"/>'
        y = (self.height - self._told_height) / 2 + NAME_SIZE - 1
        yield icon("service", INSET, y - NAME_SIZE)
        for name in names:
            yield text(name, INSET + 22, y, "name")
            y += ROW_HEIGHT
        for role in self._roles:
            yield text(role, INSET + 22, y, "fact")
            y += ROW_HEIGHT
        yield "</g>"


@dataclass(frozen=True)
class _Row:
    """One line of a card. `lead` is said in a low voice before the words."""

    words: str
    looks: str
    icon: str = ""
    lead: str = ""
    above: float = 0

    @property
    def height(self) -> float:
        return self.above + (PILL_HEIGHT + 4 if self.looks == "pill" else ROW_HEIGHT)

    @property
    def width(self) -> float:
        room = ICON_ROOM if self.icon else 0
        return room + width_of(self.lead, MESSAGE_SIZE) + width_of(self.words, self._size)

    @property
    def _size(self) -> float:
        return (
            MESSAGE_SIZE * BOLD if self.looks == "message" else FACT_SIZE * BOLD if self.looks == "pill" else FACT_SIZE
        )

    def draw(self, left: float, top: float, room: float) -> Lines:
        top += self.above
        y = top + 12.5
        if self.looks == "pill":
            size = f'width="{room + 12:g}" height="{PILL_HEIGHT}"'
            yield f'<rect{looking("queue")} x="{left - 6:g}" y="{top:g}" {size} rx="5"/>'
            y = top + 14
        if self.icon:
            yield f"<g{looking(self.looks)}>{icon(self.icon, left, y - 10, 12)}</g>"
            left, room = left + ICON_ROOM, room - ICON_ROOM
        lead = self.lead
        if lead and self.width > room:  # its beginning says least
            lead = "…"
        words = cut(self.words, self._size, room - width_of(lead, MESSAGE_SIZE))
        before = f"<tspan{looking('lead')}>{escaped(lead)}</tspan>" if lead else ""
        yield f'<text{looking(*self.looks.split())} x="{left:g}" y="{y:g}">{before}{escaped(words)}</text>'


@dataclass(frozen=True)
class Card:
    flows: Sequence[Flow]  # from one service to one other

    @property
    def answered(self) -> bool:
        return any(message.replies for flow in self.flows for message in flow.messages)

    @property
    def disputed(self) -> bool:
        return any(flow.disputed for flow in self.flows)

    @property
    def hole(self) -> str:
        return self.flows[0].hole

    @property
    def are_events(self) -> bool:
        return self.flows[0].are_events

    @property
    def width(self) -> float:
        """As much as it needs, within limits."""
        needed = max(row.width for row in self._rows()) + 2 * INSET
        return min(max(needed, LEAST_CARD_WIDTH), MOST_CARD_WIDTH)

    @property
    def height(self) -> float:
        return sum(row.height for row in self._rows()) + INSET + (MARK_HEIGHT + 8 if self.hole else 0)

    def draw(self, left: float, top: float, width: float) -> Lines:
        plain = ["events"] if self.are_events else []
        looks = looking("card", *(["hole"] if self.hole else ["disputed"] if self.disputed else plain))
        yield f'<g{looks} transform="translate({left:g} {top:g})">{title(self._whole())}'
        yield f'<rect{looking("box")} width="{width:g}" height="{self.height:g}" rx="9"/>'
        y = INSET / 2
        for row in self._rows():
            yield from row.draw(INSET, y, width - 2 * INSET)
            y += row.height
        if self.hole:
            yield f"<g{looking('alert')}>"
            yield from mark("warning", self.hole, INSET - 6, y + 5, width - 2 * INSET - 24)
            yield "</g>"
        yield "</g>"

    def _rows(self) -> Iterator[_Row]:
        for number, flow in enumerate(self.flows):
            yield _Row(flow.queue, "pill", "queue", above=SECTION_GAP if number else 0)
            for message in flow.messages:
                yield from _message(message, "signal" if flow.are_events else "")
            for answers, is_one in dict.fromkeys(map(flow.answer, flow.messages)):
                yield _Row(answers, "fact", "undo" if is_one else "")

    def _whole(self) -> str:
        """What the card could not hold."""
        told = [" to ".join(self.flows[0].ends)]
        for flow in self.flows:
            told.append(f"through {flow.queue}:")
            for message in flow.messages:
                told.append("; ".join([f"{message.name} ({flow.answered(message)})", *message.disputes]))
        return "\n".join(told)


def _message(message: Message, icon: str) -> Iterator[_Row]:
    service, dot, name = message.name.rpartition(".")
    yield _Row(name, "message", icon, lead=service + dot)
    for dispute in message.disputes:
        yield _Row(dispute, "why", "warning")
