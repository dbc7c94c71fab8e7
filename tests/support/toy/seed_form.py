"""The toy's participant in the long form: tasks that the application declares, `saga_step_handler` under them."""

from typing import Any

from celery import Task

from sagas_framework import create_participant, saga_step_handler
from sagas_framework.environment import read_broker, read_database_url
from tests.support.toy import messages

participant = create_participant(
    "toy", broker=read_broker(), database_url=read_database_url("TOY"), queue=messages.QUEUE
)
app = participant.app


@app.task(bind=True, name="toy.work")  # type: ignore[untyped-decorator]  # Celery has no types
@saga_step_handler(response_queue="toy.responses")
def work(self: Task, saga_id: Any, payload: dict[str, Any]) -> dict[str, Any]:
    if payload["number"] < 0:
        raise ValueError("negative")
    return {"number": payload["number"]}
