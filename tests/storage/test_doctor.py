"""What the doctor finds, on both databases; each problem says what to do."""

import time
from collections.abc import Mapping

import pytest
from celery import Celery
from sqlalchemy import Engine, event, insert, update

from sagas_framework import Broker
from sagas_framework.definition.compiler import compile_saga
from sagas_framework.definition.graph import Definition, Timing
from sagas_framework.operations import Finding, examine
from sagas_framework.operations.process import Speaker
from sagas_framework.storage import keeping, memory
from sagas_framework.storage.database import open_database
from sagas_framework.storage.keeping import Kept
from sagas_framework.storage.memory import MemoryKey
from sagas_framework.storage.schema import instances, outbox
from sagas_framework.transport.celery_app import create_celery_app
from sagas_framework.vocabulary.event import AnyEvent
from sagas_framework.vocabulary.identity import Direction
from tests.support.orchestration import Bench
from tests.support.sagas import OrderData, OrderSaga

WORKER = "celery --app orders.worker worker"


class Sick:
    """An orchestrator, as far as a doctor looks at it."""

    def __init__(self, engine: Engine | None, broker: Broker | None = None) -> None:
        self.broker = broker or Broker("memory://")
        self.app: Celery = create_celery_app("orders", self.broker, ["order_replies"], batches=True)
        self.engine = engine
        self.publishes: Mapping[str, AnyEvent] = {}
        self.definitions: Mapping[str, Definition] = {"OrderSaga": compile_saga(OrderSaga)}


@pytest.fixture
def sick(engine: Engine) -> Sick:
    return Sick(engine)


def problems(patient: Speaker) -> dict[str, Finding]:
    found = [finding for finding in examine(patient, WORKER) if not finding.ok]
    assert all(finding.remedy for finding in found)
    return {finding.check: finding for finding in found}


def test_a_healthy_process_has_no_problems(sick: Sick) -> None:
    assert problems(sick) == {}


def test_a_broker_that_does_not_answer_is_named_without_its_password(engine: Engine) -> None:
    sick = Sick(engine, Broker("amqp://user:secret@127.0.0.1:1//"))
    found = problems(sick)["broker"]
    assert "127.0.0.1:1" in found.text and "secret" not in found.text
    assert "CELERY_BROKER" in found.remedy


def test_settings_that_lose_messages_are_named(sick: Sick) -> None:
    sick.app.conf.task_acks_late = False
    assert "task_acks_late is False" in problems(sick)["settings"].text


def test_publishing_without_the_brokers_confirmation_is_named(engine: Engine) -> None:
    sick = Sick(engine, Broker("amqp://127.0.0.1:1//"))
    assert "settings" not in problems(sick)
    sick.app.conf.broker_transport_options = {}
    assert "confirm_publish is off" in problems(sick)["settings"].text


def test_a_database_that_does_not_answer_is_named_without_its_password() -> None:
    engine = open_database("postgresql+psycopg://user:secret@127.0.0.1:1/orders")
    found = problems(Sick(engine))["database"]
    assert "127.0.0.1:1" in found.text and "secret" not in found.text
    engine.dispose()


def test_a_database_without_tables_is_to_be_upgraded(database_url: str) -> None:
    engine = open_database(database_url)
    found = problems(Sick(engine))
    assert list(found) == ["schema"] and found["schema"].remedy == "sagas db upgrade"
    engine.dispose()


def test_a_participant_without_a_database_is_told_what_it_loses() -> None:
    assert "twice" in problems(Sick(None))["database"].text


def test_pragmas_that_somebody_has_changed_are_named(sick: Sick) -> None:
    assert sick.engine is not None
    if sick.engine.dialect.name != "sqlite":
        assert problems(sick) == {}
        return

    @event.listens_for(sick.engine, "connect")
    def spoil(connection: object, record: object) -> None:
        for pragma in ("busy_timeout = 0", "foreign_keys = OFF", "synchronous = OFF"):
            connection.execute(f"PRAGMA {pragma}")  # type: ignore[attr-defined]

    sick.engine.dispose()
    said = " ".join(finding.text for finding in examine(sick, WORKER) if finding.check == "sqlite")
    assert all(name in said for name in ("busy_timeout", "foreign_keys", "synchronous"))


def test_sagas_that_nobody_looks_after_are_counted(sick: Sick, bench: Bench) -> None:
    saga_id = bench.started(OrderSaga, OrderData(1))
    assert problems(sick) == {}
    with bench.engine.begin() as connection:
        connection.execute(update(instances).where(instances.c.id == saga_id).values(wake_at=time.time() - 60))
    found = problems(sick)["due"]
    assert "1 saga has been due" in found.text and found.remedy.startswith(WORKER)


def test_sagas_that_need_attention_are_counted(sick: Sick, bench: Bench) -> None:
    saga_id = bench.started(OrderSaga, OrderData(1))
    with bench.engine.begin() as connection:
        connection.execute(update(instances).where(instances.c.id == saga_id).values(status="needs_attention"))
    found = problems(sick)["sagas"]
    assert found.text.startswith("1 saga needs attention")
    assert found.remedy == "sagas list --status needs_attention"


def test_queues_that_nobody_serves_are_named(sick: Sick, engine: Engine) -> None:
    bench = Bench(engine, OrderSaga, timing=Timing(ask_again_after_seconds=0.001, give_up_after_seconds=60.0))
    bench.started(OrderSaga, OrderData(1))
    for seconds in (10, 20, 30):
        with engine.begin() as connection:
            connection.execute(update(instances).values(wake_at=time.time()))
        bench.advancer.due(time.time() + seconds, 10)
    found = problems(sick)["replies"]
    assert "kitchen.commands (1)" in found.text


def test_messages_that_wait_for_a_person_are_counted(sick: Sick) -> None:
    assert sick.engine is not None
    key, long_ago = MemoryKey("orders", "saga", "create"), time.time() - 60
    with sick.engine.begin() as connection:
        keeping.keep(connection, [Kept("why", "task", "queue", "id", None, {}, "[]")], time.time())
        memory.take(connection, [key], time.time())
        memory.park(connection, key, Direction.ACTION)
        connection.execute(insert(outbox).values(queue="q", message={}, created_at=long_ago, due_at=long_ago))
    found = problems(sick)
    assert set(found) == {"messages", "parked", "outbox"}
    assert found["messages"].text == "1 message was kept for an operator"


@pytest.mark.parametrize(
    ("visibility", "tampered", "said"),
    [(300.0, None, None), (3_600.0, None, "given up after 3600 s"), (300.0, 5, "not 300 s")],
)
def test_a_visibility_timeout_that_outlasts_the_waiting_is_a_problem(
    sick: Sick, visibility: float, tampered: float | None, said: str | None
) -> None:
    patient = Sick(sick.engine, Broker("redis://127.0.0.1:1/0", visibility_timeout_seconds=visibility))
    if tampered is not None:
        patient.app.conf.broker_transport_options = {"visibility_timeout": tampered}
    found = problems(patient).get("redis")
    assert (found is None) if said is None else (found is not None and said in found.text)
