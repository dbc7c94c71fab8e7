"""What an application writes: a class with a state, and methods that handle events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Generic, TypeVar

from sagas_framework.errors import DefinitionError
from sagas_framework.process_managers.hand import SagaInHand
from sagas_framework.process_managers.keys import Keys
from sagas_framework.vocabulary.command import AnyCommand, Command, PayloadType, ResponseType

StateType = TypeVar("StateType")
Manager = TypeVar("Manager")
Own = TypeVar("Own")

_APPLIES = "__sagas_applies__"


class ProcessManager(Generic[StateType]):
    """A saga that starts with events and goes on with events, of which nobody planned the sequence.

        class UserRegistration(ProcessManager[Registration]):
            commands = (send_verification_mail,)
            publishes = (RegistrationCompleted,)

            @handles(UserRegistered, starts="always")
            def begin(self, event: UserRegistered) -> None:
                self.keys.set("user", event.user_id)
                self.send(send_verification_mail, VerificationMail(event.email))

            @handles(UserVerified, saga_key="user", event_key="user_id")
            def note(self, event: UserVerified) -> None:
                self.publish(RegistrationCompleted(event.user_id))
                self.end()

    The brackets name its state, a dataclass whose fields all have defaults. `commands` and `publishes` are what it may
    send and publish. An instance lives as long as one event is handled: what lasts is `state` and `keys`.

    State, keys and all that goes out are one transaction with the event that was handled; should the method raise,
    none of it has happened, and the event is handled again. That is why no session is offered, and why a method must
    do nothing else: other rows and calls to elsewhere belong into the handler of a command, which the participant runs
    in a transaction of its own, and effectively once.
    """

    name: ClassVar[str]
    commands: ClassVar[Sequence[AnyCommand]] = ()
    publishes: ClassVar[Sequence[type[Any]]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.name = cls.__dict__.get("name", cls.__name__)

    def __init__(self, saga: SagaInHand) -> None:
        """The framework makes the instances, one for each event."""
        object.__setattr__(self, "_saga", saga)

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "state":
            raise DefinitionError(
                f"self.{name} would be gone with the next event; what is to last is a field of the state",
                saga=self.name,
            )
        object.__setattr__(self, name, value)

    @property
    def _in_hand(self) -> SagaInHand:
        saga: SagaInHand = vars(self)["_saga"]
        return saga

    @property
    def saga_id(self) -> str:
        return self._in_hand.id

    @property
    def state(self) -> StateType:
        """May be changed in place, or set."""
        state: StateType = self._in_hand.state.value
        return state

    @state.setter
    def state(self, state: StateType) -> None:
        self._in_hand.state.value = state

    @property
    def keys(self) -> Keys:
        """By what events find this saga: `add`, `set`, `remove`, `get`. They are gone when it has ended."""
        return self._in_hand.keys

    def send(self, command: Command[PayloadType, ResponseType], payload: PayloadType) -> None:
        """Sends a command with this transaction. It arrives, and is handled effectively once; its answer comes to
        nobody's method: what a participant has to say to sagas, it publishes."""
        self._in_hand.send(command, payload)

    def send_later(
        self,
        command: Command[PayloadType, ResponseType],
        payload: PayloadType,
        *,
        delay: timedelta | None = None,
        at: datetime | None = None,
    ) -> None:
        """The same, not before its time: a time-out is a command to come. It is sent whatever happens to the saga
        meanwhile."""
        self._in_hand.send_later(command, payload, delay, at)

    def publish(self, event: Any) -> None:
        """Publishes an event with this transaction."""
        self._in_hand.publish(event)

    def end(self) -> None:
        """When this method has returned, no event finds this saga any more."""
        self._in_hand.end()


class EventSourcedProcessManager(ProcessManager[StateType]):
    """The same, with a state that is made of what the saga has recorded, which stays readable for ever:

        @handles(UserRegistered, starts="always")
        def begin(self, event: UserRegistered) -> None:
            self.record(Began(event.user_id))

        @applies(Began)
        def _on_began(self, began: Began) -> None:
            self.state.user_id = began.user_id

    Only methods with @applies change the state. They run once when something is recorded, and whenever the state is
    made again: of the latest snapshot, which is made every `snapshot_every` events, and of what came after it.
    """

    snapshot_every: ClassVar[int] = 50

    def record(self, event: Any) -> None:
        """Something that has happened to this saga, an instance of any dataclass; applied at once."""
        self._in_hand.record(self, event)


def applies(event: type[Own]) -> Callable[[Callable[[Manager, Own], None]], Callable[[Manager, Own], None]]:
    """Marks the method that says what one of the saga's own events does to its state."""

    def mark(function: Callable[[Manager, Own], None]) -> Callable[[Manager, Own], None]:
        setattr(function, _APPLIES, (event, *applied_by(function)))
        return function

    return mark


def applied_by(function: Any) -> tuple[type[Any], ...]:
    found = getattr(function, "__dict__", {}).get(_APPLIES, ())
    return found if isinstance(found, tuple) else ()
