"""The orchestrator: what an application starts sagas with, and what its worker runs them on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from celery import Celery
from sqlalchemy import Engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from sagas_framework.definition.graph import MAX_NAME_CHARACTERS, Definition, Timing, compile_saga
from sagas_framework.definition.saga import Saga
from sagas_framework.definition.steps import AsyncStep, Send
from sagas_framework.delivery.after_commit import PUBLISH_TIMEOUT_SECONDS
from sagas_framework.engine.protocol import Cancel, Pause, Resume, Retry
from sagas_framework.errors import ConfigurationError, DefinitionError
from sagas_framework.orchestrator.advance import Advancer, Arrival
from sagas_framework.orchestrator.due import DueSagas
from sagas_framework.orchestrator.replies import ReplyBatches
from sagas_framework.orchestrator.start import SagaHandle, Starts, start
from sagas_framework.transport.celery_app import Broker
from sagas_framework.transport.inbox import Inbox
from sagas_framework.transport.publisher import Publisher
from sagas_framework.vocabulary.names import failure_task_name, success_task_name


class Orchestrator:
    """Build it with `create_orchestrator`.

    `app` is the Celery app of its worker, `engine` its database, `sessions` makes sessions on it.
    """

    def __init__(
        self, name: str, app: Celery, broker: Broker, engine: Engine, sagas: Sequence[type[Saga[Any]]], timing: Timing
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
        self._advancer = Advancer(name, engine, self.definitions)
        self._starts = Starts(Publisher(app, broker, PUBLISH_TIMEOUT_SECONDS))
        self._inbox = Inbox(ReplyBatches(engine, self._advancer, Publisher(app, broker)).handle)

    def start(
        self,
        saga: type[Saga[Any]],
        data: Any,
        *,
        session: Session | scoped_session[Any],
        idempotency_key: str | None = None,
    ) -> SagaHandle:
        """Starts a saga in the session's transaction: the caller's rows and the saga, or neither.

        Leading local steps run at once, and what they raise, the caller gets. The first commands leave after the
        commit. With an `idempotency_key` that was used before, nothing happens and `created` is False.

        The saga's own row is written as the last thing before that commit: the transaction that starts a saga cannot
        read it, and a foreign key to it has to be deferrable.
        """
        definition = self.definitions.get(saga.name)
        if definition is None or definition.saga is not saga:
            raise DefinitionError(f"it is not registered with the orchestrator {self.name!r}", saga=saga.name)
        return start(definition, self.name, data, session, idempotency_key, self._starts)

    def act(self, saga_id: str, act: Retry | Cancel | Pause | Resume) -> None:
        """Applies an operator's act. It sends nothing itself: the due loop of a worker does, at once."""
        self._advancer.arrivals([Arrival(saga_id, act)], (), act.now)

    def register_async_step_handlers(self) -> None:
        """Registers the response tasks of every command that a saga sends: `<task>.response.success|failure`."""
        for definition in self.definitions.values():
            for name in _response_task_names(definition):
                if name not in self.app.tasks:
                    self._inbox.register(self.app, name)

    def due_sagas(self) -> DueSagas:
        """The chore that the delivery thread of a worker runs."""
        return DueSagas(self.engine, self._advancer, Publisher(self.app, self.broker))


def _definitions(sagas: Sequence[type[Saga[Any]]], timing: Timing) -> dict[str, Definition]:
    definitions: dict[str, Definition] = {}
    for saga in sagas:
        if saga.name in definitions:
            raise DefinitionError("another saga has the same name", saga=saga.name)
        definitions[saga.name] = compile_saga(saga, timing)
    return definitions


def _response_task_names(definition: Definition) -> list[str]:
    names: list[str] = []
    for node in definition.nodes.values():
        commands = [node.step.command] if isinstance(node.step, AsyncStep) else []
        if isinstance(node.step.compensation, Send) and node.step.compensation.awaited:
            commands.append(node.step.compensation.command)
        for command in commands:
            names += [success_task_name(command.name), failure_task_name(command.name)]
    return names
