"""Process managers on real databases: which sagas an event is for, and that all that it leads to is one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Barrier, Thread
from typing import Any

import pytest
from sqlalchemy import Engine, text, update

from sagas_framework import Failure, Operations, handles
from sagas_framework.errors import PayloadRefused
from sagas_framework.events.receipts import ReceiptBatches
from sagas_framework.events.wiring import DEFAULT_RETRY
from sagas_framework.operations.views import MOST_RECORDED
from sagas_framework.storage.outbox import forget
from sagas_framework.storage.schema import history, instances, outbox, process_events, process_keys
from sagas_framework.transport.wire import OutgoingMessage, reply_message
from sagas_framework.vocabulary.correlation import Correlation
from tests.support.kitchen import somebody_waits
from tests.support.orchestration import Bench, RecordingPublisher, delivery_of
from tests.support.processes import (
    NOW,
    UNDER_TEST,
    Closed,
    Collected,
    Desk,
    ForAll,
    ForAllOrNew,
    ForNew,
    ForTagged,
    ForTaggedAndAll,
    ForTaggedAndNew,
    ForTaggedOrNamedOrNew,
    ForTaggedOrNew,
    ForTaggedOrNewAndAll,
    Kept,
    Opened,
    Parcel,
    Plain,
    Retagged,
    Streamed,
    declared,
    pack,
)
from tests.support.threads import in_threads, until

BOTH_PERSISTENCES = (Plain, Streamed)


@pytest.fixture(params=BOTH_PERSISTENCES)
def desk(request: pytest.FixtureRequest, engine: Engine) -> Desk:
    return Desk(engine, request.param)


@pytest.fixture
def postgresql_desk(postgresql_engine: Engine) -> Desk:
    return Desk(postgresql_engine, Plain)


# ---- every binding in every situation -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Situation:
    """What has happened before; an event with `about` and `ref` comes. `living` are the sagas that there are then, of
    which those in `tagged` have the tag `ref`, and those in `named` the name `about`."""

    before: Sequence[Any] = ()
    living: set[str] = field(default_factory=set)
    tagged: set[str] = field(default_factory=set)
    named: set[str] = field(default_factory=set)
    about: str = "anything"
    ref: str | None = "a"


ONE, TWO, THREE = Opened("one", ["a"]), Opened("two", ["a"]), Opened("three", ["b"])

SITUATIONS = {
    "no saga": Situation(),
    "one": Situation([ONE], {"one"}, {"one"}),
    "one with another tag": Situation([THREE], {"three"}),
    "one without tags": Situation([Opened("one")], {"one"}),
    "one by its other key": Situation([THREE], {"three"}, set(), {"three"}, about="three"),
    "one by both keys": Situation([ONE, THREE], {"one", "three"}, {"one"}, {"one"}, about="one"),
    "one by each key": Situation([ONE, THREE], {"one", "three"}, {"one"}, {"three"}, about="three"),
    "many": Situation([ONE, TWO, THREE], {"one", "two", "three"}, {"one", "two"}),
    "an ended one": Situation([ONE, Closed("one")]),
    "an ended one and a living one": Situation([ONE, TWO, Closed("one")], {"two"}, {"two"}),
    "an ended one, by its other key": Situation([ONE, THREE, Closed("one")], {"three"}, about="one"),
    "one of several tags": Situation([Opened("one", ["x", "a", "y"])], {"one"}, {"one"}),
    "a tag that is gone": Situation([ONE, Retagged("one", ["b"])], {"one"}),
    "a tag that is new": Situation([THREE, Retagged("three", ["b", "a"])], {"three"}, {"three"}),
    "no value": Situation([ONE], {"one"}, ref=None),
    "no value, by its other key": Situation([ONE], {"one"}, set(), {"one"}, about="one", ref=None),
    "no value and no saga": Situation(ref=None),
    "a value that no key can have": Situation([ONE], {"one"}, ref="x" * 256),
}


def heard_by(kind: type[Any], now: Situation) -> set[str]:
    """The sagas that are to handle an event of this kind; "new" is one that it starts."""
    new = {"new"}
    by_either = now.tagged | now.named
    return {
        ForNew: new,
        ForAll: now.living,
        ForAllOrNew: now.living or new,
        ForTagged: now.tagged,
        ForTaggedOrNew: now.tagged or new,
        ForTaggedAndAll: now.living,
        ForTaggedAndNew: now.tagged | new,
        ForTaggedOrNamedOrNew: by_either or new,
        ForTaggedOrNewAndAll: now.living or new,
    }[kind]


@pytest.mark.parametrize("in_one_transaction", [False, True], ids=["one by one", "in one transaction"])
@pytest.mark.parametrize("kind", UNDER_TEST)
def test_in_every_situation_an_event_is_handled_once_by_each_saga_that_it_is_for(
    desk: Desk, kind: type[Any], in_one_transaction: bool
) -> None:
    expected, found = {}, {}
    for name, now in SITUATIONS.items():
        here = Desk(desk.engine, desk.manager, subscriber=name)  # the sagas of another one are not found
        events = [*now.before, kind(now.about, now.ref)]
        for batch in [events] if in_one_transaction else [[event] for event in events]:
            here.take(*batch)
        heard_of = heard_by(kind, now)
        expected[name] = {saga: (kind.__name__,) if saga in heard_of else () for saga in now.living | heard_of}
        found[name] = here.states()
    assert found == expected


def test_a_second_event_finds_what_the_first_one_has_started_in_the_same_transaction(desk: Desk) -> None:
    desk.take(ForTaggedOrNew("1", "a"), ForTaggedOrNew("2", "b"), ForTaggedOrNew("3", "a"), ForAllOrNew("4"))
    assert [row.status for row in desk.rows(instances)] == ["running", "running"]
    with desk.engine.connect() as connection:
        counts = connection.execute(
            text("SELECT count(*) FROM saga_history WHERE event = 'event_handled' GROUP BY saga_id ORDER BY 1")
        )
        assert list(counts.scalars()) == [2, 3]


def test_sagas_of_another_subscriber_or_class_are_not_found(desk: Desk, engine: Engine) -> None:
    desk.take(ONE)
    other_class = next(each for each in BOTH_PERSISTENCES if each is not desk.manager)
    for other in (Desk(engine, desk.manager, "another"), Desk(engine, other_class)):
        other.take(ForAll("x"), ForTagged("x", "a"))
        assert other.states() == {}
    assert desk.states() == {"one": ()}


# ---- what is written ------------------------------------------------------------------------------------------------


def test_keys_are_rows_that_follow_the_saga_and_go_when_it_ends(desk: Desk) -> None:
    exists = ("", "")
    desk.take(Opened("one", ["a", "b"]))
    assert desk.keys("one") == {exists, ("name", "one"), ("tag", "a"), ("tag", "b")}
    desk.take(Retagged("one", ["b", "c"]))
    assert desk.keys("one") == {exists, ("name", "one"), ("tag", "b"), ("tag", "c")}
    desk.take(Retagged("one", []), TWO)
    assert desk.keys("one") == {exists, ("name", "one")}
    desk.take(Closed("one"))
    assert {row.saga_id for row in desk.rows(process_keys)} == {
        row.id for row in desk.rows(instances) if row.status == "running"
    }


def test_a_row_says_whose_the_saga_is_and_when_it_has_ended(desk: Desk) -> None:
    desk.take(ONE)
    with desk.taking(Closed("one"), now=NOW + 60) as (consumption, [closed]):
        consumption.handle(closed)
    [row] = desk.rows(instances)
    assert (row.orchestrator, row.saga, row.status) == ("collections", desk.manager.name, "ended")
    assert (row.created_at, row.updated_at, row.ended_at) == (NOW, NOW + 60, NOW + 60)
    assert row.last_message_id == closed.message_id
    assert row.wake_at is None


@pytest.mark.parametrize("together", [False, True])
def test_what_a_handler_raises_leaves_nothing_of_the_transaction(desk: Desk, together: bool) -> None:
    class Failing(desk.manager):  # type: ignore[name-defined, misc]  # a class by fixture
        name = desk.manager.name

        def hear(self, what: str) -> None:
            super().hear(what)
            self.keys.add("tag", "more")
            self.send(pack, Parcel("Ada"))
            self.publish(Collected("17"))
            if what == "ForTagged":
                self.end()
                raise RuntimeError("no")

    failing = Desk(desk.engine, Failing)
    desk.take(ONE)
    before = desk.counted()
    events = [ForTagged("x", "a")]
    with pytest.raises(RuntimeError, match="no"):
        failing.take(*([TWO, ForAll("y"), *events] if together else events))
    assert desk.counted() == before
    assert desk.states() == {"one": ()}
    failing.take(ForAll("y"))
    assert desk.states() == {"one": ("ForAll",)}
    assert desk.counted()["saga_outbox"] == before["saga_outbox"] + 2


def test_a_state_that_is_not_what_it_declares_is_refused_with_everything_else(engine: Engine) -> None:
    class Untrue(Plain):
        def hear(self, what: str) -> None:
            self.state.heard.append(17)  # type: ignore[arg-type]

    desk = Desk(engine, Untrue)
    with pytest.raises(PayloadRefused, match=r"state of Untrue .*heard"):
        desk.take(ForNew("x"))
    assert set(desk.counted().values()) == {0}


def test_what_one_saga_keeps_of_an_event_is_not_another_one_s(engine: Engine) -> None:
    class Keeping(Plain):
        @handles(Kept)
        def keep(self, event: Kept) -> None:
            self.state.heard = event.words
            self.state.heard.append(self.state.name)

    desk = Desk(engine, Keeping)
    desk.take(ONE, TWO, Kept("x", ["said"]))
    assert desk.states() == {"one": ("said", "one"), "two": ("said", "two")}


def test_operators_are_shown_what_a_saga_has_done(desk: Desk) -> None:
    desk.take(ONE)
    operations = Operations(Bench(desk.engine))
    [listed] = operations.list()
    assert (listed.saga, listed.status, listed.situation) == (desk.manager.name, "running", "waits for events")
    desk.take(Closed("one"))
    [listed] = operations.list("ended")
    shown = operations.show(listed.id)
    assert (shown.status, shown.situation, shown.steps) == ("ended", "", [])
    begun = shown.history[0]
    named = {"event": "shop.Opened", "message_id": "message-1", "aggregate": "about=one"}
    assert (begun.event, begun.detail) == ("started", named)
    assert operations.trace(listed.id).splitlines() == [
        "❗️ begin saga",
        "",
        "❗️ Opened (about=one)",
        "",
        "❗️ Closed (about=one)",
        "",
        "✔️ end saga",
    ]


def test_operators_are_told_of_commands_that_have_failed_until_they_have_seen_to_them(desk: Desk) -> None:
    class Packing(desk.manager):  # type: ignore[name-defined, misc]
        def hear(self, what: str) -> None:
            self.send(pack, Parcel("Ada"))

    packing = Desk(desk.engine, Packing)
    packing.take(ONE, Opened("two"))
    sent = packing.take(ForTagged("x", "a"))
    operations = Operations(Bench(desk.engine))
    assert {one.situation for one in operations.list()} == {"waits for events"}

    answer_with_failure(desk.engine, sent, Failure("Refusal", "we are closed"))
    failed = "pack failed: Refusal: we are closed; see `sagas events outgoing`"
    listed = {one.situation: one.id for one in operations.list()}
    assert set(listed) == {f"{failed}; waits for events", "waits for events"}
    failing = listed[f"{failed}; waits for events"]
    assert operations.show(failing).situation == f"{failed}; waits for events"

    packing.take(Closed("one"))
    assert operations.show(failing).situation == failed

    [number] = [row.id for row in desk.rows(outbox) if row.problem]
    with desk.engine.begin() as connection:
        forget(connection, [number])
    assert operations.show(failing).situation == ""


def answer_with_failure(engine: Engine, sent: Sequence[OutgoingMessage], failure: Failure) -> None:
    batches = ReceiptBatches(engine, RecordingPublisher(), DEFAULT_RETRY)
    for message in sent:
        asked = Correlation.from_headers(message.headers())
        assert asked is not None
        reply = reply_message(message.task, "collections.receipts", asked.saga, message.id, failure, asked)
        batches.handle([delivery_of(reply)])


# ---- event-sourced --------------------------------------------------------------------------------------------------


def test_own_events_are_numbered_and_a_snapshot_is_made_every_so_many(engine: Engine) -> None:
    desk = Desk(engine, Streamed)  # every 3
    desk.take(ONE)
    versions = []
    for number in range(1, 8):
        desk.take(ForAll(str(number)))
        versions.append(desk.rows(instances)[0].data["version"])
    assert versions == [0, 3, 3, 3, 6, 6, 6]
    assert [(row.version, row.event) for row in desk.rows(process_events)] == [
        (1, "Named"),
        *[(number, "Heard") for number in range(2, 9)],
    ]
    assert desk.states() == {"one": ("ForAll",) * 7}


def test_operators_are_shown_what_a_saga_has_recorded_the_latest_if_it_is_much(engine: Engine) -> None:
    desk = Desk(engine, Streamed)
    desk.take(ONE)
    operations = Operations(Bench(engine))
    [listed] = operations.list()
    [named] = operations.show(listed.id).recorded
    assert (named.version, named.event, named.payload) == (1, "Named", {"name": "one"})
    assert named.at.timestamp() == NOW
    desk.take(*[ForAll("x")] * MOST_RECORDED)
    shown = operations.show(listed.id).recorded
    assert [own.version for own in shown] == [*range(2, MOST_RECORDED + 2)]
    assert shown[-1].payload == {"what": "ForAll"}


def test_only_what_came_after_the_snapshot_is_read(engine: Engine) -> None:
    desk = Desk(engine, Streamed)
    desk.take(ONE, *[ForAll(str(number)) for number in range(4)])  # one transaction, one snapshot
    assert desk.rows(instances)[0].data == {"version": 5, "state": {"name": "one", "heard": ["ForAll"] * 4}}
    desk.take(ForAll("later"))
    with engine.begin() as connection:
        connection.execute(update(process_events).where(process_events.c.version <= 5).values(event="unreadable"))
    assert desk.states() == {"one": ("ForAll",) * 5}


def test_the_state_is_the_same_with_and_without_snapshots(engine: Engine) -> None:
    class Never(Streamed):
        snapshot_every = 1_000

    class Always(Streamed):
        snapshot_every = 1

    desks = [Desk(engine, Never), Desk(engine, Always), Desk(engine, Streamed), Desk(engine, Plain)]
    events = [ONE, ForAll("1"), TWO, ForTagged("2", "a"), Retagged("one", ["b"]), ForTagged("3", "b"), ForAll("4")]
    for desk in desks:
        for event in events:
            desk.take(event)
    assert all(desk.states() == desks[-1].states() for desk in desks)
    assert desks[-1].states() == {
        "one": ("ForAll", "ForTagged", "ForTagged", "ForAll"),
        "two": ("ForTagged", "ForAll"),
    }


# ---- two at a time --------------------------------------------------------------------------------------------------


@pytest.mark.postgresql
@pytest.mark.parametrize("kind", [ForTaggedOrNew, ForAllOrNew])
def test_of_two_workers_that_find_no_saga_only_one_starts_one(postgresql_desk: Desk, kind: type[Any]) -> None:
    desk = postgresql_desk
    second = Thread(target=lambda: desk.take(kind("2", "a")))
    with desk.taking(kind("1", "a")) as (consumption, [occurrence]):
        consumption.handle(occurrence)
        second.start()
        until(lambda: somebody_waits(desk.engine))
    second.join()
    assert desk.states() == {"new": (kind.__name__,) * 2}


@pytest.mark.postgresql
def test_workers_that_race_for_many_keys_start_one_saga_for_each(postgresql_desk: Desk) -> None:
    desk, rounds, workers = postgresql_desk, 25, 3
    together = Barrier(workers)

    def work(shift: int) -> None:
        for number in range(rounds):
            together.wait()
            refs = [str((number + shift + place) % rounds) for place in range(3)]
            desk.take(*[ForTaggedOrNew("x", ref) for ref in refs])

    in_threads([lambda shift=shift: work(shift) for shift in range(workers)])  # type: ignore[misc]
    tags = [row.value for row in desk.rows(process_keys) if row.name == "tag"]
    assert sorted(tags) == sorted(map(str, range(rounds)))


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("meanwhile", "event"),
    [
        (Closed("one"), ForTagged("x", "a")),
        (Closed("one"), ForAll("x")),
        (Retagged("one", ["b"]), ForTagged("x", "a")),
    ],
    ids=["ended, by its key", "ended, of all", "has lost its key"],
)
def test_a_saga_that_was_found_and_changed_before_it_was_locked_is_not_handled(
    postgresql_desk: Desk, meanwhile: Any, event: Any
) -> None:
    desk = postgresql_desk
    desk.take(ONE)
    second = Thread(target=lambda: desk.take(event))
    with desk.taking(meanwhile) as (consumption, [occurrence]):
        consumption.handle(occurrence)
        second.start()
        until(lambda: somebody_waits(desk.engine))
    second.join()
    handled = [line.step for line in desk.rows(history) if line.event == "event_handled"]
    assert handled == ["open", "retag" if isinstance(meanwhile, Retagged) else "close"]


@declared
@dataclass(frozen=True)
class Handed:
    """The tag goes to the saga with this name."""

    about: str
    tag: str


class Handing(Plain):
    name = "Plain"

    @handles(Handed, saga_key="name", event_key="about")
    @handles(Handed, saga_key="tag", event_key="tag")
    def hand_over(self, event: Handed) -> None:
        if self.state.name == event.about:
            self.keys.add("tag", event.tag)
        else:
            self.keys.remove("tag", event.tag)


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("meanwhile", "taken_by"),
    [([Handed("two", "a")], "two"), ([Closed("one"), Opened("three", ["a"])], "three")],
    ids=["another one", "a new one, and the old one has ended"],
)
@pytest.mark.parametrize(
    "events",
    [
        [ForTagged("x", "a")],
        [ForTaggedOrNew("x", "a")],
        [ForAll("x"), ForTagged("x", "a")],
    ],
    ids=["by its key", "by its key, or new", "among others, of which one is for all"],
)
def test_an_event_whose_key_went_to_another_saga_before_the_lock_is_handled_by_that_one(
    postgresql_engine: Engine, meanwhile: Sequence[Any], taken_by: str, events: Sequence[Any]
) -> None:
    desk = Desk(postgresql_engine, Handing)
    desk.take(ONE, Opened("two"))
    second = Thread(target=lambda: desk.take(*events))
    with desk.taking(*meanwhile) as (consumption, occurrences):
        for occurrence in occurrences:
            consumption.handle(occurrence)
        second.start()
        until(lambda: somebody_waits(desk.engine))
    second.join()
    heard = desk.states()
    assert "new" not in heard
    tagged = type(events[-1]).__name__
    assert [name for name, words in heard.items() if tagged in words] == [taken_by]


@pytest.mark.postgresql
def test_two_workers_change_one_saga_one_after_the_other(postgresql_desk: Desk) -> None:
    desk = postgresql_desk
    desk.take(ONE)

    def work() -> None:
        for _ in range(20):
            desk.take(ForTagged("x", "a"))

    in_threads([work] * 3)
    assert desk.states() == {"one": ("ForTagged",) * 60}


def test_commands_wait_in_the_outbox_for_their_receipts(desk: Desk) -> None:
    class Packing(desk.manager):  # type: ignore[name-defined, misc]
        def hear(self, what: str) -> None:
            self.send(pack, Parcel("Ada"))

    Desk(desk.engine, Packing).take(ForNew("x"))
    [row] = desk.rows(outbox)
    assert (row.queue, row.awaited) == ("stock", True)
    assert row.message["correlation"]["reply_queue"] == "collections.answers"
