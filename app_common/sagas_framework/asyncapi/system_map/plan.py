"""Which service and which card stands where, and by what way the lines run between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from sagas_framework.asyncapi.system_map.cards import SERVICE_WIDTH, Card, ServiceBox
from sagas_framework.asyncapi.system_map.columns import Spot, arrange, levels, two_sided
from sagas_framework.asyncapi.system_map.model import Service, SystemMap

CARD_GAP = 20  # between what stands one below the other
SERVICE_GAP = 36
LANE_GAP = 12
AISLE = 76  # between columns, and more for each line: they need room to bend
AISLE_PER_LINE = 6
MOST_AISLE = 160
PORT = 24  # of an edge: for a command and its answer
LANE_HEIGHT = 16
MOST_HEIGHT = 1_100
"""What would be higher than this goes to both sides of those who begin it all."""


@dataclass(frozen=True)
class Line:
    """Between a card and one of its ends, by way of lanes where they are not neighbours."""

    card: Card
    spots: Sequence[Spot]  # first the card's, last the service's
    to_receiver: bool


@dataclass(frozen=True)
class Column:
    left: float
    width: float


@dataclass(frozen=True)
class Plan:
    boxes: Sequence[tuple[ServiceBox, Spot]]
    cards: Sequence[tuple[Card, Spot]]
    lines: Sequence[Line]
    columns: Mapping[int, Column]
    width: float
    height: float


def plan(found: SystemMap) -> Plan:
    pairs = [(flows[0].sender, flows[0].receiver, Card(flows)) for flows in found.pairs]
    services = [Spot(2 * level, SERVICE_GAP) for level in _levels(found, pairs)]
    cards = [
        (card, Spot(_column(sender, receiver, services), CARD_GAP, card.height)) for sender, receiver, card in pairs
    ]
    lines = [
        Line(card, [spot, *_lanes(spot, services[end.number]), services[end.number]], to_receiver)
        for (sender, receiver, _), (card, spot) in zip(pairs, cards, strict=True)
        for end, to_receiver in ((sender, False), (receiver, True))
        if end is not None
    ]
    for line in lines:
        for one, other in pairwise(line.spots):
            one.join(other)
    boxes = [
        (ServiceBox(service, PORT * max(len(spot.beside(side)) for side in (-1, 1)) + 10), spot)
        for service, spot in zip(found.services, services, strict=True)
    ]
    for box, spot in boxes:
        spot.height = box.height
    lanes = [lane for line in lines for lane in line.spots[1:-1]]
    spots = [*services, *(spot for _, spot in cards), *lanes]
    arrange(spots)
    columns = _columns(spots, cards)
    width = max((column.left + column.width for column in columns.values()), default=0.0)
    height = max((spot.middle + spot.height / 2 for spot in spots), default=0.0)
    return Plan(boxes, cards, lines, columns, width, height)


def _levels(found: SystemMap, pairs: Sequence[tuple[Service | None, Service | None, Card]]) -> list[int]:
    sent: dict[tuple[int, int], float] = {}
    for sender, receiver, card in pairs:
        ends = [end.number for end in (sender, receiver) if end is not None]
        sent[ends[0], ends[-1]] = sent.get((ends[0], ends[-1]), 0.0) + card.height + CARD_GAP
    level = levels(len(found.services), sent)
    for service in found.services:
        if (
            not service.sends and not service.publishes
        ):  # and is sent nothing, perhaps: it stands with the participants all the same
            level[service.number] = max(level[service.number], 1)
    return two_sided(level, sent, MOST_HEIGHT)


def _column(sender: Service | None, receiver: Service | None, services: Sequence[Spot]) -> int:
    """A card stands on the inner side of whoever is further outside; what nobody receives, and what a service sends to
    itself, on the outer side of its sender."""
    ends = [services[end.number].column for end in (sender, receiver) if end is not None]
    outer = max(ends, key=abs)
    outward = -1 if outer < 0 else 1
    return outer - outward if sender is None or len({*ends}) == 2 else outer + outward


def _lanes(card: Spot, service: Spot) -> list[Spot]:
    step = 1 if service.column > card.column else -1
    return [Spot(column, LANE_GAP, LANE_HEIGHT) for column in range(card.column + step, service.column, step)]


def _columns(spots: Sequence[Spot], cards: Sequence[tuple[Card, Spot]]) -> dict[int, Column]:
    columns: dict[int, Column] = {}
    left = 0.0
    for number in sorted({spot.column for spot in spots}):
        widths = [card.width for card, spot in cards if spot.column == number]
        width = max(widths, default=0.0) if number % 2 else SERVICE_WIDTH
        columns[number] = Column(left, width)
        lines = sum(len(spot.beside(1)) for spot in spots if spot.column == number)
        left += width + min(AISLE + AISLE_PER_LINE * lines, MOST_AISLE)
    return columns
