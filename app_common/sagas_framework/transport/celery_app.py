"""The Celery app with the settings that durability depends on, and the check that they still hold."""

from __future__ import annotations

import gc
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from celery import Celery, signals
from kombu import Exchange, Queue

from sagas_framework.errors import ConfigurationError
from sagas_framework.transport.strict_app import StrictApp

BATCH_PREFETCH = 200
HANDLER_THREADS = 4
HANDLER_PREFETCH_PER_THREAD = 4
REDIS_RESTORE_INTERVAL_SECONDS = 1
REDIS_RESTORE_LOCK_SECONDS = 5
"""A worker that is killed while it looks for dead workers' messages leaves its lock: kombu's own stays 300 seconds."""
GARBAGE_THRESHOLD = 20_000
"""A batch makes many objects and drops them all: looking for cycles every 700 of them, as Python does, finds none."""
DEFAULT_VISIBILITY_TIMEOUT_SECONDS = 300.0
BROKER_SCHEMES = ("amqp", "amqps", "pyamqp", "redis", "rediss", "redis+socket")
IN_ONE_PROCESS = "memory"  # kombu's own: nobody else can reach it, so it serves for tests and specimens only

_DURABLE: dict[str, Any] = {
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "task_serializer": "json",
    "accept_content": ["json"],
    "task_ignore_result": True,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
}


@dataclass(frozen=True)
class Broker:
    """Where messages go, and how.

    `url` may be several, with semicolons between them: of these, the first that answers is used.
    `visibility_timeout_seconds` is Redis's alone: after it, what a dead worker held is delivered again.
    """

    url: str
    quorum_queues: bool = False
    visibility_timeout_seconds: float = DEFAULT_VISIBILITY_TIMEOUT_SECONDS

    def __post_init__(self) -> None:
        for url in self.url.split(";"):
            _refuse_unreadable(url)

    @property
    def addresses(self) -> list[SplitResult]:
        """The URLs, in parts."""
        return [urlsplit(url) for url in self.url.split(";")]

    @property
    def is_redis(self) -> bool:
        return self.url.startswith("redis")

    @property
    def confirms(self) -> bool:
        return _confirms(self.url)

    def queue(self, name: str) -> Queue:
        """The one way a queue is declared: two sides that declare it differently would lock each other out."""
        arguments = {"x-queue-type": "quorum"} if self.quorum_queues and not self.is_redis else None
        return Queue(name, Exchange(""), routing_key=name, durable=True, queue_arguments=arguments)

    def transport_options(self) -> dict[str, Any]:
        if self.is_redis:
            return {
                "visibility_timeout": self.visibility_timeout_seconds,
                "unacked_restore_interval": REDIS_RESTORE_INTERVAL_SECONDS,
                "unacked_restore_throttle": 1,
                "unacked_mutex_expire": REDIS_RESTORE_LOCK_SECONDS,
                "priority_steps": [0],
            }
        return {"confirm_publish": True} if self.confirms else {}


def _refuse_unreadable(url: str) -> None:
    """Of a URL that cannot be read nothing is told: any part of it may be of its password."""
    scheme, separator, _ = url.partition("://")
    if not separator:
        raise ConfigurationError(f"the broker URL has no scheme; supported are {', '.join(BROKER_SCHEMES)}")
    if scheme not in (*BROKER_SCHEMES, IN_ONE_PROCESS):
        raise ConfigurationError(f"the broker URL begins with {scheme!r}; supported are {', '.join(BROKER_SCHEMES)}")
    try:
        _ = urlsplit(url).port
    except ValueError:
        raise ConfigurationError(
            "the broker URL's host or port cannot be read; in a user name or password, write what is neither a letter "
            "nor a digit percent-encoded: %2F for /"
        ) from None


def _confirms(url: str) -> bool:
    return url.startswith(("amqp", "pyamqp"))


def create_celery_app(name: str, broker: Broker, queues: Iterable[str], *, batches: bool) -> Celery:
    """`batches`: the worker gathers messages into batches on its own loop; otherwise threads run handlers."""
    app = StrictApp(name, broker=broker.url, set_as_current=False)
    app.conf.update(
        _DURABLE,
        broker_transport_options=broker.transport_options(),
        task_queues=[broker.queue(queue) for queue in queues],
        task_create_missing_queues=True,
        worker_send_task_events=False,
        # Two workers of one name on one host would fight for the exclusive queue of remote control; and what an
        # operator needs to know is in the database.
        worker_enable_remote_control=False,
        worker_pool="solo" if batches else "threads",
        worker_concurrency=1 if batches else HANDLER_THREADS,
        worker_prefetch_multiplier=BATCH_PREFETCH if batches else HANDLER_PREFETCH_PER_THREAD,
        worker_cancel_long_running_tasks_on_connection_loss=False,
    )
    _keep_workers_to_themselves(app)
    if batches:
        _spare_the_collector(app)
    return app


def _keep_workers_to_themselves(app: Celery) -> None:
    """No mingling and no gossip: our workers have nothing to tell each other, and starting would take a second longer.

    Celery has no setting for these, only options of the command line and, before it reads them, this signal.
    """

    def quieten(sender: Any = None, **kwargs: Any) -> None:
        if sender.app is app:
            sender.options.update(without_mingle=True, without_gossip=True)

    signals.worker_init.connect(quieten, weak=False)


def _spare_the_collector(app: Celery) -> None:
    """What is there when the worker is ready stays: nobody need look through it for garbage again and again."""

    def freeze(sender: Any = None, **kwargs: Any) -> None:
        if sender.app is app:
            gc.collect()
            gc.freeze()
            gc.set_threshold(GARBAGE_THRESHOLD)

    signals.worker_ready.connect(freeze, weak=False)


def settings_that_lose_messages(app: Celery) -> list[str]:
    """One line for each setting that durability depends on and that somebody has changed."""
    problems = [
        f"{name} is {app.conf[name]!r}, it must be {value!r}"
        for name, value in _DURABLE.items()
        if app.conf[name] != value and list_of(app.conf[name]) != list_of(value)
    ]
    options = app.conf.broker_transport_options or {}
    if _confirms(app.conf.broker_url or "") and not options.get("confirm_publish"):
        problems.append("broker_transport_options.confirm_publish is off: a broker crash loses what was published")
    return problems


def list_of(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple, set)) else value
