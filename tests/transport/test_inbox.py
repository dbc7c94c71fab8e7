"""The buffer between a worker's loop and its batches: what is handed on, acknowledged, held, given back, dropped."""

from collections.abc import Callable, Collection, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from celery.worker import state

from sagas_framework.errors import ConfigurationError
from sagas_framework.transport import inbox
from sagas_framework.transport.delivery import Delivery
from sagas_framework.transport.inbox import LONGEST_BACKOFF_SECONDS, Inbox, Unfinished
from tests.support.orchestration import raw_delivery
from tests.support.transport import FakeHub

Handled = Callable[[Sequence[Delivery]], None]


class FakeFeed:
    """Notes what it is told; `more` is what waits at the broker."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.acknowledged: list[str] = []
        self.given_back: list[str] = []
        self.more: list[Any] = []
        self.receive: Callable[[Any], None] = lambda message: None

    def fetch(self, room: Callable[[], int]) -> None:
        while self.more and room() > 0:
            self.receive(self.more.pop(0))

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        self.acknowledged += [delivery.message_id for delivery in deliveries]

    def give_back(self, deliveries: Collection[Delivery]) -> None:
        self.given_back += [delivery.message_id for delivery in deliveries]


class Desk:
    """A worker's loop played by hand; `clock` stands still unless a test moves it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, max_batch: int = 5) -> None:
        self.clock = 1000.0
        self.hub = FakeHub()
        self.batches: list[list[str]] = []
        self.tried_before: list[str] = []
        self.then: Handled = lambda batch: None
        self.inbox = Inbox(self._handle, max_batch)
        monkeypatch.setattr("sagas_framework.transport.inbox.time.monotonic", lambda: self.clock)
        monkeypatch.setattr(inbox, "feed_of", lambda consumer: FakeFeed(consumer.connection))
        self.connect()

    def connect(self) -> None:
        consumer = SimpleNamespace(hub=self.hub, connection=object())
        self.receive = self.inbox.strategy(None, None, consumer)
        feed: Any = self.inbox._feed
        self.feed: FakeFeed = feed
        self.feed.receive = lambda message: self.receive(message, None, None, None, None)

    def _handle(self, batch: Sequence[Delivery]) -> None:
        self.batches.append([delivery.message_id for delivery in batch])
        self.tried_before += [delivery.message_id for delivery in batch if delivery.tried_before]
        self.then(batch)

    def arrive(self, *ids: str) -> None:
        for one in ids:
            self.receive(message(one), None, None, None, None)

    def tick(self) -> None:
        """A turn of the loop, as kombu's makes it."""
        soon, self.hub.soon = self.hub.soon, []
        for work in soon:
            work()
        for callback in list(self.hub.on_tick):
            callback()

    def finish_all_but(self, *, hold: Collection[str] = (), give_back: Collection[str] = ()) -> None:
        def then(batch: Sequence[Delivery]) -> None:
            raise Unfinished(
                "bad weather",
                hold=[delivery for delivery in batch if delivery.message_id in hold],
                give_back=[delivery for delivery in batch if delivery.message_id in give_back],
            )

        self.then = then


def message(one: str) -> Any:
    return raw_delivery("{}", "a.task", id=one)._message


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(monkeypatch)


@pytest.fixture(autouse=True)
def a_worker_that_goes_on() -> Iterator[None]:
    before = state.should_stop, state.should_terminate
    yield
    state.should_stop, state.should_terminate = before


def test_a_lone_message_waits_for_nobody(desk: Desk) -> None:
    desk.arrive("a")
    desk.tick()
    assert desk.batches == [["a"]] and desk.feed.acknowledged == ["a"]
    desk.tick()
    assert desk.batches == [["a"]]


def test_what_has_gathered_and_what_still_waits_at_the_broker_become_batches_in_their_order(desk: Desk) -> None:
    desk.arrive("a", "b")
    desk.feed.more = [message(str(number)) for number in range(12)]
    desk.tick()
    assert desk.batches[0] == ["a", "b", "0", "1", "2"]
    assert [one for batch in desk.batches for one in batch] == desk.feed.acknowledged
    assert all(len(batch) <= 5 for batch in desk.batches)


@pytest.mark.rule(10)
def test_nothing_is_acknowledged_before_it_was_handled(desk: Desk) -> None:
    seen: list[list[str]] = []
    desk.then = lambda batch: seen.append(list(desk.feed.acknowledged))
    desk.arrive("a", "b")
    desk.tick()
    assert seen == [[]] and desk.feed.acknowledged == ["a", "b"]


@pytest.mark.rule(10)
def test_what_is_given_back_is_not_acknowledged_and_makes_the_worker_pause(desk: Desk) -> None:
    desk.finish_all_but(give_back=["b"])
    desk.arrive("a", "b", "c")
    desk.tick()
    assert (desk.feed.acknowledged, desk.feed.given_back) == (["a", "c"], ["b"])
    desk.arrive("d")
    desk.tick()
    assert len(desk.batches) == 1, "what was given back comes again at once: so it pauses"
    desk.clock += LONGEST_BACKOFF_SECONDS
    desk.tick()
    assert desk.batches[1:] == [["d"]]


