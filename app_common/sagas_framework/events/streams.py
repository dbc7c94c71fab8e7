"""The events of a batch, each behind those before it of its own stream; pure, so that it can be told in a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from sagas_framework.events.incoming import Incoming
from sagas_framework.events.progress import Progress
from sagas_framework.storage.outbox import StreamKey


@dataclass
class OpenStream:
    """One stream while a transaction holds it. `read_up_to`: the last number that was read of what is stored, if there
    may be more; who comes later may be there already, and is not handled now. `only_arrived`: what is stored is left to
    others. `counted_anew`: whose number had been handled, and which is another event all the same. `crowded_out`: whose
    place in the inbox another event has; it is to come again."""

    key: StreamKey
    progress: Progress
    read_up_to: int | None = None
    only_arrived: bool = False
    moved: bool = False
    waiting: dict[int, Incoming] = field(default_factory=dict)
    failed: Incoming | None = None
    done_rows: list[int] = field(default_factory=list)
    counted_anew: list[Incoming] = field(default_factory=list)
    crowded_out: list[Incoming] = field(default_factory=list)

    @property
    def handled(self) -> int:
        return self.progress.handled

    def add(self, incoming: Incoming) -> None:
        """One that was handled, or is there already, is a duplicate, unless its id says that it is another event."""
        if incoming.number <= self.handled:
            if not self.progress.is_another(incoming.number, incoming.message_id):
                return
            self.progress = self.progress.before(incoming.number)
            self.counted_anew.append(incoming)
        if self.waiting.setdefault(incoming.number, incoming).message_id != incoming.message_id:
            self.crowded_out.append(incoming)

    def next(self, now: float) -> Incoming | None:
        """Whose turn it is, if it is there and nothing holds it up."""
        if self.failed is not None or (self.read_up_to is not None and self.handled >= self.read_up_to):
            return None
        head = self.waiting.get(self.handled + 1)
        if head is None or (self.only_arrived and head.row_id is not None):
            return None
        return head if head.is_ready(now) else None

    def done(self) -> None:
        """The next one has been handled."""
        incoming = self.waiting.pop(self.handled + 1)
        self.progress = self.progress.after(incoming.message_id)
        self.moved = True
        if incoming.row_id is not None:
            self.done_rows.append(incoming.row_id)

    @property
    def stored(self) -> bool:
        """Whether any of it is in the inbox afterwards."""
        return bool(self.waiting) or self.read_up_to is not None

    @property
    def new(self) -> list[Incoming]:
        """What is to be stored: it is not its turn, or it has failed."""
        return [incoming for incoming in self.waiting.values() if incoming.row_id is None]


def turns(
    streams: Mapping[StreamKey, OpenStream], arrived: Iterable[Incoming], now: float
) -> Iterator[tuple[OpenStream, Incoming]]:
    """What can be handled, each stream in its order, and else as it arrived; first what was stored. Say `done` of each,
    or what has `failed`, before the next is asked for."""
    for stream in streams.values():
        yield from _turns_of(stream, now)
    for incoming in arrived:
        stream = streams[incoming.stream]
        stream.add(incoming)
        yield from _turns_of(stream, now)


def _turns_of(stream: OpenStream, now: float) -> Iterator[tuple[OpenStream, Incoming]]:
    while (incoming := stream.next(now)) is not None:
        yield stream, incoming
