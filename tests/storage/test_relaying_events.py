"""The relay and the receipts: told again and again until every subscriber has said that it has it."""

import json
import time
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Engine, insert, update
from sqlalchemy.orm import Session

from sagas_framework.delivery.relay import CROWDED_MESSAGES, FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS, RELAY_LIMIT
from sagas_framework.errors import PublishFailed
from sagas_framework.storage import outbox as outbox_rows
from sagas_framework.storage.schema import kept_messages, outbox
from sagas_framework.transport.wire import OutgoingMessage, receipts_message
from tests.support.events import (
    LEDGER,
    MAIL,
    Bank,
    Ledger,
    Moved,
    Opened,
    header_of,
    number_of,
    received,
    rows,
    wanted_by,
)
from tests.support.orchestration import RecordingPublisher, delivery_of, raw_delivery, watching
from tests.support.threads import in_threads


@pytest.fixture
def bank(engine: Engine) -> Bank:
    return Bank(engine)


def unsent(bank: Bank, *events: Any) -> None:
    """Their publisher died before it could publish, and did not even mean to: they are due at once."""
    with bank.engine.connect() as connection, Session(connection) as session:
        for event in events:
            bank.announcer.announce(event, session)
        connection.commit()


def receipt(queue: str, *ids: str) -> OutgoingMessage:
    return receipts_message("bank.receipts", queue, ids)


class Refusing(RecordingPublisher):
    """Its broker takes nothing for this queue."""

    def __init__(self, queue: str) -> None:
        super().__init__()
        self.queue = queue

    def publish(self, messages: Sequence[OutgoingMessage]) -> None:
        super().publish([one for one in messages if one.queue != self.queue])
        if refused := frozenset(one.id for one in messages if one.queue == self.queue):
            raise PublishFailed(f"{self.queue} is full", refused)


# ---- the relay ------------------------------------------------------------------------------------------------------


def test_what_is_due_is_sent_the_first_time_as_it_is_and_then_marked_and_ever_more_rarely(bank: Bank) -> None:
    unsent(bank, Moved("1", 1))
    now = bank.outbox()[0].due_at + 1.0
    (first,) = bank.relay_at(now)
    assert "again" not in header_of(first)
    waits = []
    for _ in range(9):
        due = bank.outbox()[0].due_at
        waits.append(round(due - now))
        assert bank.relay_at(due - 0.01) == []
        now = due + 0.001
        (copy,) = bank.relay_at(now)
        assert header_of(copy) == header_of(first) | {"again": True} and (copy.id, copy.body) == (first.id, first.body)
    first_wait = FIRST_WAIT_SECONDS
    assert waits == [min(first_wait * 2**times, LONGEST_WAIT_SECONDS) for times in range(9)]


def test_what_was_sent_at_once_and_never_arrived_comes_again_marked_for_it_may_have_killed_a_worker(bank: Bank) -> None:
    sent = bank.publish(Moved("1", 1))
    due = bank.outbox()[0].due_at
    (copy,) = bank.relay_at(due + 0.001)
    assert copy.id == sent[0].id and header_of(copy)["again"] is True


def test_it_sends_in_the_order_in_which_they_were_written(bank: Bank) -> None:
    unsent(bank, *(Moved("1", amount) for amount in range(5)))
    unsent(bank, *(Moved("1", amount) for amount in range(5)))
    assert [number_of(one) for one in bank.relay_at(1e10)] == list(range(1, 11))


def test_more_than_it_takes_at_once_it_sends_without_a_pause(bank: Bank) -> None:
    unsent(bank, *(Moved("1", amount) for amount in range(RELAY_LIMIT + 1)))
    assert bank.relay() == 0.0 and len(bank.publisher.take()) == RELAY_LIMIT
    assert bank.relay() > 0.0 and len(bank.publisher.take()) == 1


def test_into_a_crowded_queue_nothing_is_sent_twice_and_what_is_for_others_is(bank: Bank) -> None:
    bank.publish(Opened("1"))
    bank.publisher.waiting = {LEDGER: CROWDED_MESSAGES}
    assert [one.queue for one in bank.relay_at(bank.outbox()[0].due_at + 0.001)] == [MAIL]
    unsent(bank, Moved("2", 1))
    (first,) = (row for row in bank.outbox() if not row.times)
    assert [one.queue for one in bank.relay_at(first.due_at + 0.001)] == [LEDGER], "what was never sent is sent"
    bank.publisher.waiting = {LEDGER: CROWDED_MESSAGES - 1}
    due = max(row.due_at for row in bank.outbox())
    assert len(wanted_by(LEDGER, bank.relay_at(due + 0.001))) == 2


