"""Any order, any duplicates, any cuts into batches: every stream is handled in its order, each number once."""

import uuid
from dataclasses import dataclass, field, replace

from hypothesis import given
from hypothesis import strategies as st

from sagas_framework.events.incoming import Incoming
from sagas_framework.events.progress import Progress
from sagas_framework.events.streams import OpenStream, turns
from sagas_framework.storage.outbox import StreamKey

KEYS = [StreamKey("ledger", "bank", f"account={number}") for number in range(3)]
LONGEST = 8
NOW = 100.0


def incoming(key: StreamKey, number: int, count: int = 0) -> Incoming:
    """`count`: how often its publisher had started again; each time another day."""
    moment = (20_000 + count) * 86_400_000 + number
    id_ = uuid.UUID(int=moment << 80 | 0x7 << 76 | 0x2 << 62 | KEYS.index(key))
    return Incoming(key, number, "bank.moved", str(id_), {})


@dataclass
class Subscriber:
    """Its tables, in memory. `bad`: what its handler raises at. `limit`: so many stored ones are read at once."""

    bad: frozenset[tuple[StreamKey, int]]
    limit: int
    far: dict[StreamKey, Progress] = field(default_factory=lambda: dict.fromkeys(KEYS, Progress(0)))
    inbox: dict[tuple[StreamKey, int], Incoming] = field(default_factory=dict)
    handled: list[tuple[StreamKey, int]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    rows: int = 0

    def take(self, batch: list[Incoming]) -> bool:
        """Whether anything has moved."""
        streams = {key: self._opened(key) for key in KEYS}
        for stream, one in turns(streams, batch, NOW):
            if (stream.key, one.number) in self.bad:
                stream.failed = one
            else:
                self.handled.append((stream.key, one.number))
                self.ids.append(one.message_id)
                stream.done()
        for key, stream in streams.items():
            self._close(key, stream)
        return any(stream.moved for stream in streams.values())

    def _opened(self, key: StreamKey) -> OpenStream:
        stored = sorted((number, one) for (of, number), one in self.inbox.items() if of == key)[: self.limit]
        stream = OpenStream(key, self.far[key], stored[-1][0] if len(stored) == self.limit else None)
        for _, one in stored:
            stream.add(one)
        return stream

    def _close(self, key: StreamKey, stream: OpenStream) -> None:
        self.inbox = {place: one for place, one in self.inbox.items() if one.row_id not in stream.done_rows}
        for one in stream.new:
            self.rows += 1
            self.inbox.setdefault((key, one.number), replace(one, row_id=self.rows))
        assert stream.stored or not any(of == key for of, _ in self.inbox), "nobody would look for what is there"
        self.far[key] = stream.progress


events = st.tuples(st.sampled_from(KEYS), st.integers(1, LONGEST))


@given(
    batches=st.lists(st.lists(events, max_size=12), max_size=12),
    bad=st.frozensets(events, max_size=2),
    limit=st.integers(1, 4),
)
def test_every_stream_is_handled_in_order_each_number_once_and_what_is_left_is_stored(
    batches: list[list[tuple[StreamKey, int]]], bad: frozenset[tuple[StreamKey, int]], limit: int
) -> None:
    subscriber = Subscriber(bad, limit)
    for batch in batches:
        subscriber.take([incoming(key, number) for key, number in batch])
    while subscriber.take([]):  # as the chore does, with what is beyond the limit
        pass
    came = {one for batch in batches for one in batch}
    for key in KEYS:
        in_turn = [number for of, number in subscriber.handled if of == key]
        possible = 0
        while (key, possible + 1) in came - bad:
            possible += 1
        assert in_turn == list(range(1, possible + 1))
        assert {number for of, number in subscriber.inbox if of == key} == {
            number for of, number in came if of == key and number > possible
        }


def test_of_a_batch_the_streams_keep_the_order_in_which_their_events_came() -> None:
    one, other = KEYS[:2]
    subscriber = Subscriber(frozenset(), LONGEST)
    subscriber.take([incoming(one, 1), incoming(other, 1), incoming(other, 3), incoming(one, 2), incoming(other, 2)])
    assert subscriber.handled == [(one, 1), (other, 1), (one, 2), (other, 2), (other, 3)]


def test_who_is_parked_or_is_to_wait_until_later_is_passed_over_and_holds_back_the_others() -> None:
    for head in (
        replace(incoming(KEYS[0], 1), parked=True),
        replace(incoming(KEYS[0], 1), wake_at=NOW + 0.1),
    ):
        stream = OpenStream(KEYS[0], Progress(0))
        assert list(turns({KEYS[0]: stream}, [head, incoming(KEYS[0], 2)], NOW)) == []
        assert set(stream.waiting) == {1, 2}


@given(
    counts=st.lists(st.integers(0, 2 * LONGEST), min_size=2, max_size=4),
    again=st.lists(st.integers(0, 50), max_size=20),
    cut=st.integers(1, 5),
    limit=st.integers(1, 4),
    data=st.data(),
)
def test_a_publisher_that_counts_anew_loses_nothing_wherever_it_starts_again(
    counts: list[int], again: list[int], cut: int, limit: int, data: st.DataObject
) -> None:
    """Its events come in their order then, and some of them again."""
    subscriber, key, last = Subscriber(frozenset(), limit), KEYS[0], 0
    sent: list[Incoming] = []
    expected: list[str] = []
    for count, more in enumerate(counts):
        first = data.draw(st.integers(0, last))
        told = [incoming(key, number, count) for number in range(first + 1, first + more + 1)]
        expected += [one.message_id for one in told]
        for place in sorted(again):  # as often as it is in there
            told[place:place] = told[: place + 1][-1:]
        sent, last = [*sent, *told], first + more if told else last
    for start in range(0, len(sent), cut):
        subscriber.take(sent[start : start + cut])
    while subscriber.take([]):
        pass
    assert subscriber.ids == expected and not subscriber.inbox


def test_what_has_the_number_of_another_one_that_is_stored_is_to_come_again() -> None:
    stream = OpenStream(KEYS[0], Progress(0))
    stored, other = replace(incoming(KEYS[0], 2), row_id=1), incoming(KEYS[0], 2, 1)
    stream.add(stored)
    assert list(turns({KEYS[0]: stream}, [stored, other], NOW)) == []
    assert stream.crowded_out == [other] and stream.new == []
