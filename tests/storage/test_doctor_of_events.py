"""What the doctor finds of events, on both databases; each problem says what to do."""

import logging
import time
from collections.abc import Mapping

import pytest
from sqlalchemy import Engine, update

from sagas_framework import Failure, FailureKind
from sagas_framework.events.wiring import warn_of_unheard
from sagas_framework.operations import Finding, KeptMessages, examine
from sagas_framework.operations.process import Speaker
from sagas_framework.storage.schema import event_inbox, outbox
from tests.support.stuck_events import QUEUE, Bank, Crm, Gossip, GossipHeard, Opened, gossip, opened

WORKER = "celery --app crm worker"


@pytest.fixture
def bank(engine: Engine) -> Bank:
    return Bank(engine, Opened)


@pytest.fixture
def crm(engine: Engine) -> Crm:
    return Crm(engine)


def findings(patient: Speaker) -> Mapping[str, Finding]:
    return {finding.check: finding for finding in examine(patient, WORKER)}


def problems(patient: Speaker) -> dict[str, Finding]:
    found = {check: finding for check, finding in findings(patient).items() if not finding.ok}
    assert all(finding.remedy for finding in found.values())
    return found


def test_a_subscriber_and_a_publisher_in_good_health_have_no_problems(bank: Bank, crm: Crm) -> None:
    crm.take(bank.publish(Opened("a1", 1)))
    assert problems(crm.subscriber) == {} and problems(bank.participant) == {}
    assert {"events", "order", "retries", "outgoing", "receipts"} <= set(findings(crm.subscriber))
    assert "events" not in findings(bank.participant) and "publishes" in findings(bank.participant)


def test_parked_events_are_counted_with_the_age_of_the_oldest(bank: Bank, crm: Crm) -> None:
    crm.unlucky = {1}
    crm.park(bank.publish(Opened("a1", 1), Opened("a2", 1), Opened("a2", 2)))
    with crm.engine.begin() as connection:
        connection.execute(update(event_inbox).values(received_at=time.time() - 3600))
    found = problems(crm.subscriber)
    assert found["events"].text.startswith("2 events are parked, the oldest came 60 min ago")
    assert found["events"].remedy.startswith("sagas events list")


def test_what_was_given_up_waits_for_nobody(bank: Bank, crm: Crm) -> None:
    crm.unlucky = {1}
    crm.park(bank.publish(Opened("a1", 1)))
    crm.events.skip(crm.events.waiting()[0].id, "a test account")
    assert len(KeptMessages(crm.subscriber).list()) == 1
    assert problems(crm.subscriber) == {}


def test_an_event_that_does_not_come_is_named_when_others_have_waited_long(bank: Bank, crm: Crm) -> None:
    crm.take(bank.publish(Opened("a1", 1), Opened("a1", 2))[1:])
    assert "order" not in problems(crm.subscriber), "it may be on its way"
    with crm.engine.begin() as connection:
        connection.execute(update(event_inbox).values(received_at=time.time() - 301))
    found = problems(crm.subscriber)["order"]
    assert "for more than 5 min for account=a1 #1 of bank" in found.text and "--missing" in found.remedy


def test_an_event_that_is_held_back_behind_a_parked_one_is_no_gap(bank: Bank, crm: Crm) -> None:
    crm.unlucky = {1}
    crm.park(bank.publish(Opened("a1", 1), Opened("a1", 2)))
    with crm.engine.begin() as connection:
        connection.execute(update(event_inbox).values(received_at=time.time() - 301))
    assert set(problems(crm.subscriber)) == {"events"}


def test_events_that_no_worker_tries_again_are_counted(bank: Bank, crm: Crm) -> None:
    crm.unlucky = {1}
    crm.take(bank.publish(Opened("a1", 1)))
    with crm.engine.begin() as connection:
        connection.execute(update(event_inbox).values(wake_at=time.time() - 60))
    found = problems(crm.subscriber)["retries"]
    assert found.text == "1 event has been due for 60 s, and no worker tries it" and WORKER in found.remedy


def test_an_event_that_nobody_subscribes_to_is_named_before_and_after_it_is_published(engine: Engine) -> None:
    bank = Bank(engine, Opened, Gossip)
    assert problems(bank.participant)["publishes"].text == "nobody subscribes to bank.gossip"
    bank.publish(Gossip("a1"), Gossip("a2"))
    found = problems(bank.participant)
    assert found["outgoing"].text == "2 outgoing messages wait for a person: nobody subscribes to it (2)"
    assert set(problems(Bank(engine, Opened, GossipHeard).participant)) == {"outgoing"}


def test_a_command_that_has_failed_is_told_with_its_reason(bank: Bank, crm: Crm) -> None:
    command = bank.command("01920000-0000-7000-8000-000000000001")
    assert problems(crm.subscriber) == {}
    bank.take_failure(command, Failure("Refusal", "not before nine", kind=FailureKind.REFUSED))
    assert "Refusal: not before nine (1)" in problems(crm.subscriber)["outgoing"].text


def test_queues_that_send_no_receipts_are_named(bank: Bank) -> None:
    bank.publish(Opened("a1", 1))
    for _ in range(3):
        assert problems(bank.participant) == {}
        bank.relayed_at(bank.rows()[0]["due_at"])
    found = problems(bank.participant)["receipts"]
    assert f"{QUEUE} (1)" in found.text and "workers" in found.remedy


def test_what_waits_for_a_receipt_or_for_its_time_is_not_overdue_in_the_outbox(bank: Bank) -> None:
    bank.publish(Opened("a1", 1))
    with bank.engine.begin() as connection:
        connection.execute(update(outbox).values(created_at=time.time() - 86_400, due_at=time.time() + 60))
    assert problems(bank.participant) == {}
    with bank.engine.begin() as connection:
        connection.execute(update(outbox).values(due_at=time.time() - 60))
    assert set(problems(bank.participant)) == {"outbox"}


def test_whoever_declares_an_event_that_nobody_subscribes_to_is_warned(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        warn_of_unheard("bank", {event.name: event for event in (opened, gossip)})
    (record,) = caplog.records
    assert "bank publishes 'bank.gossip', and nobody subscribes to it" in record.getMessage()
    assert "stuck_events.py" in record.getMessage()
