"""What a document says of events is enough: a stranger publishes to our subscriber, and subscribes to our publisher."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, func, select

from local_stack.plan import CHECKOUT
from sagas_framework import upgrade_database
from sagas_framework.asyncapi import Specification
from sagas_framework.storage.schema import outbox
from tests.conftest import BOTH_BROKERS
from tests.support import stranger
from tests.support.desk.handlers import desk_metadata, guests
from tests.support.desk.messages import BOOK, NOBODY, STRANGER, GuestArrived
from tests.support.desk.wiring import make_publisher, make_subscriber
from tests.support.stranger import Broker, Contract, Message
from tests.support.threads import until
from tests.support.workers import Workers

pytestmark = pytest.mark.slow

EVENT = "desk.guest_arrived"
TAKEN, SENT = f"{EVENT}.at.{BOOK}", f"{EVENT}.to.{STRANGER}"
RECEIPTS_SENT, RECEIPTS_TAKEN = "sagas.receipts.to.desk.receipts", "sagas.receipts.at.desk.receipts"
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Running:
    """Our worker, of the one side or of the other, and its document."""

    url: str
    engine: Engine
    contract: Contract
    workers: Workers

    def guests(self, guest_id: int) -> list[str]:
        statement = select(guests.c.name).where(guests.c.guest_id == guest_id).order_by(guests.c.line)
        with self.engine.connect() as connection:
            return list(connection.scalars(statement))

    def waiting_for(self, queue: str) -> int:
        """How many messages of the outbox nobody has given a receipt for."""
        statement = select(func.count()).select_from(outbox).where(outbox.c.queue == queue)
        with self.engine.connect() as connection:
            return connection.scalar(statement) or 0


def run(request: pytest.FixtureRequest, folder: Path, make: Any, worker: str) -> Iterator[Running]:
    url = request.getfixturevalue(f"{request.param}_url")
    database_url = f"sqlite:///{folder / worker}.sqlite3"
    application = make("memory://", "sqlite://")
    document = Specification(application, title="A", version="1", description="B.").yaml()
    application.engine.dispose()
    (folder / "contract.yaml").write_text(document)
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("CELERY_")},
        "PYTHONPATH": os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "app_common")]),
        "DESK_BROKER": url,
        f"DESK_{worker.upper()}_DATABASE_URL": database_url,
    }
    engine = create_engine(database_url)
    upgrade_database(engine)
    desk_metadata.create_all(engine)
    workers = Workers(environment, folder)
    try:
        workers.start(f"tests.support.desk.{worker}")
        yield Running(url, engine, Contract(folder / "contract.yaml"), workers)
    finally:
        workers.kill_all()
        engine.dispose()


@pytest.fixture(scope="module", params=BOTH_BROKERS)
def subscriber(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    yield from run(request, tmp_path_factory.mktemp("subscriber"), make_subscriber, "subscriber")


@pytest.fixture(params=BOTH_BROKERS)
def publisher(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    """Gone when its test is: it takes receipts, of which the others wait for theirs."""
    yield from run(request, tmp_path, make_publisher, "publisher")


@contextmanager
def stranger_at(running: Running) -> Iterator[Broker]:
    """Gone when his test is, for the same reason."""
    with closing(stranger.connected_to(running.url)) as broker:
        yield broker


# ---- a stranger publishes ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Publishing:
    """A stranger who publishes what our subscriber handles."""

    running: Running
    broker: Broker

    @property
    def contract(self) -> Contract:
        return self.running.contract

    def publish(self, *events: Message) -> None:
        channel = self.contract.channel(TAKEN)
        self.broker.declare(channel)
        for event in events:
            self.broker.send(channel["address"], event)

    def take_receipts_for(self, *events: Message) -> None:
        """Until all of these are named; he waits no longer than his patience."""
        missing = {event.headers["id"] for event in events}
        while missing:
            receipts = self.broker.receive([self.contract.channel(RECEIPTS_SENT)["address"]])
            receipts.acknowledge()
            assert self.contract.problems(receipts) == []
            assert receipts.body[0][0] == BOOK
            missing -= set(receipts.payload["received"])


@pytest.fixture
def publishing(subscriber: Running) -> Iterator[Publishing]:
    with stranger_at(subscriber) as broker:
        yield Publishing(subscriber, broker)


def test_an_event_of_the_document_is_handled_and_a_receipt_comes(publishing: Publishing) -> None:
    event = publishing.contract.event(EVENT, "1", 1, guest_id=1, name="Ada")
    assert publishing.contract.problems(event) == []
    publishing.publish(event)
    publishing.take_receipts_for(event)
    assert publishing.running.guests(1) == ["Ada"]


def test_what_comes_twice_and_too_early_is_handled_once_and_in_its_turn(publishing: Publishing) -> None:
    first, second, third = (
        publishing.contract.event(EVENT, "2", number, guest_id=2, name=name)
        for number, name in enumerate(("Ada", "Bob", "Cy"), 1)
    )
    publishing.publish(third, second)
    publishing.take_receipts_for(second, third)
    assert publishing.running.guests(2) == []
    publishing.publish(first, second.naming(again=True))
    publishing.take_receipts_for(first)
    until(lambda: publishing.running.guests(2) == ["Ada", "Bob", "Cy"])


def test_the_required_headers_are_enough_for_an_event_to_be_handled(publishing: Publishing) -> None:
    whole = publishing.contract.event(EVENT, "3", 1, guest_id=3, name="Ada")
    bare = Message({name: whole.headers[name] for name in publishing.contract.required_headers(EVENT)}, whole.body)
    assert publishing.contract.problems(bare) == []
    publishing.publish(bare)
    publishing.take_receipts_for(bare)
    assert publishing.running.guests(3) == ["Ada"]


def test_an_event_that_the_document_does_not_allow_is_not_handled(publishing: Publishing) -> None:
    event = publishing.contract.event(EVENT, "4", 1, guest_id=4, name=None)
    assert publishing.contract.problems(event) != []
    publishing.publish(event)
    publishing.take_receipts_for(event)  # it is stored, and waits for the operator
    assert publishing.running.guests(4) == []


# ---- a stranger subscribes -----------------------------------------------------------------------------------------


def test_what_a_stranger_has_sent_a_receipt_for_is_sent_no_more(publisher: Running) -> None:
    contract = publisher.contract
    with stranger_at(publisher) as broker:
        channel = contract.channel(SENT)
        broker.declare(channel)
        publish_guests(publisher, "Ada", "Bob")
        taken: dict[int, Message] = {}
        while len(taken) < 2:
            event = broker.receive([channel["address"]])
            event.acknowledge()
            assert contract.problems(event) == []
            taken[event.headers["sagas"]["number"]] = event
        assert {number: event.payload["name"] for number, event in taken.items()} == {1: "Ada", 2: "Bob"}
        assert publisher.waiting_for(STRANGER) == 2

        receipts = contract.receipts(channel["address"], *taken.values())
        assert contract.problems(receipts) == []
        broker.send(contract.channel(RECEIPTS_TAKEN)["address"], receipts)
        publisher.workers.wait_until(
            lambda: publisher.waiting_for(STRANGER) == 0, PATIENCE_SECONDS, lambda: "the receipt was not taken in"
        )
    assert publisher.waiting_for(NOBODY) == 2  # from whom no receipt came


def publish_guests(publisher: Running, *names: str) -> None:
    desk = make_publisher(publisher.url, str(publisher.engine.url))
    try:
        with desk.sessions.begin() as session:
            for name in names:
                desk.publish(GuestArrived(guest_id=1, name=name), session=session)
    finally:
        desk.engine.dispose()
