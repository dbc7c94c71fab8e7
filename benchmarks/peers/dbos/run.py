"""DBOS: workflows run in the process that starts them, or in workers behind its queue; their steps run in process."""

import argparse
import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measured_run import NONE, MeasuredRun, TimedOut, Unsupported, arguments, measured_run

if TYPE_CHECKING:
    from dbos import DBOSClient

PEER = "dbos"
QUEUE = "create-order"
SECONDS_TO_COMMIT = 10.0


def main() -> None:
    parser = arguments(PEER)
    parser.add_argument("--start", choices=("directly", "queue"), default="directly")
    parser.add_argument("--steps", choices=("transactions", "plain"), default="transactions")
    parser.add_argument("--processes", type=int, default=2, help="worker processes that serve the queue")
    parser.add_argument("--threads", type=int, default=4, help="workflows a process executes at a time")
    parser.add_argument("--polling", type=float, default=1.0, help="seconds between two looks into the queue")
    options = parser.parse_args()
    with measured_run(options) as run:
        set_environment(options)
        try:
            measurement = run.measure(launch(run))
            check_that_all_were_kept(options)
        finally:
            shut_down()
    measurement.print(PEER, settings(options))


def set_environment(options: argparse.Namespace) -> None:
    if options.broker != NONE:
        raise Unsupported("DBOS uses no broker")
    if options.database == NONE:
        raise Unsupported("DBOS needs a database")
    os.environ["PEER_DATABASE"] = options.database
    os.environ["PEER_STEPS"] = options.steps
    os.environ["PEER_THREADS"] = str(options.threads)
    os.environ["PEER_MODE"] = options.mode


def launch(run: MeasuredRun) -> Callable[[int], object]:
    import services
    import workflow
    from dbos import DBOS

    services.create_tables(workflow.datasource.engine)
    DBOS.launch()
    if run.options.start == "directly":
        return lambda saga_id: DBOS.start_workflow(workflow.create_order, saga_id)
    DBOS.register_queue(QUEUE, polling_interval_sec=run.options.polling)
    DBOS.destroy()
    for number in range(1, run.options.processes + 1):
        run.workers.start(f"worker-{number}", [sys.executable, str(Path(__file__).parent / "worker.py")])
    client = client_of(run.options)
    name = workflow.create_order.__qualname__
    return lambda saga_id: client.enqueue({"queue_name": QUEUE, "workflow_name": name}, saga_id)


def shut_down() -> None:
    """Without it an interrupted run would first execute every workflow that was started."""
    from dbos import DBOS

    # The workflows that are running now would complain, and bury what went wrong.
    logging.getLogger("dbos").setLevel(logging.CRITICAL)
    DBOS.destroy()


def check_that_all_were_kept(options: argparse.Namespace) -> None:
    """A saga tells its end in its last line; that DBOS has kept it as a success follows a moment later."""
    client = client_of(options)
    expected = options.warm_up + options.sagas
    deadline = time.monotonic() + SECONDS_TO_COMMIT
    while (kept := len(client.list_workflows(status="SUCCESS", load_input=False, load_output=False))) != expected:
        if time.monotonic() > deadline:
            raise TimedOut(f"DBOS keeps {kept} successful workflows instead of {expected}")
        time.sleep(0.1)
    client.destroy()


def client_of(options: argparse.Namespace) -> "DBOSClient":
    from dbos import DBOSClient

    return DBOSClient(system_database_url=options.database)


def settings(options: argparse.Namespace) -> dict[str, Any]:
    chosen = {"database": options.database.partition(":")[0], "start": options.start}
    chosen |= {"steps": options.steps, "threads": options.threads}
    if options.start == "queue":
        chosen |= {"processes": options.processes, "polling_seconds": options.polling}
    return chosen


if __name__ == "__main__":
    main()
