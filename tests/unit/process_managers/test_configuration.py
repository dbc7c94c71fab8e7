"""What is wrong with a process manager is said at start, naming the class, the method and the property."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Generic, Literal, NewType, TypeVar
from uuid import UUID

import pytest

from sagas_framework import Command, create_subscriber, handles
from sagas_framework.errors import DefinitionError
from sagas_framework.process_managers.compiler import process_manager_of, process_managers_of
from sagas_framework.process_managers.manager import EventSourcedProcessManager, ProcessManager, applies
from sagas_framework.vocabulary.event import Event

UserId = NewType("UserId", str)
Manager = type[ProcessManager[Any]]


class Plan(StrEnum):
    FREE = "free"


@dataclass(frozen=True)
class UserRegistered:
    user_id: str
    number: int
    token: UUID
    mentor: str | None
    typed: UserId
    noted: Annotated[str, "a note"]
    plan: Plan
    kind: Literal["new", "old"]
    active: bool
    weight: float
    tags: list[str]
    either: str | float


@dataclass(frozen=True)
class UserLeft:
    user_id: str


@dataclass(frozen=True)
class Unknown:
    user_id: str


for _kind in (UserRegistered, UserLeft):
    Event(f"users.{_kind.__name__}", source="users", payload=_kind, key="user_id", subscribers=["there"])

greet = Command("mails.greet", queue="mails", payload=UserLeft)
greet_otherwise = Command("mails.greet", queue="letters", payload=UserLeft)


@dataclass
class State:
    user_id: str = ""


@dataclass
class Bare:
    user_id: str
    number: int = 1


@dataclass
class Impossible:
    what: object = field(default_factory=lambda: 1 / 0)


@dataclass
class Untravelled:
    what: Callable[[], None] | None = None


@dataclass(frozen=True)
class Began:
    user_id: str


def another_began() -> type[Any]:
    @dataclass(frozen=True)
    class Began:
        user_id: str

    return Began


AnotherBegan = another_began()


@dataclass(frozen=True)
class Endless:
    what: Callable[[], None]


class Good(ProcessManager[State]):
    commands = (greet,)
    publishes = (UserLeft,)

    @handles(UserRegistered, starts="always")
    def begin(self, event: UserRegistered) -> None: ...


class GoodStream(EventSourcedProcessManager[State]):
    @handles(UserRegistered, starts="always")
    def begin(self, event: UserRegistered) -> None: ...

    @applies(Began)
    def _began(self, began: Began) -> None: ...


def bound(**said: Any) -> Manager:
    """A class of which one method has that binding."""

    class Users(ProcessManager[State]):
        @handles(UserLeft, starts="always")
        def begin(self, event: UserLeft) -> None: ...

        @handles(UserRegistered, **said)
        def find(self, event: UserRegistered) -> None: ...

    return Users


def without_self() -> Manager:
    class Users(ProcessManager[State]):
        @handles(UserRegistered, starts="always")
        def begin() -> None: ...  # type: ignore[misc]

    return Users


def with_two_arguments() -> Manager:
    class Users(ProcessManager[State]):
        @handles(UserRegistered, starts="always")
        def begin(self, event: UserRegistered, context: object) -> None: ...

    return Users


def static() -> Manager:
    class Users(ProcessManager[State]):
        @staticmethod
        @handles(UserRegistered, starts="always")
        def begin(event: UserRegistered) -> None: ...

    return Users


def asynchronous() -> Manager:
    class Users(ProcessManager[State]):
        @handles(UserRegistered, starts="always")
        async def begin(self, event: UserRegistered) -> None: ...

    return Users


def generator() -> Manager:
    class Users(ProcessManager[State]):
        @handles(UserRegistered, starts="always")
        def begin(self, event: UserRegistered) -> Any:
            yield

    return Users


def of_another_class() -> Manager:
    class Users(ProcessManager[State]):
        @handles(UserRegistered, starts="always")
        def begin(self, event: UserLeft) -> None: ...

    return Users


def twice_bound() -> Manager:
    class Users(ProcessManager[State]):
        @handles(UserRegistered, starts="if_none")
        @handles(UserRegistered, saga_key="user", event_key="user_id")
        @handles(UserRegistered, starts="if_none")
        def begin(self, event: UserRegistered) -> None: ...

    return Users


def two_methods() -> Manager:
    class Users(Good):
        @handles(UserRegistered)
        def note(self, event: UserRegistered) -> None: ...

    return Users


def never_started() -> Manager:
    class Users(ProcessManager[State]):
        @handles(UserRegistered)
        @handles(UserRegistered, saga_key="user", event_key="user_id")
        def note(self, event: UserRegistered) -> None: ...

    return Users


def overridden_without_mark() -> Manager:
    class Users(Good):
        def begin(self, event: UserRegistered) -> None: ...

    return Users


def silent() -> Manager:
    class Users(ProcessManager[State]):
        def begin(self, event: UserRegistered) -> None: ...

    return Users


def with_state(state: Any) -> Manager:
    class Users(ProcessManager[state]):
        @handles(UserRegistered, starts="always")
        def begin(self, event: UserRegistered) -> None: ...

    return Users


def stateless() -> Manager:
    class Users(ProcessManager):  # type: ignore[type-arg]
        @handles(UserRegistered, starts="always")
        def begin(self, event: UserRegistered) -> None: ...

    return Users


def with_init() -> Manager:
    class Users(Good):
        def __init__(self) -> None: ...

    return Users


def saying(base: type[Any] = Good, **attributes: Any) -> Manager:
    return type("Users", (base,), attributes)


def applying(*events: Any) -> Manager:
    """Each in a method of its own, `apply_1` and so on."""

    def applier() -> Any:
        def apply(self: Any, event: Any) -> None: ...

        return apply

    methods = {f"apply_{number}": applies(event)(applier()) for number, event in enumerate(events, 1)}
    return saying(GoodStream, _began=None, **methods)


def applies_without_stream() -> Manager:
    class Users(Good):
        @applies(Began)
        def _began(self, began: Began) -> None: ...

    return Users


def applies_to_another() -> Manager:
    class Users(GoodStream):
        @applies(Began)  # type: ignore[arg-type]
        def _began(self, began: UserLeft) -> None: ...

    return Users


KEY = {"saga_key": "user", "event_key": "user_id"}

FAULTS: dict[str, tuple[Callable[[], Any], str]] = {
    "a saga key alone": (
        lambda: bound(saga_key="user"),
        r"saga 'Users': method 'find', @handles\(UserRegistered, saga_key='user'\) \(.+:\d+\): the saga key 'user' is "
        r"compared with nothing; say which field of UserRegistered: event_key=",
    ),
    "an event key alone": (
        lambda: bound(event_key="user_id"),
        r"saga 'Users': method 'find', .*: UserRegistered.user_id is compared with nothing; .* saga_key=",
    ),
    "an event key that is no field": (
        lambda: bound(saga_key="user", event_key="userid"),
        r"saga 'Users': method 'find', .*UserRegistered has no field 'userid'; it has 'user_id', 'number', 'token'",
    ),
    "a key that is a truth": (
        lambda: bound(saga_key="user", event_key="active"),
        r"saga 'Users': method 'find', .*UserRegistered.active is bool; a key is a str, an int or a UUID",
    ),
    "a key that is a float": (lambda: bound(saga_key="user", event_key="weight"), r"UserRegistered.weight is float; "),
    "a key that is a list": (lambda: bound(saga_key="user", event_key="tags"), r"UserRegistered.tags is list\[str\]; "),
    "a key that may be no key": (lambda: bound(saga_key="user", event_key="either"), r"UserRegistered.either is "),
    "an empty saga key": (
        lambda: bound(saga_key="", event_key="user_id"),
        r"saga 'Users': method 'find', .*a saga_key is a name of 1 to 120 characters",
    ),
    "a start that is looked for": (
        lambda: bound(starts="always", **KEY),
        r"saga 'Users': method 'find', .*'always'.*: what always starts a new saga looks for none",
    ),
    "another word for starting": (
        lambda: bound(starts="sometimes"),
        r"saga 'Users': method 'find', .*: starts is one of 'never', 'if_none', 'always'",
    ),
    "the same binding twice": (
        twice_bound,
        r"saga 'Users': method 'begin', @handles\(UserRegistered, starts='if_none'\) .*: the same stands .* twice",
    ),
    "two methods for one event": (
        two_methods,
        r"saga 'Users': the methods 'begin' and 'note' both handle UserRegistered",
    ),
    "a method without self": (without_self, r"saga 'Users': method 'begin'\(\).* is called with \(self, event\)"),
    "a method that wants more": (
        with_two_arguments,
        r"saga 'Users': method 'begin'.* is called with \(self, event\): missing a required argument: 'context'",
    ),
    "a static method": (static, r"saga 'Users': 'begin' has @handles and is no plain method, but a staticmethod"),
    "a coroutine": (asynchronous, r"saga 'Users': method 'begin' is async, or has a yield"),
    "a generator": (generator, r"saga 'Users': method 'begin' is async, or has a yield"),
    "a method for another class": (
        of_another_class,
        r"saga 'Users': method 'begin' is for UserRegistered, and says that its 'event' is UserLeft",
    ),
    "nothing that starts it": (never_started, r"saga 'Users': no event ever starts one"),
    "a handler that was overridden": (overridden_without_mark, r"saga 'Users': no method of it has @handles"),
    "no handlers": (silent, r"saga 'Users': no method of it has @handles"),
    "a state that is no dataclass": (lambda: with_state(dict), r"saga 'Users': its state must be a dataclass, not "),
    "a state without defaults": (
        lambda: with_state(Bare),
        r"saga 'Users': its state Bare begins as Bare\(\), and has no default for 'user_id'$",
    ),
    "a state that cannot be made": (
        lambda: with_state(Impossible),
        r"saga 'Users': its state Impossible\(\) cannot be made: division by zero",
    ),
    "a state that cannot travel": (
        lambda: with_state(Untravelled),
        r"state of Users: Untravelled.what cannot travel as JSON",
    ),
    "no state": (stateless, r"saga 'Users': it does not say what its state is"),
    "an __init__": (with_init, r"saga 'Users': it has an __init__ of its own"),
    "a long name": (lambda: saying(name="x" * 121), r"its name is longer than 120 characters"),
    "no name": (lambda: saying(name=" "), r"saga 'Users': its name must be a line of text"),
    "the base": (lambda: ProcessManager, r"ProcessManager is only what process managers are made from"),
    "the other base": (lambda: EventSourcedProcessManager, r"EventSourcedProcessManager is only what"),
    "another class": (lambda: State, r"<class '.*State'> is no process manager"),
    "no class": (lambda: 17, r"17 is no process manager"),
    "commands that are none": (lambda: saying(commands=("greet",)), r"saga 'Users': `commands` holds 'greet', which"),
    "a command that is no list": (lambda: saying(commands=greet), r"saga 'Users': its `commands` must be a tuple or"),
    "two commands of one name": (
        lambda: saying(commands=(greet, greet_otherwise)),
        r"saga 'Users': `commands` holds two commands that are called 'mails.greet'",
    ),
    "an event that is none": (lambda: saying(publishes=(Unknown,)), r"saga 'Users': `publishes`: Unknown is no event"),
    "an event that is no class": (lambda: saying(publishes=("x",)), r"saga 'Users': `publishes` holds 'x'; it takes"),
    "an own event twice": (
        lambda: applying(Began, Began),
        r"saga 'Users': Began is applied twice, by 'apply_1' and 'apply_2'",
    ),
    "two own events of one name": (
        lambda: applying(Began, AnotherBegan),
        r"saga 'Users': two of its own events are called Began \(.*'apply_1', and .*'apply_2'\)",
    ),
    "an own event that is no dataclass": (
        lambda: applying(int),
        r"saga 'Users': method 'apply_1': @applies takes a dataclass, not <class 'int'>",
    ),
    "an own event that cannot travel": (
        lambda: applying(Endless),
        r"saga 'Users', method 'apply_1': own event Endless: Endless.what cannot travel as JSON",
    ),
    "an own event for another method": (
        applies_to_another,
        r"saga 'Users': method '_began' is for Began, and says that its 'began' is UserLeft",
    ),
    "own events of a plain one": (
        applies_without_stream,
        r"saga 'Users': method '_began' has @applies, and the class is no EventSourcedProcessManager",
    ),
    "no snapshots": (
        lambda: saying(GoodStream, snapshot_every=0),
        r"saga 'Users': its snapshot_every must be .* not 0",
    ),
    "snapshots of a truth": (lambda: saying(GoodStream, snapshot_every=True), r"its snapshot_every must be"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_wrong_is_said_at_start(fault: str) -> None:
    make, said = FAULTS[fault]
    made = make()
    with pytest.raises(DefinitionError) as raised:
        process_manager_of(made)
    assert re.search(said, str(raised.value)), str(raised.value)


def test_two_of_one_name_in_one_subscriber_are_refused() -> None:
    class Other(Good):
        name = "Good"

    with pytest.raises(DefinitionError) as raised:
        process_managers_of([Good, GoodStream, Other])
    place = r"\S*test_configuration.py:\d+"
    said = rf"saga 'Good': it is among the process managers twice \(Good, {place} and \S+Other, {place}\)"
    assert re.search(said, str(raised.value)), str(raised.value)
    with pytest.raises(DefinitionError, match=r"saga 'Good': it is among the process managers twice"):
        create_subscriber(
            "users", broker="memory://", database_url="sqlite://", queue="there", process_managers=[Good, Good]
        )


@pytest.mark.parametrize("name", ["user_id", "number", "token", "mentor", "typed", "noted", "plan", "kind"])
def test_texts_numbers_and_uuids_can_be_keys_by_whatever_name(name: str) -> None:
    description = process_manager_of(bound(saga_key="user", event_key=name))
    assert description.key_names == {"user"}


def test_inherited_handlers_count_and_an_overriding_one_replaces_its_own() -> None:
    class Heir(Good):
        @handles(UserLeft)
        def leave(self, event: UserLeft) -> None: ...

    class Other(Good):
        @handles(UserRegistered, starts="if_none")
        def begin(self, event: UserRegistered) -> None: ...

    assert {name: one.method for name, one in process_manager_of(Heir).handlings.items()} == {
        "users.UserRegistered": "begin",
        "users.UserLeft": "leave",
    }
    assert [one.starts for one in process_manager_of(Other).handlings["users.UserRegistered"].bindings] == ["if_none"]


def test_one_method_may_handle_several_events() -> None:
    class Both(ProcessManager[State]):
        @handles(UserRegistered, starts="always")
        @handles(UserLeft)
        def note(self, event: UserRegistered | UserLeft) -> None: ...

    handlings = process_manager_of(Both).handlings
    assert {name: [binding.starts for binding in one.bindings] for name, one in handlings.items()} == {
        "users.UserRegistered": ["always"],
        "users.UserLeft": ["never"],
    }


Some = TypeVar("Some")


def test_a_state_may_be_told_through_a_generic_class() -> None:
    class Base(ProcessManager[Some], Generic[Some]):
        @handles(UserRegistered, starts="always")
        def begin(self, event: UserRegistered) -> None: ...

    class Concrete(Base[State]): ...

    assert process_manager_of(Concrete).state is State


def test_a_description_says_what_is_sent_and_published() -> None:
    description = process_manager_of(Good)
    assert dict(description.commands) == {"mails.greet": greet}
    assert list(description.publishes) == ["users.UserLeft"]
    assert (description.name, description.snapshot_every) == ("Good", None)
    assert process_manager_of(GoodStream).snapshot_every == 50
