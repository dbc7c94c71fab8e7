"""What the peers on Celery share: the application's settings, and how its worker processes are started and measured."""

import argparse
import os
import sys
from importlib import import_module
from typing import Any

from celery import Celery
from celery.signals import worker_ready
from create_order import ACCOUNTING_QUEUE, CONSUMER_QUEUE, REPLY_QUEUE, RESTAURANT_QUEUE, Mode
from measured_run import NONE, MeasuredRun, Unsupported, arguments, measured_run
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


def measure_services(peer: str, application_module: str) -> None:
    """One run, as the command line asks for it, of a peer with a worker process for each service.

    The module is imported once its environment is set; it holds the Celery application and `start_saga`.
    """
    parser = arguments(peer)
    add_worker_arguments(parser)
    options = parser.parse_args()
    with measured_run(options) as run:
        set_environment(options)
        module = import_module(application_module)
        for name, queue in QUEUES.items():
            start_worker(run, application_module, name, queue)
        measurement = run.measure(module.start_saga)
    measurement.print(peer, settings(options))


def add_worker_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pool", choices=("solo", "threads", "prefork"), default="solo")
    parser.add_argument("--concurrency", type=int, default=1, help="threads or processes of each worker")
    parser.add_argument("--prefetch", type=int, default=64, help="messages fetched ahead, times the concurrency")


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
