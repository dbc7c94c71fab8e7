"""Celery without us: a house keeper that listens to meters, and a meter that tells houses what it reads."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from celery import Celery, Task

from sagas_framework.environment import read_broker

EVENTS, RECEIPTS = "houses.events", "meters.receipts"

broker = read_broker()
app = Celery("plain", broker=broker.url)
app.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    task_default_queue=os.environ.get("PLAIN_CELERY_QUEUE", "plain"),
    worker_pool="solo",
    broker_transport_options=broker.transport_options(),
    worker_enable_remote_control=False,
    broker_connection_retry_on_startup=True,
)


@app.task(bind=True, name="meters.read")  # type: ignore[untyped-decorator]  # Celery has no types
def read(self: Task, key: str, payload: dict[str, Any]) -> None:
    note("read", key, payload["reading"])
    app.send_task("sagas.receipts", args=[EVENTS, {"received": [self.request.id]}], queue=RECEIPTS)


@app.task(name="sagas.receipts")  # type: ignore[untyped-decorator]  # Celery has no types
def received(subscriber: str, payload: dict[str, Any]) -> None:
    note("received", subscriber, payload["received"])


def note(*what: Any) -> None:
    with Path(os.environ["PLAIN_CELERY_NOTES"]).open("a") as notes:
        notes.write(json.dumps(what) + "\n")


if __name__ == "__main__":
    for number in json.loads(sys.argv[1]):
        app.send_task(
            "meters.read",
            args=["plain", {"meter": "plain", "house": "a house", "reading": number}],
            headers={"sagas": {"source": "plain", "aggregate": "meter=plain", "number": number}},
            task_id=f"plain reading {number}",
            queue=EVENTS,
        )
