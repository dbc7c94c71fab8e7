"""The orchestrator: what an application starts sagas with, and what its worker runs them on."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from celery import Celery
from sqlalchemy import Engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from sagas_framework.definition.checks import MAX_NAME_CHARACTERS, refuse_bad_children
from sagas_framework.definition.compiler import compile_saga
from sagas_framework.definition.graph import Definition, Timing, Undo, Work
from sagas_framework.definition.saga import Data, Saga
from sagas_framework.delivery.after_commit import PUBLISH_TIMEOUT_SECONDS
from sagas_framework.engine.protocol import Act, Signal
from sagas_framework.errors import ConfigurationError, DefinitionError, UnknownSaga
from sagas_framework.events.intake import Intake
from sagas_framework.events.publishing import Announcer
from sagas_framework.events.subscription import Subscription, refuse_missing_subscriptions
from sagas_framework.events.wiring import DEFAULT_RETRY
from sagas_framework.orchestrator.advance import Advancer
from sagas_framework.orchestrator.calls import refuse_inside_a_step
from sagas_framework.orchestrator.due import DueSagas
from sagas_framework.orchestrator.instance import Arrival
from sagas_framework.orchestrator.on_events import EventStart, SagaStarter
from sagas_framework.orchestrator.replies import ReplyBatches
from sagas_framework.orchestrator.start import Starts, start
from sagas_framework.orchestrator.waiting import DEFAULT_WAIT_SECONDS, Execution, SagaHandle
from sagas_framework.transport.celery_app import Broker
from sagas_framework.transport.inbox import Inbox
from sagas_framework.transport.publisher import Publisher
from sagas_framework.vocabulary import codec
from sagas_framework.vocabulary.event import AnyEvent
from sagas_framework.vocabulary.identity import is_saga_id
from sagas_framework.vocabulary.names import failure_task_name, success_task_name


class Orchestrator:
    """Build it with `create_orchestrator`.

    `app` is the Celery app of its worker, `engine` its database, `sessions` makes sessions on it.
    """

    def __init__(
        self,
        name: str,
        app: Celery,
        broker: Broker,
        engine: Engine,
        sagas: Sequence[type[Saga[Any]]],
        timing: Timing,
        publishes: Mapping[str, AnyEvent],
        events_queue: str | None,
        on_events: Sequence[EventStart],
    ) -> None:
        if not 0 < len(name) <= MAX_NAME_CHARACTERS:
            raise ConfigurationError(
                f"an orchestrator's name has 1 to {MAX_NAME_CHARACTERS} characters, not {len(name)}"
            )
        self.name = name
        self.app = app
        self.broker = broker
        self.engine = engine
        self.sessions: sessionmaker[Session] = sessionmaker(engine)
        self.definitions = _definitions(sagas, timing)
        self.publishes = publishes
        self.events_queue = events_queue
        self._announcer = Announcer(Publisher(app, broker, PUBLISH_TIMEOUT_SECONDS), publishes)
        self._announce = self._announcer.announce if publishes else None
        self._advancer = Advancer(name, engine, self.definitions, self._announce)
        self._starts = Starts(Publisher(app, broker, PUBLISH_TIMEOUT_SECONDS))
        self._inbox = Inbox(ReplyBatches(engine, self._advancer, Publisher(app, broker)).handle)
        self.subscription: Subscription | None = None
        if events_queue is not None:
            starter = SagaStarter(name, self.definitions, on_events)
            refuse_missing_subscriptions(f"orchestrator {name!r}", events_queue, [starter])
            self.subscription = Subscription(
                app, broker, Intake(events_queue, engine, [starter], publishes, DEFAULT_RETRY)
            )

    @property
    def subscribes(self) -> Mapping[str, AnyEvent]:
        """The events that start its sagas, by name."""
        return {} if self.subscription is None else self.subscription.events

    def start(
        self,
        saga: type[Saga[Data]],
        data: Data,
        *,
        session: Session | scoped_session[Any],
        idempotency_key: str | None = None,
    ) -> SagaHandle[Data]:
        """Starts a saga in the session's transaction: the caller's rows and the saga, or neither.

        Leading local steps run at once, and what they raise, the caller gets. The first commands leave after the
        commit. With an `idempotency_key` that was used before, nothing happens and `created` is False.

        The saga's own row is written as the last thing before that commit: the transaction that starts a saga cannot
        read it, and a foreign key to it has to be deferrable.
        """
        if not isinstance(saga, type):
            raise DefinitionError(f"a saga is started by its class, not by {saga!r}")
        definition = self.definitions.get(saga.name)
        if definition is None or definition.saga is not saga:
            raise DefinitionError(
                f"it is not registered with the orchestrator {self.name!r}; add it to the sagas of create_orchestrator",
                saga=saga.name,
            )
        saga_id, created = start(definition, self.name, data, session, idempotency_key, self._starts, self._announce)
        return SagaHandle(saga_id, created, self.engine, self.definitions)

    def publish(self, event: Any, *, session: Session | scoped_session[Any]) -> None:
        """Publishes an event in the session's transaction: the caller's rows and the event, or neither."""
        self._announcer.announce(event, session)

    def signal(self, saga_id: str, name: str, payload: Any = None) -> None:
        """Tells a saga that its step of this name, a `WaitForSignal`, may go on; one that comes early is kept.

        `payload` is what that step declares, or a dictionary of its JSON values; PayloadRefused says what else it is.
        OperationRefused: no such step waits, or its signal has come already.
        """
        encoded = codec.encode_undeclared({} if payload is None else payload, f"signal {name}")
        self.act(saga_id, Signal(time.time(), name, encoded))

    def act(self, saga_id: str, act: Act) -> None:
        """Applies what somebody outside wants. It sends nothing itself: the due loop of a worker does, at once."""
        refuse_inside_a_step(f"orchestrator.{type(act).__name__.lower()}()")
        self._advancer.arrivals([Arrival(saga_id, act)], (), act.now)

    def register_async_step_handlers(self) -> None:
        """Registers the response tasks of every command that a saga sends, `<task>.response.success|failure`, and the
        tasks by which sagas that are other sagas' steps are asked for."""
        responses = (name for definition in self.definitions.values() for name in _response_task_names(definition))
        for name in (*responses, *self._advancer.child_tasks):
            if name not in self.app.tasks:
                self._inbox.register(self.app, name)

    def due_sagas(self) -> DueSagas:
        """The chore that the delivery thread of a worker runs."""
        return DueSagas(self.engine, self._advancer, Publisher(self.app, self.broker))

    def run(
        self,
        saga: type[Saga[Data]],
        data: Data,
        *,
        timeout_seconds: float = DEFAULT_WAIT_SECONDS,
        idempotency_key: str | None = None,
        raise_on_failure: bool = True,
    ) -> Execution[Data]:
        """Starts a saga in a transaction of its own and waits for its end, as `start` and `handle.wait` do.

        With an `idempotency_key` that was used before, it waits for the saga which that has started. What a leading
        local step raises comes out as it is, as from `start`: no saga has been stored then.
        """
        refuse_inside_a_step("orchestrator.run()")
        with self.sessions.begin() as session:
            handle = self.start(saga, data, session=session, idempotency_key=idempotency_key)
        return handle.wait(timeout_seconds, raise_on_failure=raise_on_failure)

    def handle(self, saga_id: str) -> SagaHandle[Any]:
        """For waiting where the saga was not started: another process, a later request."""
        if not is_saga_id(saga_id):
            raise UnknownSaga(saga_id)
        return SagaHandle(saga_id, False, self.engine, self.definitions)


def _definitions(sagas: Sequence[type[Saga[Any]]], timing: Timing) -> dict[str, Definition]:
    definitions: dict[str, Definition] = {}
    for saga in sagas:
        if saga.name in definitions:
            raise DefinitionError("another saga has the same name", saga=saga.name)
        definitions[saga.name] = compile_saga(saga, timing)
    for definition in definitions.values():
        refuse_bad_children(definition, definitions)
    return definitions


def _response_task_names(definition: Definition) -> list[str]:
    names: list[str] = []
    for node in definition.nodes.values():
        awaited = (node.command if node.work is Work.COMMAND else None, node.undo is Undo.AWAITED and node.undo_command)
        for command in awaited:
            if command:
                names += [success_task_name(command.name), failure_task_name(command.name)]
    return names
