"""What a document says is enough: a stranger who has nothing else speaks to our workers over both brokers."""

import ast
import json
import os
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local_stack.plan import CHECKOUT, in_this_interpreter, preparation_command
from tests.conftest import BOTH_BROKERS
from tests.support import stranger
from tests.support.stranger import Broker, Contract, Message
from tests.support.workers import Workers

pytestmark = pytest.mark.slow

RESTAURANT, ORDERS = "restaurant_service", "order_service"
CREATE, APPROVE, REJECT = (f"{RESTAURANT}.{name}_ticket" for name in ("create", "approve", "reject"))
VERIFY = "consumer_service.verify_consumer_details"
AUTHORIZE = "accounting_service.authorize_card"
END_SECONDS = 60.0


@dataclass(frozen=True)
class Running:
    """The restaurant's worker and the orders', and a stranger's connection to their broker."""

    broker: Broker
    workers: Workers
    directory: Path

    def rows(self, service: str, statement: str, *values: Any) -> list[Any]:
        with closing(sqlite3.connect(self.directory / f"{service}.sqlite3")) as connection:
            return connection.execute(statement, values).fetchall()

    def tickets(self, message: Message) -> list[str]:
        """The tickets of a message's saga."""
        saga = message.headers["sagas"]["saga"]
        return [status for (status,) in self.rows(RESTAURANT, "SELECT status FROM tickets WHERE saga_id = ?", saga)]


@pytest.fixture(scope="module", params=BOTH_BROKERS)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    url = request.getfixturevalue(f"{request.param}_url")
    directory = tmp_path_factory.mktemp("documented")
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("CELERY_")},
        "PYTHONPATH": os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "app_common")]),
        "CELERY_BROKER": url,
        **{f"{name.upper()}_DATABASE_URL": f"sqlite:///{directory / name}.sqlite3" for name in (RESTAURANT, ORDERS)},
    }
    preparing = [
        subprocess.Popen(in_this_interpreter(preparation_command(name)), cwd=CHECKOUT, env=environment)
        for name in (RESTAURANT, ORDERS)
    ]
    assert [process.wait() for process in preparing] == [0, 0]
    workers = Workers(environment, directory)
    broker = stranger.connected_to(url)
    try:
        workers.start_all([f"{RESTAURANT}.worker", f"{ORDERS}.worker"])
        yield Running(broker, workers, directory)
    finally:
        workers.kill_all()
        broker.close()


@pytest.fixture
def replies(request: pytest.FixtureRequest) -> str:
    """A queue of this test's own."""
    return f"strangers_replies.{request.node.name}"


def contract_of(service: str) -> Contract:
    return Contract(CHECKOUT / "docs" / "asyncapi" / f"{service}.yaml")


KITCHEN = contract_of(RESTAURANT)


def ask(running: Running, command: Message) -> Message:
    """Sends a command to the restaurant and waits for the answer, where the document says that both are."""
    channel = KITCHEN.channel(command.name)
    running.broker.declare(channel)
    running.broker.send(channel["address"], command)
    answer = running.broker.receive([KITCHEN.named_reply_queue(command)])
    answer.acknowledge()
    assert KITCHEN.problems(answer) == []
    assert answer.headers["parent_id"] == answer.headers["sagas"]["in_reply_to"] == command.headers["id"]
    assert answer.body[0][0] == command.body[0][0]
    return answer


def ticket_for(replies: str, **payload: Any) -> Message:
    return KITCHEN.command(CREATE, **payload).naming(reply_queue=replies)


def test_a_stranger_is_one() -> None:
    tree = ast.parse(Path(stranger.__file__).read_text())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    ours = {"sagas_framework", "celery", "kombu", "messaging", "tests", RESTAURANT, ORDERS}
    assert not {str(module).split(".")[0] for module in imported} & ours


def test_a_ticket_is_created_and_approved_by_messages_of_the_document(running: Running, replies: str) -> None:
    create = ticket_for(replies, order_id=7, items=[{"name": "Ramen", "quantity": 2}])
    assert KITCHEN.problems(create) == []
    created = ask(running, create)
    assert created.name == f"{CREATE}.response.success"
    approve = KITCHEN.command(APPROVE, ticket_id=created.payload["ticket_id"]).naming(reply_queue=replies)
    approved = ask(running, approve)
    assert (approved.name, approved.payload) == (f"{APPROVE}.response.success", None)
    assert running.tickets(create) == ["approved"]


def test_a_compensation_finds_the_ticket_of_its_step_without_being_told_which(running: Running, replies: str) -> None:
    create = ticket_for(replies)
    ask(running, create)
    of_the_same_step = create.headers["sagas"] | {"direction": "compensation"}
    reject = KITCHEN.command(REJECT, ticket_id=None).naming(**of_the_same_step)
    assert KITCHEN.problems(reject) == []
    assert ask(running, reject).name == f"{REJECT}.response.success"
    assert running.tickets(create) == ["rejected"]


def test_an_action_that_comes_after_its_compensation_is_refused(running: Running, replies: str) -> None:
    create = ticket_for(replies)
    reject = KITCHEN.command(REJECT, ticket_id=None).naming(**create.headers["sagas"] | {"direction": "compensation"})
    assert ask(running, reject).name == f"{REJECT}.response.success"
    assert ask(running, create).payload["type"] == "AlreadyCompensated"
    assert running.tickets(create) == []


