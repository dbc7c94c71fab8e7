"""Celery without us, talking as saga-framework 0.1 does: `send_task` from inside a task, no headers of ours.

One app is both a participant that answers the toy's orchestrator, and an orchestrator that asks the toy's participant.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from celery import Celery, Task

from sagas_framework.environment import read_broker

broker = read_broker()
app = Celery("plain", broker=broker.url)
app.conf.update(
    task_ignore_result=True,
    task_default_queue=os.environ.get("PLAIN_CELERY_QUEUE", "plain"),
    worker_pool="threads",
    worker_concurrency=2,
    broker_transport_options=broker.transport_options(),
    worker_enable_remote_control=False,
    broker_connection_retry_on_startup=True,
)


@app.task(bind=True, name="toy.work")  # type: ignore[untyped-decorator]  # Celery has no types
def work(self: Task, saga_id: Any, payload: dict[str, Any]) -> None:
    if payload["number"] < 0:
        failure = {
            "type": "ValueError",
            "message": "negative",
            "module": "builtins",
            "traceback": ["line one\n", "two"],
        }
        app.send_task("toy.work.response.failure", args=[saga_id, failure], queue="toy.responses")
    else:
        reply = {"number": payload["number"]}
        app.send_task("toy.work.response.success", args=[saga_id, reply], queue="toy.responses")


@app.task(bind=True, name="toy.work.response.success")  # type: ignore[untyped-decorator]  # Celery has no types
def succeeded(self: Task, saga_id: Any, payload: Any) -> None:
    note(self, saga_id, payload)


@app.task(bind=True, name="toy.work.response.failure")  # type: ignore[untyped-decorator]  # Celery has no types
def failed(self: Task, saga_id: Any, payload: Any) -> None:
    note(self, saga_id, payload["message"])


def note(task: Task, saga_id: Any, what: Any) -> None:
    line = json.dumps([task.name.rpartition(".")[2], saga_id, what, task.request.parent_id])
    with Path(os.environ["PLAIN_CELERY_NOTES"]).open("a") as notes:  # its two threads may write at the same time
        notes.write(line + "\n")


if __name__ == "__main__":
    for number in json.loads(sys.argv[1]):
        app.send_task("toy.work", args=[7, {"number": number, "kill_handler": False}], queue="toy.commands")
