"""What a participant's worker does with what arrives on its queue."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from sagas_framework import Broker
from tests.support.toy import messages
from tests.support.toy.system import END_SECONDS, ORCHESTRATOR, PARTICIPANT, Toy, toy_system

pytestmark = pytest.mark.slow
WITH_HOUSEKEEPING = "tests.support.toy.with_housekeeping"
SAGAS = 20


@pytest.fixture(params=["embedded", pytest.param("servers", marks=[pytest.mark.rabbitmq, pytest.mark.postgresql])])
def toy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Toy]:
    with toy_system(request.param, tmp_path) as toy:
        toy.environment["TOY_TIDIED"] = str(tmp_path / "tidied")
        yield toy


def send(toy: Toy, task: str, args: Sequence[Any], **kwargs: Any) -> None:
    broker = Broker(toy.environment["CELERY_BROKER"])
    with Celery("sender", broker=broker.url, set_as_current=False) as sender:
        sender.conf.broker_transport_options = broker.transport_options()
        with sender.connection_for_write() as connection:
            sender.send_task(task, args=args, kwargs=kwargs, queue=broker.queue(messages.QUEUE), connection=connection)


def kept(toy: Toy) -> list[str]:
    return [task for (task,) in toy.rows("TOY", "SELECT task FROM saga_kept_message ORDER BY task")]


def test_ordinary_tasks_of_a_participants_app_run_as_ever_and_only_commands_are_judged(toy: Toy) -> None:
    toy.launch()
    toy.start(WITH_HOUSEKEEPING)
    for command in ("toy.work", "toy.take_note"):
        send(toy, command, [5], thoroughly=True)
    send(toy, "toy.tidy", [5], thoroughly=True)
    tidied = Path(toy.environment["TOY_TIDIED"])
    toy.wait_until(tidied.exists, END_SECONDS, toy.all_logs)
    toy.wait_until(lambda: len(kept(toy)) >= 2, END_SECONDS, toy.all_logs)
    assert tidied.read_text() == "5 True"
    assert kept(toy) == ["toy.take_note", "toy.work"]


def test_handlers_run_in_the_prefork_pool_too(toy: Toy) -> None:
    """Children come and go, after their parent has used its own connection to the database."""
    toy.launch(*({"number": number} for number in range(SAGAS)))
    toy.start(PARTICIPANT, options=["--pool", "prefork", "--concurrency", "2", "--max-tasks-per-child", "3"])
    send(toy, "toy.work", [5])
    toy.wait_until(lambda: kept(toy) == ["toy.work"], END_SECONDS, toy.all_logs)
    toy.start(ORCHESTRATOR)
    toy.wait_until(lambda: toy.statuses() == {"succeeded": SAGAS}, END_SECONDS, toy.all_logs)
    assert toy.rows("ORCHESTRATOR", "SELECT count(*) FROM saga_kept_message") == [(0,)]
    assert toy.stop(PARTICIPANT) == 0
