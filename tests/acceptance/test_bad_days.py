"""Silence, a broker that is away, poison, shutdown, several orchestrators: with real processes on both set-ups."""

import json
import uuid
from collections.abc import Iterator

import pytest
from celery import Celery

from local_stack.plan import SERVICES
from sagas_framework import Broker
from sagas_framework.transport.celery_app import create_celery_app
from sagas_framework.transport.publisher import Publisher
from sagas_framework.transport.wire import OutgoingMessage
from tests.support.system import System, assert_coherent, running_system

pytestmark = pytest.mark.slow
KINDS = ["embedded", pytest.param("servers", marks=[pytest.mark.rabbitmq, pytest.mark.postgresql])]
SOON = {"ORDER_SERVICE_ASK_AGAIN_AFTER_SECONDS": "0.5"}
SOON_GIVEN_UP = {"ORDER_SERVICE_GIVE_UP_AFTER_SECONDS": "1.5"}


@pytest.fixture(params=KINDS, scope="module")
def system(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with running_system(request.param, tmp_path_factory.mktemp("system"), extra=SOON) as system:
        yield system


def events_of(system: System, saga_id: str) -> list[str]:
    rows = system.rows("order_service", "SELECT saga_id, event FROM saga_history ORDER BY id")
    return [event for owner, event in rows if str(owner).replace("-", "") == saga_id.replace("-", "")]


def publish(system: System, *messages: OutgoingMessage) -> None:
    broker = Broker(system.broker.url)
    app: Celery = create_celery_app("test", broker, [], batches=False)
    publisher = Publisher(app, broker)
    publisher.publish(messages)
    publisher.close()


def message(queue: str, task: str, body: str) -> OutgoingMessage:
    return OutgoingMessage(queue, task, str(uuid.uuid4()), body, None, None)


def kept(system: System, service: str) -> list[str]:
    return [reason for (reason,) in system.rows(service, "SELECT reason FROM saga_kept_message")]


def test_a_silent_participant_is_asked_again_then_given_up_and_its_step_compensated_too(system: System) -> None:
    """Design rule 6: the card may have been authorized in silence, so that authorization is voided."""
    for service in ("accounting_service", "order_service"):
        system.stop(service)
    system.start("order_service", extra=SOON_GIVEN_UP)
    [saga_id] = system.launch("success")
    system.wait_until(lambda: "gave_up" in events_of(system, saga_id), 60.0, system.describe_unfinished)
    assert "asked_again" in events_of(system, saga_id)
    system.start("accounting_service")
    system.wait_for_the_end()
    system.stop("order_service")
    system.start("order_service")
    assert events_of(system, saga_id)[-1] == "failed"
    assert events_of(system, saga_id).count("compensation_sent") == 2  # the silent authorization and the ticket
    assert_coherent(system.endings())


def test_with_the_broker_away_orders_are_taken_and_their_sagas_go_on_when_it_is_back(system: System) -> None:
    """Design rule 7."""
    system.broker.kill()
    saga_ids = system.launch("success", 3)
    assert len(saga_ids) == 3
    system.broker.start()
    system.wait_for_the_end()
    for saga_id in saga_ids:
        assert events_of(system, saga_id)[-1] == "succeeded"
    assert_coherent(system.endings())


def test_a_warm_shutdown_gives_back_what_it_holds_and_shows_no_traceback(system: System) -> None:
    saga_ids = system.launch("random", 40, seed=5)
    for service in SERVICES:
        assert system.stop(service) == 0
        assert "Traceback" not in last_run(system, service)
    for service in SERVICES:
        system.start(service)
    system.wait_for_the_end()
    assert len(saga_ids) == 40
    assert_coherent(system.endings())


def last_run(system: System, service: str) -> str:
    """What the worker has printed since it was started last: earlier tests of this module took its broker away."""
    return system.log(service).rpartition(" ready.")[2]


def test_three_orchestrators_on_one_reply_queue_never_advance_a_saga_twice(system: System) -> None:
    for worker in ("order_service#2", "order_service#3"):
        system.start(worker)
    saga_ids = system.launch("success", 60, seed=9)
    system.wait_for_the_end()
    for worker in ("order_service#2", "order_service#3"):
        assert system.stop(worker) == 0
    for saga_id in saga_ids:
        events = events_of(system, saga_id)
        assert events[-1] == "succeeded"
        assert events.count("succeeded") == 1
        assert len([event for event in events if event == "reply_received"]) == 4
    assert_coherent(system.endings())


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("{not json", "not JSON"),
        ("[1, 2, 3]", "arguments are not"),
        (json.dumps([["no-id-of-ours", None], {}, {}]), "not a saga id"),
        (json.dumps([["7d444840-9dc0-41d1-b245-5ffdce74fad2", None], {}, {}]), "does not say which command"),
        ("[[" + "[" * 500 + "]" * 500 + ", 1], {}, {}]", "too deeply"),
    ],
)
def test_a_reply_that_cannot_be_handled_is_kept_and_the_worker_goes_on(system: System, body: str, reason: str) -> None:
    """Design rule 4."""
    task = "consumer_service.verify_consumer_details.response.success"
    publish(system, message("create_order_saga_responses", task, body))
    system.wait_until(
        lambda: any(reason in line for line in kept(system, "order_service")),
        30.0,
        lambda: f"{kept(system, 'order_service')} {system.log('order_service')[-3000:]}",
    )
    [saga_id] = system.launch("consumer")
    system.wait_for_the_end()
    assert events_of(system, saga_id)[-1] == "failed"


def test_a_message_of_an_unknown_task_is_kept_although_celery_rejects_it(system: System) -> None:
    publish(system, message("create_order_saga_responses", "nobody.knows.this", "[[1, 2], {}, {}]"))
    publish(system, message("restaurant_service.commands", "nobody.knows.that", "[[1, 2], {}, {}]"))
    for service, task in (("order_service", "nobody.knows.this"), ("restaurant_service", "nobody.knows.that")):
        system.wait_until(
            lambda service=service, task=task: any(task in line for line in kept(system, service)),  # type: ignore[misc]
            30.0,
            lambda service=service: system.log(service)[-3000:],  # type: ignore[misc]
        )


def test_a_command_that_does_not_match_its_dataclass_is_answered_as_a_failure_that_names_the_field(
    system: System,
) -> None:
    """The answer comes back as a reply that no saga of ours waits for: so the operator has it, field and all."""
    saga_id = str(uuid.uuid4())
    header = {
        "orchestrator": "order_service",
        "saga": saga_id,
        "step": "create_restaurant_ticket",
        "direction": "action",
        "attempt": 1,
        "reply_queue": "create_order_saga_responses",
    }
    body = json.dumps([[saga_id, {"order_id": "seven", "customer_id": 1, "items": []}], {}, {}])
    publish(
        system,
        OutgoingMessage(
            "restaurant_service.commands", "restaurant_service.create_ticket", str(uuid.uuid4()), body, None, header
        ),
    )

    def bodies() -> list[str]:
        rows = system.rows("order_service", "SELECT body FROM saga_kept_message WHERE saga_id = :id", id=saga_id)
        return [body for (body,) in rows]

    system.wait_until(lambda: bool(bodies()), 30.0, lambda: system.log("restaurant_service")[-3000:])
    assert "PayloadRefused" in bodies()[0]
    assert "order_id" in bodies()[0]
