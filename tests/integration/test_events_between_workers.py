"""Events between real workers: a participant with a pool of threads publishes, a subscriber takes in, and is killed."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from sagas_framework import create_participant
from sagas_framework.storage.schema import event_inbox, kept_messages, outbox
from sagas_framework.transport.publisher import Publisher
from sagas_framework.transport.wire import command_message
from sagas_framework.vocabulary.correlation import Correlation
from sagas_framework.vocabulary.identity import Direction, message_id
from tests.support import databases
from tests.support.bank.handlers_of_bank import MOVE, QUEUE
from tests.support.events import Moved, rows
from tests.support.sagas import app_metadata, orders
from tests.support.workers import Workers

pytestmark = pytest.mark.slow
BANK, LEDGER = "tests.support.bank.bank_worker", "tests.support.bank.ledger_worker"
ACCOUNTS, EACH = [str(number) for number in range(8)], 12
END_SECONDS = 90.0


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Engine]:
    with databases.opened(f"sqlite:///{tmp_path / 'bank.sqlite3'}") as engine:
        yield engine


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Engine]:
    with databases.opened(f"sqlite:///{tmp_path / 'ledger.sqlite3'}") as engine:
        app_metadata.create_all(engine)
        yield engine


@pytest.fixture
def workers(broker_url: str, bank: Engine, ledger: Engine, tmp_path: Path) -> Iterator[Workers]:
    names = {"CELERY_BROKER": broker_url, "BANK_DATABASE": str(bank.url), "LEDGER_DATABASE": str(ledger.url)}
    workers = Workers({**os.environ, **names}, tmp_path)
    try:
        yield workers
    finally:
        workers.kill_all()


def move_by_commands(publisher: Publisher) -> None:
    """Their handlers run in threads; nobody waits for the answers."""
    places = [
        Correlation("orders", f"saga {account} {number}", "move", Direction.ACTION, 1)
        for account in ACCOUNTS
        for number in range(EACH)
    ]
    publisher.publish(
        [
            command_message(
                MOVE,
                message_id(place.orchestrator, place.saga, place.step, place.direction, place.attempt),
                {"account": place.saga.split()[1], "amount": 1},
                place,
            )
            for place in places
        ]
    )


def test_each_event_is_handled_once_and_in_order_though_workers_are_killed(
    broker_url: str, bank: Engine, ledger: Engine, workers: Workers
) -> None:
    participant = create_participant(
        "bank", broker=broker_url, database_url=str(bank.url), queue=QUEUE, publishes=[Moved]
    )
    publisher = Publisher(participant.app, participant.broker)

    def publish() -> None:
        with Session(bank) as session, session.begin():
            for account in ACCOUNTS:
                participant.publish(Moved(account, 2), session=session)

    def count() -> int:
        return len(rows(ledger, orders))

    def more_than(some: int) -> bool:
        return count() > some

    workers.start_all([BANK, LEDGER, f"{LEDGER}#2"])
    move_by_commands(publisher)
    for half in (1, 2):
        for _ in range(EACH // 2):
            publish()
        workers.wait_until(partial(more_than, half * 20), END_SECONDS, workers.all_logs)
        workers.kill(LEDGER)
        workers.start(LEDGER)
    workers.kill(BANK)
    workers.start(BANK)
    whole = 2 * EACH * len(ACCOUNTS)
    workers.wait_until(lambda: count() == whole and not rows(bank, outbox), END_SECONDS, workers.all_logs)
    publisher.close()
    for account in ACCOUNTS:
        lines = [row.note.split() for row in rows(ledger, orders) if row.note.split()[0] == account]
        assert [int(number) for _, number, _ in lines] == list(range(1, 2 * EACH + 1))
        assert [amount for *_, amount in lines].count("1") == EACH
    with ledger.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(event_inbox)) == 0
        assert connection.scalar(select(func.count()).select_from(kept_messages)) == 0
