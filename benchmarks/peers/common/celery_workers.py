"""What the peers on Celery share: the application's settings and how a worker process of it is started."""

import argparse
import os
import sys
from typing import Any

from celery import Celery
from celery.signals import worker_ready
from create_order import ACCOUNTING_QUEUE, CONSUMER_QUEUE, REPLY_QUEUE, RESTAURANT_QUEUE, Mode
from measured_run import NONE, MeasuredRun, Unsupported
from reports import report_ready

BROKER_VARIABLE = "PEER_BROKER"
MODE_VARIABLE = "PEER_MODE"

QUEUES = {
    "orchestrator": REPLY_QUEUE,
    "consumer": CONSUMER_QUEUE,
    "restaurant": RESTAURANT_QUEUE,
    "accounting": ACCOUNTING_QUEUE,
}
"""The worker processes and what each of them consumes."""


def add_worker_arguments(parser: argparse.ArgumentParser, pool: str, concurrency: int, prefetch: int) -> None:
    parser.add_argument("--pool", choices=("solo", "threads", "prefork"), default=pool)
    parser.add_argument("--concurrency", type=int, default=concurrency, help="threads or processes of each worker")
    parser.add_argument("--prefetch", type=int, default=prefetch, help="messages fetched ahead, times the concurrency")


def set_environment(options: argparse.Namespace) -> None:
    """What the application is made from, here and in the workers: to be set before it is imported."""
    if options.broker == NONE:
        raise Unsupported("Celery needs a broker")
    if options.database != NONE:
        raise Unsupported("this peer keeps nothing in a database")
    os.environ[BROKER_VARIABLE] = options.broker
    os.environ[MODE_VARIABLE] = options.mode


def application(name: str) -> Celery:
    app = Celery(name, broker=os.environ[BROKER_VARIABLE])
    app.conf.update(
        task_ignore_result=True,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
    )
    return app


def mode() -> Mode:
    return Mode(os.environ[MODE_VARIABLE])


def start_worker(run: MeasuredRun, application_module: str, name: str, queues: str) -> None:
    options = run.options
    folder_of_the_script = sys.path[0]
    command = [sys.executable, "-m", "celery", "--quiet", "--app", application_module]
    command += ["--workdir", folder_of_the_script, "worker"]
    command += ["--queues", queues, "--hostname", f"{name}@%h", "--loglevel", "WARNING"]
    command += ["--pool", options.pool, "--concurrency", str(options.concurrency)]
    command += ["--prefetch-multiplier", str(options.prefetch)]
    command += ["--without-gossip", "--without-mingle"]
    run.workers.start(name, command)


def settings(options: argparse.Namespace) -> dict[str, Any]:
    chosen = {
        "broker": options.broker.partition(":")[0],
        "pool": options.pool,
        "concurrency": options.concurrency,
        "prefetch_multiplier": options.prefetch,
        "gossip_and_mingle": False,
        "acks_late": False,
    }
    if chosen["broker"] == "amqp":
        chosen |= {"persistent_messages": True, "publisher_confirms": False}
    return chosen


@worker_ready.connect
def _report_ready(**_: object) -> None:
    report_ready()