def test_what_waits_for_a_subscriber_that_is_away_comes_up_ever_more_rarely_and_lets_others_pass(bank: Bank) -> None:
    """However many they are: a round looks at so many, and those then wait longer each time."""
    bank.publish(*(Moved("1", amount) for amount in range(3 * RELAY_LIMIT)))
    bank.publisher.waiting = {LEDGER: 1_000_000}
    moment, rounds = bank.outbox()[0].due_at, []
    for _ in range(4):
        moment = max(row.due_at for row in bank.outbox()) + 0.001
        rounds.append(0)
        while True:
            assert bank.relay_at(moment) == []
            rounds[-1] += 1
            if all(row.due_at > moment for row in bank.outbox()):
                break
    waits = [round(row.due_at - moment) for row in bank.outbox()]
    assert set(waits) == {FIRST_WAIT_SECONDS * 16} and rounds == [3] * 4
    unsent(bank, Opened("2"))
    assert wanted_by(MAIL, bank.relay_at(moment + 1.0)), "nobody's turn comes before it"


def test_a_queue_that_takes_nothing_holds_up_no_other(engine: Engine) -> None:
    bank = Bank(engine)
    bank.relay._publisher = refusing = Refusing(LEDGER)
    unsent(bank, *(Moved("1", amount) for amount in range(RELAY_LIMIT)))
    unsent(bank, Opened("2"))
    with engine.begin() as connection:
        outbox_rows.add(connection, [outbox_rows.fire_and_forget(vars(message(LEDGER)), 1.0)], 1.0)
        outbox_rows.add(connection, [outbox_rows.fire_and_forget(vars(message(MAIL)), 1.0)], 1.0)
    for _ in range(2):
        bank.relay()
    assert [one.task for one in refusing.take()] == ["some.command", "bank.opened"]
    assert {row.queue for row in bank.outbox() if not row.awaited} == {LEDGER}, "what nobody has taken is not forgotten"
    assert all(row.times == 1 for row in bank.outbox())


def message(queue: str) -> OutgoingMessage:
    return OutgoingMessage(queue, "some.command", f"for {queue}", "[[1, {}], {}, {}]", None, None)


def test_while_the_broker_is_away_nothing_is_touched(bank: Bank) -> None:
    unsent(bank, Moved("1", 1))
    before = bank.outbox()
    bank.publisher.broken = True
    with watching(bank.engine) as seen, pytest.raises(PublishFailed):
        bank.relay()
    assert not seen.writing_to("saga_outbox") and bank.outbox() == before


def test_the_relays_of_two_workers_and_who_publishes_directly_send_everything_and_it_is_handled_once(
    engine: Engine,
) -> None:
    banks = [Bank(engine) for _ in range(3)]
    unsent(banks[0], *(Moved("1", amount) for amount in range(60)))
    sent: list[OutgoingMessage] = []

    def relay(bank: Bank) -> None:
        for _ in range(3):
            sent.extend(bank.relay_at())

    def publish() -> None:
        for amount in range(10):
            sent.extend(banks[2].publish(Moved("1", amount)))

    in_threads([lambda: relay(banks[0]), lambda: relay(banks[1]), publish])
    ledger = Ledger(engine)
    for start in range(0, len(sent), 7):
        ledger.take(*reversed(sent[start : start + 7]))
    assert ledger.handled == {"account=1": list(range(1, 71))}
    banks[0].receive(*ledger.receipts())
    assert banks[0].outbox() == []


# ---- receipts -------------------------------------------------------------------------------------------------------


def test_a_row_lives_until_its_subscriber_has_sent_a_receipt_and_the_others_until_they_have(bank: Bank) -> None:
    first, second = wanted_by(LEDGER, bank.publish(Opened("1"), Opened("2")))
    assert [row.queue for row in bank.outbox()] == [LEDGER, MAIL, LEDGER, MAIL]
    bank.receive(receipt(LEDGER, first.id))
    assert [(row.queue, row.message_id) for row in bank.outbox()] == [
        (MAIL, first.id),
        (LEDGER, second.id),
        (MAIL, second.id),
    ]
    bank.receive(receipt(MAIL, first.id, second.id))
    bank.receive(receipt(LEDGER, first.id, second.id, second.id))
    assert bank.outbox() == []
    bank.receive(receipt(LEDGER, first.id), receipt("a.stranger", "nothing of ours"))
    assert rows(bank.engine, kept_messages) == []