def test_what_has_failed_is_done_in_a_later_attempt(running: Running, replies: str) -> None:
    empty = ticket_for(replies, items=[])
    assert ask(running, empty).name == f"{CREATE}.response.failure"
    for attempt, answered in ((1, "failure"), (2, "success"), (3, "success")):
        again = ticket_for(replies).naming(**empty.headers["sagas"] | {"attempt": attempt})
        assert ask(running, again).name == f"{CREATE}.response.{answered}"
    assert running.tickets(empty) == ["created"]


def test_a_refusal_says_why(running: Running, replies: str) -> None:
    refused = ask(running, ticket_for(replies, items=[]))
    assert (refused.name, refused.payload["type"]) == (f"{CREATE}.response.failure", "NothingToCook")
    assert refused.headers["sagas"]["failure_kind"] == "refused"


def test_a_command_sent_twice_is_answered_twice_and_done_once(running: Running, replies: str) -> None:
    create = ticket_for(replies)
    first, second = ask(running, create), ask(running, create)
    assert (first.headers, first.body) == (second.headers, second.body)
    assert running.tickets(create) == ["created"]


def test_a_field_that_the_receiver_does_not_know_is_tolerated_as_the_document_allows(
    running: Running, replies: str
) -> None:
    create = ticket_for(replies, wish="extra hot")
    assert KITCHEN.problems(create) == []
    assert ask(running, create).name == f"{CREATE}.response.success"


@pytest.mark.parametrize(
    "payload", [{"order_id": "7"}, {"items": [{"name": "Ramen"}]}, {"items": None}], ids=["type", "missing", "null"]
)
def test_what_the_document_does_not_allow_is_refused(running: Running, replies: str, payload: dict[str, Any]) -> None:
    create = ticket_for(replies, **payload)
    assert KITCHEN.problems(create) != []
    refused = ask(running, create)
    assert (refused.name, refused.payload["type"]) == (f"{CREATE}.response.failure", "PayloadRefused")
    assert running.tickets(create) == []


def test_each_answer_goes_to_the_queue_that_its_command_names(running: Running, replies: str) -> None:
    for queue in (f"{replies}.a", f"{replies}.b"):
        create = ticket_for(queue)
        assert ask(running, create).name == f"{CREATE}.response.success"  # asks there


def test_the_required_headers_are_enough_for_a_command_to_be_done(running: Running, replies: str) -> None:
    whole = ticket_for(replies, order_id=4711)
    needed = KITCHEN.required_headers(CREATE)
    bare = Message({name: whole.headers[name] for name in needed}, whole.body)
    assert KITCHEN.problems(bare) == []
    for message in (bare, bare, whole):  # the third is answered, so the others are done
        running.broker.send(KITCHEN.channel(CREATE)["address"], message)
    assert running.broker.receive([replies]).headers["parent_id"] == whole.headers["id"]
    assert running.tickets(whole) == ["created", "created"]  # one for those that are the same, and one for the other


# ---- the other way round: a participant for a running orchestrator -------------------------------------------------

ORDER_SAGA = contract_of(ORDERS)


def launched(running: Running, count: int) -> list[str]:
    """The ids of sagas that the order service has begun."""
    command = [sys.executable, "-m", "tests.support.launch", "success", str(count), "0", "1"]
    done = subprocess.run(command, cwd=CHECKOUT, env=running.workers.environment, check=True, stdout=subprocess.PIPE)
    return done.stdout.decode().split()


def test_a_participant_made_of_the_orchestrators_document_takes_part_in_its_sagas(running: Running) -> None:
    willing, unwilling, terse = launched(running, 3)
    channels = [ORDER_SAGA.channel(name) for name in (VERIFY, AUTHORIZE)]
    for channel in channels:
        running.broker.declare(channel)
    for _ in range(5):  # two of the three get as far as their card
        command = running.broker.receive([channel["address"] for channel in channels])
        assert ORDER_SAGA.problems(command) == []
        answer = answer_to(command, refused=command.body[0][0] == unwilling)
        if command.body[0][0] == terse:
            needed = ORDER_SAGA.required_headers(answer.name)
            answer = Message({name: answer.headers[name] for name in needed}, answer.body)
        assert ORDER_SAGA.problems(answer) == []
        address = ORDER_SAGA.reply_queue(command.name)
        assert address is not None
        assert address == command.headers["sagas"]["reply_queue"]
        running.broker.send(address, answer)
        command.acknowledge()
    ends = {willing: "succeeded", unwilling: "failed", terse: "succeeded"}
    running.workers.wait_until(lambda: statuses(running) == ends, END_SECONDS, running.workers.all_logs)
    [details] = running.rows(ORDERS, "SELECT failure_details FROM saga_instance WHERE status = 'failed'")
    assert json.loads(details[0])["message"] == "Nobody is there"


def answer_to(command: Message, *, refused: bool) -> Message:
    if refused:
        return ORDER_SAGA.answer(command, {"message": "Nobody is there"}, failed="refused")
    return ORDER_SAGA.answer(command, {"transaction_id": "T-1"} if command.name == AUTHORIZE else None)


def statuses(running: Running) -> dict[str, str]:
    found = running.rows(ORDERS, "SELECT id, status FROM saga_instance")
    return {str(uuid.UUID(id_)): status for id_, status in found}
