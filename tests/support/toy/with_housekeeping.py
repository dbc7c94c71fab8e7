"""The toy's participant in both forms, in an app that has an ordinary Celery task as well."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from celery import Task

from sagas_framework import create_participant, saga_step_handler
from sagas_framework.environment import read_broker, read_database_url
from tests.support.toy import handlers, messages

short_form: Any = SimpleNamespace(work=handlers.work)
participant = create_participant(
    "toy", broker=read_broker(), database_url=read_database_url("TOY"), queue=messages.QUEUE, handlers=[short_form]
)
app = participant.app


@app.task(bind=True, name="toy.take_note")  # type: ignore[untyped-decorator]  # Celery has no types
@saga_step_handler()
def take_note(self: Task, saga_id: Any, payload: dict[str, Any]) -> None:
    """The long form."""


@app.task(name="toy.tidy")  # type: ignore[untyped-decorator]  # Celery has no types
def tidy(days: int, *, thoroughly: bool) -> None:
    Path(os.environ["TOY_TIDIED"]).write_text(f"{days} {thoroughly}")
