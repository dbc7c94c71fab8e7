"""The composition root: the only place that chooses database and broker and says what is registered."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Sequence
from types import ModuleType
from typing import Any

from sagas_framework.definition.compiler import compile_saga
from sagas_framework.definition.graph import (
    DEFAULT_ASK_AGAIN_AFTER_SECONDS,
    DEFAULT_GIVE_UP_AFTER_SECONDS,
    Definition,
    Timing,
)
from sagas_framework.definition.saga import Saga
from sagas_framework.delivery.rejected import keep_what_celery_rejects
from sagas_framework.delivery.relay import OutboxRelay
from sagas_framework.delivery.thread import run_in_workers
from sagas_framework.errors import ConfigurationError
from sagas_framework.orchestrator.orchestrator import Orchestrator
from sagas_framework.participant.handlers import marked_in, refuse_contradictory_handlers
from sagas_framework.participant.participant import Participant
from sagas_framework.storage.database import open_database
from sagas_framework.transport.celery_app import Broker, create_celery_app
from sagas_framework.transport.publisher import Publisher
from sagas_framework.vocabulary.contracts import refuse_contradictions


def create_orchestrator(
    name: str,
    *,
    broker: Broker | str,
    database_url: str,
    sagas: Sequence[type[Saga[Any]]],
    ask_again_after_seconds: float = DEFAULT_ASK_AGAIN_AFTER_SECONDS,
    give_up_after_seconds: float = DEFAULT_GIVE_UP_AFTER_SECONDS,
) -> Orchestrator:
    """An orchestrator with its Celery app (`.app`), whose workers consume the sagas' reply queues.

    Nothing connects until it is used, so this may stand at the top of a `worker.py`.
    """
    broker = Broker(broker) if isinstance(broker, str) else broker
    engine = open_database(database_url)
    timing = Timing(ask_again_after_seconds, give_up_after_seconds)
    queues = list(dict.fromkeys(compile_saga(saga, timing).response_queue for saga in sagas))
    app = create_celery_app(name, broker, queues, batches=True)
    orchestrator = Orchestrator(name, app, broker, engine, sagas, timing)
    _refuse_contradictory_sagas(orchestrator.definitions.values())
    orchestrator.register_async_step_handlers()
    keep_what_celery_rejects(app, engine)
    run_in_workers(app, lambda: [orchestrator.due_sagas(), OutboxRelay(engine, Publisher(app, broker))])
    return orchestrator


def create_participant(
    name: str,
    *,
    broker: Broker | str,
    database_url: str | None,
    queue: str,
    handlers: Sequence[ModuleType] = (),
) -> Participant:
    """A participant with its Celery app (`.app`), whose workers consume the command queue.

    Without a database a handler still answers, but a duplicate runs it twice. If all handlers are `database_only`, its
    workers do commands in batches; otherwise one at a time, several side by side.
    """
    broker = Broker(broker) if isinstance(broker, str) else broker
    engine = None if database_url is None else open_database(database_url)
    for module in handlers:
        _refuse_handlers_of_other_queues(name, queue, module)
    refuse_contradictory_handlers(handlers)
    in_batches = engine is not None and bool(handlers) and _all_are_database_only(handlers)
    app = create_celery_app(name, broker, [queue], batches=in_batches)
    participant = Participant(name, app, broker, engine)
    if in_batches:
        participant.register_in_batches(handlers)
    else:
        for module in handlers:
            participant.register(module)
    if engine is not None:
        keep_what_celery_rejects(app, engine)
    return participant


def _refuse_contradictory_sagas(definitions: Collection[Definition]) -> None:
    signals = {(one.name, signal): step.payload for one in definitions for signal, step in one.signals.items()}
    refuse_contradictions(
        (command for one in definitions for command in one.commands),
        reply_queues={one.response_queue: f"saga {one.name!r} ({_place_of(one.saga)})" for one in definitions},
        data={f"data of saga {one.name!r}": one.data_type for one in definitions}
        | {f"signal {signal!r} of saga {saga!r}": payload for (saga, signal), payload in signals.items()},
    )


def _place_of(saga: type[Any]) -> str:
    try:
        return f"{inspect.getsourcefile(saga)}:{inspect.getsourcelines(saga)[1]}"
    except (OSError, TypeError):  # made at run time: there is no source
        return saga.__module__


def _all_are_database_only(handlers: Sequence[ModuleType]) -> bool:
    return all(marked.database_only for module in handlers for _, marked in marked_in(module))


def _refuse_handlers_of_other_queues(name: str, queue: str, module: ModuleType) -> None:
    for function, marked in marked_in(module):
        if marked.command.queue != queue:
            raise ConfigurationError(
                f"participant {name!r} consumes {queue!r}, but its handler {function.__qualname__} does "
                f"{marked.command.name!r}, which is sent to {marked.command.queue!r}: it would never be called"
            )
