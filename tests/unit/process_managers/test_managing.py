"""What a method of a process manager may do: keys, ways out, and what an event-sourced one records."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagas_framework import Command, handles
from sagas_framework.errors import DefinitionError, PayloadRefused
from sagas_framework.events.consumer import Occurrence
from sagas_framework.events.outbound import Outbound
from sagas_framework.process_managers.compiler import process_manager_of
from sagas_framework.process_managers.hand import SagaInHand
from sagas_framework.process_managers.manager import EventSourcedProcessManager, ProcessManager, applies
from sagas_framework.storage.processes import EXISTS, Key, ProcessRows
from sagas_framework.transport.wire import OutgoingMessage
from sagas_framework.vocabulary.event import Event, event_of
from sagas_framework.vocabulary.identity import Direction, message_id

SAGA = "01920000-0000-7000-8000-000000000001"
NOW = 1_000_000.0


@dataclass(frozen=True)
class Began:
    user_id: str
    tags: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Finished:
    user_id: str


@dataclass(frozen=True)
class Undeclared:
    user_id: str


for _kind in (Began, Finished, Undeclared):
    Event(f"users.{_kind.__name__}", source="users", payload=_kind, key="user_id", subscribers=["there"])


@dataclass(frozen=True)
class Mail:
    to: str


send_mail = Command("mails.send", queue="mails", payload=Mail)
drop_mail = Command("mails.drop", queue="mails", payload=Mail)


@dataclass
class State:
    user_id: str = ""
    seen: list[str] = field(default_factory=list)
    tags: set[str] = field(default_factory=set)


class Plain(ProcessManager[State]):
    commands = (send_mail,)
    publishes = (Finished,)

    @handles(Began, starts="if_none", saga_key="user", event_key="user_id")
    @handles(Began, saga_key="friend", event_key="user_id")
    def begin(self, event: Began) -> None:
        raise NotImplementedError


class Recorded(Outbound):
    """What was sent and published."""

    def __init__(self) -> None:
        super().__init__({event_of(Finished).name: event_of(Finished)})
        self.sent: list[tuple[OutgoingMessage, float | None]] = []
        self.published: list[Any] = []

    def send(self, message: OutgoingMessage, due_at: float | None = None) -> None:
        self.sent.append((message, due_at))

    def publish(self, payload: Any) -> None:
        super().publish(payload)
        self.published.append(payload)


@dataclass
class Handled:
    saga: SagaInHand
    outbound: Recorded
    rows: ProcessRows

    @property
    def found_by(self) -> set[Key]:
        return set(self.saga.found_by)

    @property
    def told(self) -> list[str]:
        return [line.event for line in self.rows.told]


def handled(
    does: Callable[[Any], None],
    base: type[Any] = Plain,
    event: Began = Began("17"),
    event_id: str = "event-1",
    keys: set[Key] | None = None,
) -> Handled:
    """A new saga (or one that has these keys) after a method that does that."""

    def begin(self: Any, event: Began) -> None:
        does(self)

    for binding in ("user", "friend"):
        begin = handles(Began, saga_key=binding, event_key="user_id", starts="if_none")(begin)
    manager = type(base.__name__, (base,), {"begin": begin})
    outbound, rows = Recorded(), ProcessRows()
    stored: dict[str, Any] = (
        {} if keys is None else {"stored": {"user_id": "", "seen": [], "tags": []}, "keys": {*keys, EXISTS}}
    )
    saga = SagaInHand(process_manager_of(manager), "registration", SAGA, outbound, NOW, **stored)
    saga.handle(Occurrence(event_of(event), event_id, "users", "user_id=17", 3, event), "begin", event)
    saga.add_to(rows)
    return Handled(saga, outbound, rows)


# ---- keys -----------------------------------------------------------------------------------------------------------

A_UUID = UUID("01920000-0000-7000-8000-00000000000a")


@pytest.mark.parametrize(
    ("does", "values"),
    [
        (lambda keys: keys.add("user", "a"), {"x", "y", "a"}),
        (lambda keys: keys.add("user", "x"), {"x", "y"}),
        (lambda keys: keys.add("user", 17), {"x", "y", "17"}),
        (lambda keys: keys.add("user", A_UUID), {"x", "y", str(A_UUID)}),
        (lambda keys: keys.add("user", "z" * 255), {"x", "y", "z" * 255}),
        (lambda keys: keys.set("user", "a", "b"), {"a", "b"}),
        (lambda keys: keys.set("user"), set()),
        (lambda keys: keys.remove("user", "x"), {"y"}),
        (lambda keys: keys.remove("user", "unheard of"), {"x", "y"}),
    ],
)
def test_a_key_has_the_values_that_it_was_given(does: Callable[[Any], None], values: set[str]) -> None:
    before = {Key("user", "x"), Key("user", "y"), Key("friend", "f")}
    seen = []

    def change(manager: Plain) -> None:
        assert manager.keys.get("user") == {"x", "y"}
        does(manager.keys)
        seen.append(manager.keys.get("user"))

    after = handled(change, keys=before)
    assert seen == [values]
    assert after.found_by == {EXISTS, Key("friend", "f"), *(Key("user", value) for value in values)}
    assert {key for _, key in after.rows.keys_gained} == after.found_by - before - {EXISTS}
    assert {key for _, key in after.rows.keys_lost} == before - after.found_by


@pytest.mark.parametrize("does", ["add", "set", "remove"])
@pytest.mark.parametrize("value", [True, "", 1.5, None, "x" * 256, "nul\x00", b"bytes", ["x"]])
def test_what_is_no_text_number_or_uuid_is_no_key(value: Any, does: str) -> None:
    with pytest.raises(PayloadRefused, match="key 'user' of Plain: a value is a text of 1 to 255 characters"):
        handled(lambda manager: getattr(manager.keys, does)("user", value))


@pytest.mark.parametrize(
    "does",
    [
        lambda keys: keys.add("usr", "a"),
        lambda keys: keys.set("usr", "a"),
        lambda keys: keys.set("usr"),
        lambda keys: keys.remove("usr", "a"),
        lambda keys: keys.get("usr"),
    ],
)
def test_a_key_that_nothing_looks_for_is_refused(does: Callable[[Any], None]) -> None:
    said = r"saga 'Plain': no binding looks for the key 'usr', .*\(looked for: 'friend', 'user'\)"
    with pytest.raises(DefinitionError, match=said):
        handled(lambda manager: does(manager.keys))


# ---- ways out -------------------------------------------------------------------------------------------------------


def test_a_command_goes_out_as_a_step_of_the_saga_whose_answer_comes_to_the_subscriber() -> None:
    def twice(manager: Plain) -> None:
        manager.send(send_mail, Mail("Ada"))
        manager.send(send_mail, Mail("Eve"))

    first, second = (message for message, _ in handled(twice).outbound.sent)
    assert first.correlation == {
        "orchestrator": "registration",
        "saga": SAGA,
        "step": "begin.1#event-1",
        "direction": "action",
        "attempt": 1,
        "reply_queue": "registration.answers",
    }
    assert first.id == message_id("registration", SAGA, "begin.1#event-1", Direction.ACTION, 1)
    assert (first.queue, first.task) == ("mails", "mails.send")
    assert second.id != first.id
    assert [message.id for message, _ in handled(twice).outbound.sent] == [first.id, second.id]


def test_a_step_s_name_stays_short_however_long_the_event_s_id_is() -> None:
    def steps(event_id: str) -> list[str]:
        sent = handled(lambda manager: manager.send(send_mail, Mail("Ada")), event_id=event_id).outbound.sent
        return [message.correlation["step"] for message, _ in sent if message.correlation]

    [one], [other] = steps("x" * 254 + "1"), steps("x" * 254 + "2")
    assert one != other
    assert max(len(one), len(other)) <= 255


@pytest.mark.parametrize(
    ("when", "due_at"),
    [
        ({"delay": timedelta(days=1)}, NOW + 86_400),
        ({"delay": timedelta(0)}, NOW),
        ({"at": datetime.fromtimestamp(NOW + 5, UTC)}, NOW + 5),
        ({"at": datetime.fromtimestamp(NOW - 5, UTC)}, NOW - 5),
    ],
)
def test_a_command_can_be_sent_later(when: dict[str, Any], due_at: float) -> None:
    after = handled(lambda manager: manager.send_later(send_mail, Mail("Ada"), **when))
    [(_, due)] = after.outbound.sent
    assert due == due_at
    assert after.rows.told[-1].detail is not None and after.rows.told[-1].detail["due_at"] == due_at


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ({}, "either a delay or a moment"),
        ({"delay": timedelta(1), "at": datetime.now(UTC)}, "either a delay or a moment"),
        ({"delay": timedelta(seconds=-1)}, "a delay of 0 s to 36500 days, not -1 day, 23:59:59"),
        ({"delay": timedelta(days=40_000)}, "a delay of 0 s to 36500 days"),
        ({"at": datetime(2026, 1, 2)}, "a moment with its time zone"),
        ({"at": datetime.max.replace(tzinfo=UTC)}, "a moment of the next hundred years"),
    ],
)
def test_a_time_that_is_none_is_refused(when: dict[str, Any], said: str) -> None:
    with pytest.raises(DefinitionError, match=f"saga 'Plain': method 'begin': send_later takes {said}"):
        handled(lambda manager: manager.send_later(send_mail, Mail("Ada"), **when))


def test_an_event_is_published() -> None:
    after = handled(lambda manager: manager.publish(Finished("17")))
    assert after.outbound.published == [Finished("17")]
    assert after.told == ["started", "event_handled", "event_published"]


@pytest.mark.parametrize(
    ("does", "error", "said"),
    [
        (
            lambda manager: manager.send(drop_mail, Mail("Ada")),
            DefinitionError,
            r"saga 'Plain': method 'begin' sends 'mails.drop', which is not among .* \(mails.send\); .*`commands`",
        ),
        (
            lambda manager: manager.publish(Undeclared("17")),
            DefinitionError,
            r"saga 'Plain': method 'begin' publishes 'users.Undeclared', which .*\(users.Finished\); add Undeclared to",
        ),
        (lambda manager: manager.publish(Mail("Ada")), DefinitionError, "Mail is no event"),
        (lambda manager: manager.send(send_mail, Began("17")), PayloadRefused, "payload of mails.send: "),
        (lambda manager: setattr(manager, "count", 1), DefinitionError, r"saga 'Plain': self.count would be gone"),
        (lambda manager: setattr(manager.state, "user_id", 17), PayloadRefused, f"state of Plain {SAGA}: .*user_id"),
    ],
)
def test_what_was_not_declared_is_refused(does: Callable[[Any], None], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        handled(does)


def test_after_its_end_a_saga_is_found_by_nothing_and_the_method_goes_on() -> None:
    def end(manager: Plain) -> None:
        manager.end()
        manager.keys.add("user", "late")
        manager.send(send_mail, Mail("Ada"))
        manager.publish(Finished("17"))

    after = handled(end, keys={Key("user", "x")})
    assert after.found_by == set()
    assert {key for _, key in after.rows.keys_lost} == {EXISTS, Key("user", "x")}
    assert after.rows.keys_gained == []
    assert len(after.outbound.sent) == len(after.outbound.published) == 1
    assert after.told == ["event_handled", "command_sent", "event_published", "ended"]
    [row] = after.rows.changed
    assert (row["status"], row["ended_at"], row["state"]["status"]) == ("ended", NOW, "ended")


def test_a_state_may_be_changed_in_place_or_set() -> None:
    def change(manager: Plain) -> None:
        manager.state.seen.append("a")
        manager.state = State("17", [*manager.state.seen, "b"])

    [row] = handled(change).rows.new
    assert row["data"] == {"user_id": "17", "seen": ["a", "b"], "tags": []}


# ---- event-sourced --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Saw:
    what: str


@dataclass(frozen=True)
class Tagged:
    tags: list[str]


@dataclass(frozen=True)
class Forgot: ...


class Stream(EventSourcedProcessManager[State]):
    commands = (send_mail,)
    snapshot_every = 2

    @handles(Began, starts="always")
    def begin(self, event: Began) -> None:
        raise NotImplementedError

    @applies(Saw)
    def _saw(self, saw: Saw) -> None:
        self.state.seen.append(saw.what)

    @applies(Tagged)
    def _tagged(self, tagged: Tagged) -> None:
        self.state.tags |= set(tagged.tags)

    @applies(Forgot)
    def _forgot(self, forgot: Forgot) -> None:
        self.state = State(user_id=self.state.user_id)


def test_what_is_recorded_is_applied_at_once() -> None:
    seen = []

    def record(manager: Stream) -> None:
        manager.record(Saw("a"))
        seen.append(list(manager.state.seen))
        manager.record(Saw("b"))
        seen.append(list(manager.state.seen))

    after = handled(record, Stream)
    assert seen == [["a"], ["a", "b"]]
    assert [(own.version, own.event, own.payload) for own in after.rows.own_events] == [
        (1, "Saw", {"what": "a"}),
        (2, "Saw", {"what": "b"}),
    ]


OWN_EVENTS = st.one_of(
    st.builds(Saw, st.text(st.characters(categories=["L", "N"]), max_size=3)),
    st.builds(Tagged, st.lists(st.sampled_from("abcdef"), max_size=4)),
    st.builds(Forgot),
)


@given(st.lists(st.lists(OWN_EVENTS, max_size=4), max_size=6), st.integers(1, 5))
def test_a_state_made_again_is_the_state_that_was_there(batches: list[list[Any]], every: int) -> None:
    expected, made = State(), State()

    class Streamed(Stream):
        snapshot_every = every

        @handles(Began, starts="always")
        def begin(self, event: Began) -> None:
            nonlocal made
            made = self.state
            for own in batches[int(event.user_id)]:
                self.record(own)

    description = process_manager_of(Streamed)
    stored: Any = None
    stream: list[Any] = []
    for number, batch in enumerate([*batches, []]):
        batches = [*batches, []]
        saga = SagaInHand(description, "registration", SAGA, Recorded(), NOW, stored=stored, stream=stream)
        event = Began(str(number))
        saga.handle(Occurrence(event_of(event), f"event-{number}", "users", "user_id", number, event), "begin", event)
        rows = ProcessRows()
        saga.add_to(rows)
        for own in batch:
            if isinstance(own, Saw):
                expected.seen.append(own.what)
            elif isinstance(own, Tagged):
                expected.tags |= set(own.tags)
            else:
                expected = State()
        [row] = rows.new or rows.changed
        stored = row["data"]
        stream = [own for own in [*stream, *rows.own_events] if own.version > stored["version"]]
        assert len(stream) < every
    assert made == expected


def silently(manager: Stream) -> None:
    manager.state.user_id = "lost"


def silently_beside(manager: Stream) -> None:
    manager.record(Saw("a"))
    manager.state.seen.append("b")


def silently_before(manager: Stream) -> None:
    manager.state = State("lost")
    manager.record(Saw("a"))


@pytest.mark.parametrize(
    ("does", "where"), [(silently, "user_id"), (silently_beside, "seen"), (silently_before, "user_id")]
)
def test_a_change_that_nothing_has_recorded_is_not_lost_in_silence(does: Callable[[Any], None], where: str) -> None:
    said = f"saga 'Stream': method 'begin' leaves self.state.{where} other than the events that it has recorded make it"
    with pytest.raises(DefinitionError, match=said):
        handled(does, Stream)


class Greedy(Stream):
    @applies(Saw)
    def _saw(self, saw: Saw) -> None:
        uses: dict[str, Callable[[], Any]] = {
            "send": lambda: self.send(send_mail, Mail("Ada")),
            "keys": lambda: self.keys.add("user", "a"),
            "record": lambda: self.record(Forgot()),
            "publish": lambda: self.publish(Finished("17")),
            "end": self.end,
        }
        uses[saw.what]()


@pytest.mark.parametrize("what", ["send", "keys", "record", "publish", "end"])
def test_applying_does_nothing_but_change_the_state(what: str) -> None:
    with pytest.raises(DefinitionError, match=f"saga 'Greedy': a method with @applies uses self.{what}; "):
        handled(lambda manager: manager.record(Saw(what)), Greedy)


def test_what_no_method_applies_is_not_recorded() -> None:
    with pytest.raises(
        DefinitionError, match=r"no method says what Mail does .*\(there is one for: Forgot, Saw, Tagged"
    ):
        handled(lambda manager: manager.record(Mail("Ada")), Stream)


def test_what_was_recorded_and_has_lost_its_method_is_named() -> None:
    recorded = handled(lambda manager: manager.record(Saw("a")), Stream).rows

    class Forgetful(EventSourcedProcessManager[State]):
        @handles(Began, starts="always")
        def begin(self, event: Began) -> None: ...

    saga = SagaInHand(
        process_manager_of(Forgetful),
        "registration",
        SAGA,
        Recorded(),
        NOW,
        stored=recorded.new[0]["data"],
        stream=recorded.own_events,
    )
    event = Began("17")
    with pytest.raises(DefinitionError, match=f"saga {SAGA} has recorded 'Saw', and no method applies it any more"):
        saga.handle(Occurrence(event_of(event), "event-2", "users", "user_id=17", 4, event), "begin", event)