def test_it_pauses_longer_and_longer_and_begins_anew_after_a_batch_that_was_done(desk: Desk) -> None:
    pauses = []
    desk.finish_all_but(give_back=["a"])
    for _ in range(10):
        desk.arrive("a")
        desk.tick()
        pauses.append(desk.hub.timers[-1][0])
        desk.clock += LONGEST_BACKOFF_SECONDS
    assert pauses == sorted(pauses) and pauses[-1] == LONGEST_BACKOFF_SECONDS and pauses[0] < pauses[1]
    desk.then = lambda batch: None
    desk.arrive("b")
    desk.tick()
    desk.finish_all_but(give_back=["a"])
    desk.arrive("a")
    desk.tick()
    assert desk.hub.timers[-1][0] == pauses[0]


@pytest.mark.rule(5)
def test_what_is_held_comes_back_behind_the_others_and_knows_that_it_was_tried(desk: Desk) -> None:
    desk.finish_all_but(hold=["a"])
    desk.arrive("a", "b")
    desk.tick()
    assert desk.feed.acknowledged == ["b"] and desk.feed.given_back == []
    desk.then = lambda batch: None
    desk.arrive("c")
    desk.clock += LONGEST_BACKOFF_SECONDS
    desk.hub.fire()
    assert desk.batches[1:] == [["c", "a"]] and desk.tried_before == ["a"]
    assert desk.feed.acknowledged == ["b", "c", "a"]


def test_one_that_is_held_holds_up_nobody_and_when_all_are_held_it_pauses(desk: Desk) -> None:
    desk.finish_all_but(hold=["a"])
    desk.arrive("a", "b")
    desk.tick()
    desk.arrive("c")
    desk.tick()
    assert desk.batches[1:] == [["c"]]
    desk.finish_all_but(hold=["d", "e"])
    desk.arrive("d", "e")
    desk.tick()
    desk.arrive("f")
    desk.tick()
    assert desk.batches[2:] == [["d", "e"]]


@pytest.mark.rule(10, 11)
def test_a_batch_on_which_the_framework_fails_is_given_back_whole(desk: Desk) -> None:
    def fail(batch: Sequence[Delivery]) -> None:
        raise ZeroDivisionError

    desk.then = fail
    desk.arrive("a", "b")
    desk.tick()
    assert (desk.feed.acknowledged, desk.feed.given_back) == ([], ["a", "b"])


@pytest.mark.rule(10)
def test_with_a_new_connection_what_came_on_the_old_one_is_dropped_held_or_not(desk: Desk) -> None:
    """The broker delivers it to somebody again: neither is it ours to do, nor to acknowledge on another channel."""
    desk.finish_all_but(hold=["a"])
    desk.arrive("a")
    desk.tick()
    old = desk.feed
    desk.clock += LONGEST_BACKOFF_SECONDS
    desk.arrive("b")
    desk.connect()
    desk.then = lambda batch: None
    desk.hub.fire()
    desk.tick()
    assert desk.batches == [["a"]] and (old.acknowledged, old.given_back) == ([], [])
    desk.arrive("a")
    desk.tick()
    assert desk.batches[1:] == [["a"]] and desk.feed.acknowledged == ["a"] and desk.tried_before == []


@pytest.mark.rule(10)
def test_what_is_handled_while_the_connection_is_replaced_is_settled_on_the_connection_that_brought_it(
    desk: Desk,
) -> None:
    old = desk.feed
    desk.then = lambda batch: desk.connect()
    desk.arrive("a")
    desk.tick()
    assert old.acknowledged == ["a"] and desk.feed.acknowledged == []


def test_several_tasks_share_one_buffer_on_one_connection(desk: Desk) -> None:
    desk.arrive("a")
    consumer = SimpleNamespace(hub=desk.hub, connection=desk.feed.connection)
    receive = desk.inbox.strategy(None, None, consumer)
    receive(message("b"), None, None, None, None)
    desk.tick()
    assert desk.batches == [["a", "b"]]


@pytest.mark.parametrize("flag", ["should_stop", "should_terminate"])
def test_a_worker_that_is_told_to_stop_begins_no_batch(desk: Desk, flag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.arrive("a")
    monkeypatch.setattr(state, flag, 0)
    desk.tick()
    assert desk.batches == [] and desk.feed.acknowledged == []


def test_a_worker_that_is_told_to_stop_finishes_the_batch_that_it_has_begun_and_begins_no_other(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.then = lambda batch: monkeypatch.setattr(state, "should_stop", 0)
    desk.arrive(*"abcdefg")
    desk.tick()
    assert desk.batches == [list("abcde")] and desk.feed.acknowledged == list("abcde")


def test_a_worker_without_a_loop_is_refused(desk: Desk) -> None:
    with pytest.raises(ConfigurationError, match="event loop"):
        desk.inbox.strategy(None, None, SimpleNamespace(hub=None, connection=object()))