def test_a_lost_receipt_is_made_good_by_the_next_copy(bank: Bank) -> None:
    ledger = Ledger(bank.engine)
    ledger.take(*bank.publish(Moved("1", 1), Moved("1", 2)))
    ledger.receipts()  # lost
    again = bank.relay_at(max(row.due_at for row in bank.outbox()) + 0.001)
    ledger.take(*again)
    bank.receive(*ledger.receipts())
    assert bank.outbox() == [] and ledger.handled == {"account=1": [1, 2]}


def test_a_receipt_that_cannot_be_sent_is_sent_for_the_duplicate_and_gives_nothing_back(bank: Bank) -> None:
    """Its publisher sends the events again; whoever names a queue that the broker refuses holds up nobody."""
    ledger = Ledger(bank.engine)
    sent = bank.publish(Moved("1", 1), Moved("1", 2))
    ledger.publisher.broken = True
    deliveries = [delivery_of(one) for one in sent]
    ledger.take(*deliveries)
    assert ledger.receipts() == [] and len(bank.outbox()) == 2
    ledger.publisher.broken = False
    ledger.take(*bank.relay_at(time.time() + 60))
    assert received(ledger.receipts()[0]) == [one.id for one in sent] and ledger.runs == [
        ("account=1", 1),
        ("account=1", 2),
    ]


@pytest.mark.parametrize(
    "body", ["no json", "[[1, 2], {}, {}]", '[["q", {"received": "all"}], {}, {}]', "[[], {}, {}]"]
)
def test_what_is_no_receipt_is_kept(bank: Bank, body: str) -> None:
    sent = bank.publish(Moved("1", 1))
    bank.receipts.handle([raw_delivery(body, "sagas.receipts"), delivery_of(receipt(LEDGER, sent[0].id))])
    assert len(rows(bank.engine, kept_messages)) == 1 and bank.outbox() == []


def test_a_receipt_for_more_than_a_statement_can_name_is_taken(bank: Bank) -> None:
    sent = bank.publish(Moved("1", 1))
    ids = [*(f"u{number}" for number in range(70_000)), sent[0].id, None, 7, {"no": "id"}]
    body = json.dumps([[LEDGER, {"received": ids}], {}, {}])
    bank.receipts.handle([raw_delivery(body, "sagas.receipts")])
    assert bank.outbox() == []


def test_a_receipt_settles_what_waits_for_the_operator_as_well(bank: Bank) -> None:
    """It came after all."""
    sent = bank.publish(Moved("1", 1))
    with bank.engine.begin() as connection:
        connection.execute(update(outbox).values(due_at=None, problem="an operator stopped it"))
    bank.receive(receipt(LEDGER, sent[0].id))
    assert bank.outbox() == []


# ---- what it costs --------------------------------------------------------------------------------------------------


def fill(engine: Engine, count: int, due_at: float | None) -> None:
    line = {"queue": LEDGER, "message": vars(message(LEDGER)), "created_at": 1.0, "awaited": True, "times": 1}
    with engine.begin() as connection:
        connection.execute(
            insert(outbox),
            [line | {"message_id": f"filler {due_at} {number}", "due_at": due_at} for number in range(count)],
        )


def test_a_round_costs_the_same_statements_however_many_rows_wait(bank: Bank) -> None:
    unsent(bank, Moved("1", 1))
    costs = []
    for count in (0, 2_000):
        fill(bank.engine, count, 1e10) if count else None
        fill(bank.engine, count, None) if count else None
        unsent(bank, Moved("1", 2))
        with watching(bank.engine) as seen:
            sent = bank.relay_at()
        costs.append(len(seen.texts))
        assert sent
    assert costs[0] == costs[1]


@pytest.mark.parametrize("answer", ["bank.moved.response.success", "bank.moved.response.failure"])
def test_an_answer_to_what_is_no_command_is_kept_and_takes_no_event_away(bank: Bank, answer: str) -> None:
    (sent,) = bank.publish(Moved("1", 1))
    bank.receipts.handle([raw_delivery('[["saga", null], {}, {}]', answer, parent_id=sent.id)])
    assert len(bank.outbox()) == 1
    (kept,) = rows(bank.engine, kept_messages)
    assert "is no command" in kept.reason


@pytest.mark.parametrize("asked", ["with\x00nul", "half of a pair \ud800", 17, None, ["a"]])
def test_an_answer_to_nothing_that_could_be_a_command_is_kept(bank: Bank, asked: Any) -> None:
    (sent,) = bank.publish(Moved("1", 1))
    odd = raw_delivery('[["saga", null], {}, {}]', "bank.moved.response.success", parent_id=asked)
    bank.receipts.handle([odd, delivery_of(receipt(LEDGER, sent.id))])
    assert bank.outbox() == [] and len(rows(bank.engine, kept_messages)) == 1
