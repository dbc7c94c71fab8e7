"""The composition root: the only place that chooses database and broker and says what is registered."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any

from sagas_framework.definition.compiler import compile_saga
from sagas_framework.definition.graph import (
    DEFAULT_ASK_AGAIN_AFTER_SECONDS,
    DEFAULT_GIVE_UP_AFTER_SECONDS,
    Definition,
    Timing,
)
from sagas_framework.definition.retry import RetryPolicy
from sagas_framework.definition.saga import Saga
from sagas_framework.delivery.rejected import keep_what_celery_rejects
from sagas_framework.delivery.relay import OutboxRelay
from sagas_framework.delivery.thread import Chore, run_in_workers
from sagas_framework.errors import ConfigurationError
from sagas_framework.events.consumer import Consumer
from sagas_framework.events.handlers import plain_handlers_in
from sagas_framework.events.intake import Intake
from sagas_framework.events.subscriber import Subscriber
from sagas_framework.events.subscription import Subscription, refuse_missing_subscriptions
from sagas_framework.events.wiring import (
    DEFAULT_RETRY,
    events_by_name,
    receipts_queues,
    take_receipts,
    warn_of_unheard,
)
from sagas_framework.orchestrator.on_events import EventStart
from sagas_framework.orchestrator.orchestrator import Orchestrator
from sagas_framework.participant.handlers import marked_in, refuse_contradictory_handlers
from sagas_framework.participant.participant import Participant
from sagas_framework.process_managers.compiler import process_managers_of
from sagas_framework.process_managers.consumer import ProcessManagerConsumer
from sagas_framework.process_managers.manager import ProcessManager
from sagas_framework.storage.database import open_database
from sagas_framework.transport.celery_app import Broker, create_celery_app
from sagas_framework.transport.publisher import Publisher
from sagas_framework.vocabulary.contracts import refuse_contradictions
from sagas_framework.vocabulary.event import AnyEvent
from sagas_framework.vocabulary.names import answers_queue_name
from sagas_framework.vocabulary.place import place_of_class


def create_orchestrator(
    name: str,
    *,
    broker: Broker | str,
    database_url: str,
    sagas: Sequence[type[Saga[Any]]],
    publishes: Sequence[type[Any]] = (),
    events_queue: str | None = None,
    on_events: Sequence[EventStart] = (),
    ask_again_after_seconds: float = DEFAULT_ASK_AGAIN_AFTER_SECONDS,
    give_up_after_seconds: float = DEFAULT_GIVE_UP_AFTER_SECONDS,
) -> Orchestrator:
    """An orchestrator with its Celery app (`.app`), whose workers consume the sagas' reply queues.

    `publishes`: the events that its sagas' functions and the application publish. `on_events`: which events start which
    sagas, `[starts(CreateOrderSaga, on=OrderPlaced, data=order_to_create)]`; its workers take them from `events_queue`.
    Nothing connects until it is used, so this may stand at the top of a `worker.py`.
    """
    broker = Broker(broker) if isinstance(broker, str) else broker
    engine = open_database(database_url)
    timing = Timing(ask_again_after_seconds, give_up_after_seconds)
    published = events_by_name(publishes)
    compiled = [compile_saga(saga, timing) for saga in sagas]
    queues = [*(one.response_queue for one in compiled), *receipts_queues(published)]
    if events_queue is not None or on_events:
        queues.append(_events_queue(name, events_queue, on_events, compiled, published))
    app = create_celery_app(name, broker, dict.fromkeys(queues), batches=True)
    orchestrator = Orchestrator(name, app, broker, engine, sagas, timing, published, events_queue, on_events)
    events = [*published.values(), *(start.event for start in on_events)]
    _refuse_contradictory_sagas(orchestrator.definitions.values(), events)
    orchestrator.register_async_step_handlers()
    if published:
        take_receipts(app, broker, engine, DEFAULT_RETRY)
        warn_of_unheard(name, published)
    chores: list[Callable[[], Chore]] = [orchestrator.due_sagas, lambda: OutboxRelay(engine, Publisher(app, broker))]
    if orchestrator.subscription is None:
        keep_what_celery_rejects(app, engine)
    else:
        keep_what_celery_rejects(app, engine, orchestrator.subscription.take_unknown)
        chores.append(orchestrator.subscription.due_events)
    run_in_workers(app, lambda: [make() for make in chores])
    return orchestrator


def create_participant(
    name: str,
    *,
    broker: Broker | str,
    database_url: str | None,
    queue: str,
    handlers: Sequence[ModuleType] = (),
    publishes: Sequence[type[Any]] = (),
) -> Participant:
    """A participant with its Celery app (`.app`), whose workers consume the command queue.

    Without a database a handler still answers, but a duplicate runs it twice. If all handlers are `database_only`, its
    workers do commands in batches; otherwise one at a time, several side by side. `publishes`: the events that they and
    the application publish; that takes a database.
    """
    broker = Broker(broker) if isinstance(broker, str) else broker
    engine = None if database_url is None else open_database(database_url)
    for module in handlers:
        _refuse_handlers_of_other_queues(name, queue, module)
    published = events_by_name(publishes)
    refuse_contradictory_handlers(handlers, published.values())
    in_batches = engine is not None and bool(handlers) and _all_are_database_only(handlers)
    app = create_celery_app(name, broker, [queue, *receipts_queues(published)], batches=in_batches)
    participant = Participant(name, app, broker, engine, published)
    if in_batches:
        participant.register_in_batches(handlers)
    else:
        for module in handlers:
            participant.register(module)
    if engine is not None:
        keep_what_celery_rejects(app, engine)
    if published:
        if engine is None:
            raise ConfigurationError(f"participant {name!r} publishes events, and needs a database to keep them in")
        relay = OutboxRelay(engine, Publisher(app, broker))
        take_receipts(app, broker, engine, DEFAULT_RETRY)
        warn_of_unheard(name, published)
        run_in_workers(app, lambda: [relay])
    return participant


def create_subscriber(
    name: str,
    *,
    broker: Broker | str,
    database_url: str,
    queue: str,
    handlers: Sequence[ModuleType] = (),
    process_managers: Sequence[type[ProcessManager[Any]]] = (),
    publishes: Sequence[type[Any]] = (),
    retry: RetryPolicy = DEFAULT_RETRY,
) -> Subscriber:
    """A subscriber with its Celery app (`.app`), whose workers take events from `queue`.

    `handlers`: modules with plain functions that handle events. `publishes`: the events that those may publish; what a
    process manager may send and publish, it says itself. `retry`: of events whose handlers raise; then they wait for
    the operator, and with them what comes later of the same aggregate.
    """
    broker = Broker(broker) if isinstance(broker, str) else broker
    engine = open_database(database_url)
    consumers: list[Consumer] = [*plain_handlers_in(handlers)]
    consumers += [ProcessManagerConsumer(one, name) for one in process_managers_of(process_managers)]
    if not consumers:
        raise ConfigurationError(f"subscriber {name!r} handles no event; give it handlers or process managers")
    refuse_missing_subscriptions(f"subscriber {name!r}", queue, consumers)
    commands = [command for consumer in consumers for command in consumer.commands]
    published = events_by_name(publishes) | {event.name: event for one in consumers for event in one.publishes}
    wanted = [event for consumer in consumers for event in consumer.events.values()]
    refuse_contradictions(commands, events=[*published.values(), *wanted])
    answers = [_answers_queue(name, queue)] if commands else []
    app = create_celery_app(name, broker, [queue, *answers, *receipts_queues(published)], batches=True)
    subscription = Subscription(app, broker, Intake(queue, engine, consumers, published, retry))
    subscriber = Subscriber(name, app, broker, subscription, published)
    if published or commands:
        take_receipts(app, broker, engine, retry, commands)
    warn_of_unheard(name, published)
    keep_what_celery_rejects(app, engine, subscriber.subscription.take_unknown)
    run_in_workers(app, lambda: [subscriber.subscription.due_events(), OutboxRelay(engine, Publisher(app, broker))])
    return subscriber


def _answers_queue(name: str, queue: str) -> str:
    if queue == (answers := answers_queue_name(name)):
        raise ConfigurationError(
            f"subscriber {name!r}: {answers!r} is where its process managers' commands are answered; give events "
            "another queue"
        )
    return answers


def _events_queue(
    name: str,
    queue: str | None,
    on_events: Sequence[EventStart],
    sagas: Sequence[Definition],
    publishes: Mapping[str, AnyEvent],
) -> str:
    if queue is None:
        raise ConfigurationError(
            f"orchestrator {name!r}: events start its sagas ({on_events[0]}), and no queue is named that they come to; "
            "give it an events_queue"
        )
    if not on_events:
        raise ConfigurationError(
            f"orchestrator {name!r}: no event of its events_queue {queue!r} would do anything; say with on_events "
            "which sagas they start, or leave the queue out"
        )
    used = {taken: f"the sagas' commands or replies ({one.name})" for one in sagas for taken in one.queues}
    used |= dict.fromkeys(receipts_queues(publishes), "the receipts for the events that it publishes")
    if queue in used:
        raise ConfigurationError(
            f"orchestrator {name!r}: its events_queue {queue!r} is that of {used[queue]}; give events a queue of "
            "their own"
        )
    return queue


def _refuse_contradictory_sagas(definitions: Collection[Definition], events: Iterable[AnyEvent]) -> None:
    signals = {(one.name, signal): step.payload for one in definitions for signal, step in one.signals.items()}
    refuse_contradictions(
        (command for one in definitions for command in one.commands),
        events=events,
        reply_queues={one.response_queue: f"saga {one.name!r} ({place_of_class(one.saga)})" for one in definitions},
        data={f"data of saga {one.name!r}": one.data_type for one in definitions}
        | {f"signal {signal!r} of saga {saga!r}": payload for (saga, signal), payload in signals.items()},
    )


def _all_are_database_only(handlers: Sequence[ModuleType]) -> bool:
    return all(marked.database_only for module in handlers for _, marked in marked_in(module))


def _refuse_handlers_of_other_queues(name: str, queue: str, module: ModuleType) -> None:
    for function, marked in marked_in(module):
        if marked.command.queue != queue:
            raise ConfigurationError(
                f"participant {name!r} consumes {queue!r}, but its handler {function.__qualname__} does "
                f"{marked.command.name!r}, which is sent to {marked.command.queue!r}: it would never be called"
            )
