"""`sagas events`, as an operator types it."""

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from sagas_framework import Failure, FailureKind, upgrade_database
from tests.cli.conftest import Run
from tests.cli.test_commands import fine, refused
from tests.support.processes import Desk, ForAll, Streamed
from tests.support.processes import Opened as CollectionOpened
from tests.support.stuck_events import Bank, Crm, Gossip, Opened

MODULE = "crm_for_the_command_line"
APPLICATION = """
import sys

from sagas_framework import create_participant, create_subscriber, handles
from tests.support.stuck_events import QUEUE, Gossip, Opened

@handles(Opened)
def welcome(event, context): ...

subscriber = create_subscriber(
    "crm", broker="memory://", database_url="sqlite:///crm.sqlite3", queue=QUEUE, handlers=[sys.modules[__name__]]
)
bank = create_participant(
    "bank", broker="memory://", database_url="sqlite:///bank.sqlite3", queue="bank.commands", publishes=[Opened, Gossip]
)
"""
CRM = ("--app", MODULE)
BANK = ("--app", f"{MODULE}:bank")


@pytest.fixture
def system(run: Run, folder: Path) -> Iterator[ModuleType]:
    (folder / f"{MODULE}.py").write_text(APPLICATION)
    module = importlib.import_module(MODULE)
    for engine in (module.subscriber.engine, module.bank.engine):
        upgrade_database(engine)
    yield module
    del sys.modules[MODULE]
    for engine in (module.subscriber.engine, module.bank.engine):
        engine.dispose()


@pytest.fixture
def bank(system: ModuleType) -> Bank:
    return Bank(system.bank.engine)


@pytest.fixture
def crm(system: ModuleType) -> Crm:
    return Crm(system.subscriber.engine)


@pytest.fixture
def stuck(bank: Bank, crm: Crm) -> Crm:
    """The second of three is parked."""
    crm.unlucky = {2}
    crm.park(bank.publish(*(Opened("a1", n) for n in (1, 2, 3))))
    return crm


# ---- what has come in ------------------------------------------------------------------------------------------------


def test_the_list_says_how_each_event_stands(run: Run, stuck: Crm) -> None:
    header, parked, held = fine(run("events", "list", *CRM)).splitlines()
    assert header.split() == ["NUMBER", "EVENT", "ABOUT", "CAME", "SITUATION"]
    assert parked.startswith("1 ") and parked.endswith("parked: ValueError: unlucky; 1 held back behind it")
    assert held.endswith("held back behind 1 (account=a1 #2), which is parked")
    assert "--limit shows more" in run("events", "list", *CRM, "--limit", "1").stderr


def test_the_list_about_one_thing_says_how_far_it_is_there(run: Run, stuck: Crm, bank: Bank) -> None:
    stuck.take(bank.publish(Opened("a2", 1)))
    _, *listed, progress = fine(run("events", "list", "--about", "account=a1", *CRM)).splitlines()
    assert len(listed) == 2 and progress == "events of bank about account=a1: handled up to #1"
    said = fine(run("events", "list", "--about", "account=a2", *CRM)).splitlines()
    assert said == ["no events wait", "events of bank about account=a2: handled up to #1"]


def test_json_holds_everything_of_an_event(run: Run, stuck: Crm) -> None:
    parked, _ = json.loads(fine(run("events", "list", "--json", *CRM)))
    assert (parked["id"], parked["standing"], parked["payload"]) == (1, "parked", {"account": "a1", "n": 2})
    assert json.loads(fine(run("events", "show", "1", "--json", *CRM))) == parked


def test_an_event_is_shown_with_the_commands_that_move_it(run: Run, stuck: Crm) -> None:
    shown = fine(run("events", "show", "1", *CRM))
    for part in ("bank.opened from bank", "tried 2 times", '"n": 2'):
        assert part in shown
    assert f"sagas events replay 1 --app {MODULE}" in shown
    assert f"sagas events skip 1 --app {MODULE} --reason" in shown
    assert f"sagas events show 1 --app {MODULE}" in fine(run("events", "show", "2", *CRM))


def test_an_event_that_waits_for_a_missing_one_says_where_to_look(run: Run, bank: Bank, crm: Crm) -> None:
    crm.take(bank.publish(Opened("a1", 1), Opened("a1", 2))[1:])
    shown = fine(run("events", "show", "1", *CRM))
    assert "bank sends account=a1 #1 until it arrives" in shown and "--missing" in shown
    assert "account=a1 goes on without #1" in fine(run("events", "skip", "1", "--missing", *CRM, "--reason", "lost"))
    crm.due_now()
    assert fine(run("events", "list", *CRM)) == "no events wait\n"


def test_an_event_that_kills_its_worker_is_shown_with_a_warning(run: Run, stuck: Crm) -> None:
    assert "kill its worker again" not in fine(run("events", "show", "1", *CRM))
    with stuck.engine.begin() as connection:
        connection.exec_driver_sql('UPDATE saga_event_inbox SET failure = \'{"type": "EventKillsItsWorker"}\'')
    assert "kill its worker again" in fine(run("events", "show", "1", *CRM))


def test_a_replayed_event_is_tried_again(run: Run, stuck: Crm) -> None:
    assert "it is held back behind 1" in refused(run("events", "replay", "2", *CRM))
    assert "event 1 (bank.opened, account=a1 #2) is to be tried again" in fine(run("events", "replay", "1", *CRM))
    assert "forgiven by a replay\n" in fine(run("events", "show", "1", *CRM))
    assert fine(run("events", "replay", "1", *CRM, "--reason", "the moon is full"))
    assert "forgiven by a replay: the moon is full" in fine(run("events", "show", "1", *CRM))
    stuck.unlucky = set()
    stuck.due_now()
    assert stuck.handled == [1, 2, 3]
    assert "no event with the number 1 waits" in refused(run("events", "replay", "1", *CRM))
    assert fine(run("events", "replay", "--all-parked", *CRM)) == "no event is parked\n"


def test_all_parked_events_are_replayed_at_once(run: Run, stuck: Crm) -> None:
    assert "event 1 " in fine(run("events", "replay", "--all-parked", *CRM))
    for arguments in ([], ["1", "--all-parked"]):
        said = refused(run("events", "replay", *arguments, *CRM), exit_code=2)
        assert "give the numbers of events, or --all-parked" in said


def test_a_skipped_event_is_printed_before_it_is_gone(run: Run, stuck: Crm) -> None:
    assert "--reason" in refused(run("events", "skip", "1", *CRM), exit_code=2)
    said = fine(run("events", "skip", "1", *CRM, "--reason", "a test account"))
    assert "event 1 (bank.opened, account=a1 #2) is given up" in said and '{"account": "a1", "n": 2}' in said
    assert "it held back 1" in said and "sagas kept list" in said
    assert "given up by the operator: a test account" in fine(run("kept", "list", *CRM))
    assert "what to do   nothing" in fine(run("kept", "show", "1", *CRM))
    assert "an operator has given it up" in refused(run("kept", "requeue", "1", *CRM))
    stuck.due_now()
    assert stuck.handled == [1, 3]


def test_nothing_that_a_terminal_would_obey_is_printed_of_an_event(run: Run, bank: Bank, crm: Crm) -> None:
    crm.unlucky = {1}
    crm.park(bank.publish(Opened("a\x1b[2J\x9b2J", 1)))
    said = "".join(
        fine(run("events", *arguments, *CRM))
        for arguments in (["list"], ["show", "1"], ["replay", "1"], ["skip", "1", "--reason", "no"])
    )
    assert "\x1b" not in said and "\x9b" not in said


def test_who_takes_no_events_says_so(run: Run, system: ModuleType) -> None:
    assert "no events come in here" in refused(run("events", "list", *BANK))


# ---- what goes out ---------------------------------------------------------------------------------------------------


def test_what_goes_out_is_listed_with_its_situation(run: Run, bank: Bank) -> None:
    assert fine(run("events", "outgoing", *BANK)) == "everything has arrived\n"
    bank.publish(Opened("a1", 1), Gossip("a1"))
    header, nobody, sent = fine(run("events", "outgoing", *BANK)).splitlines()
    assert header.split() == ["NUMBER", "WHAT", "TO", "ABOUT", "AGE", "SITUATION"]
    assert nobody.startswith("2 ") and nobody.endswith("nobody subscribes to it")
    assert "tried once and no receipt yet; sent again at" in sent
    assert [one["id"] for one in json.loads(fine(run("events", "outgoing", "--json", *BANK)))] == [2, 1]


def test_one_of_what_goes_out_is_shown_with_what_to_do(run: Run, bank: Bank) -> None:
    bank.publish(Opened("a1", 1), Gossip("a1"))
    shown = fine(run("events", "outgoing", "1", *BANK))
    assert "takes messages from the queue crm.events" in shown and f"resend 1 --app {MODULE}:bank" in shown
    assert "add a queue to the subscribers" in fine(run("events", "outgoing", "2", *BANK))
    assert json.loads(fine(run("events", "outgoing", "2", "--json", *BANK)))["queue"] is None
    assert "no outgoing message with the number 3" in refused(run("events", "outgoing", "3", *BANK))


def test_what_goes_out_about_one_thing_or_to_one_queue(run: Run, bank: Bank) -> None:
    bank.publish(Opened("a1", 1), Opened("a2", 1))
    _, line = fine(run("events", "outgoing", "--about", "account=a2", *BANK)).splitlines()
    assert line.startswith("2 ")
    assert "nothing about it" in fine(run("events", "outgoing", "--about", "account=a3", *BANK))
    assert "2 messages to crm.events" in fine(run("events", "resend", "--queue", "crm.events", *BANK))
    assert "nothing waits to be sent to x" in fine(run("events", "resend", "--queue", "x", *BANK))
    assert "or --queue" in refused(run("events", "resend", "1", "--queue", "x", *BANK), exit_code=2)


def test_what_goes_out_is_sent_at_once_or_never(run: Run, bank: Bank) -> None:
    bank.publish(Opened("a1", 1))
    assert "event 1 (bank.opened, account=a1 #1) is to be sent again" in fine(run("events", "resend", "1", *BANK))
    bank.relay()
    assert bank.publisher.tasks() == ["bank.opened"]
    assert "--reason" in refused(run("events", "discard", "1", *BANK), exit_code=2)
    said = fine(run("events", "discard", "1", *BANK, "--reason", "a mistake"))
    assert "is discarded" in said and "later events of account=a1 wait there for #1" in said
    assert bank.rows() == []
    assert "given up by the operator: a mistake" in fine(run("kept", "list", *BANK))


def test_all_that_has_failed_is_resent_and_what_cannot_be_is_an_error(run: Run, bank: Bank) -> None:
    assert fine(run("events", "resend", "--all-failed", *BANK)) == "nothing has failed\n"
    bank.publish(Gossip("a1"))
    command = bank.command("01920000-0000-7000-8000-000000000001")
    bank.take_failure(command, Failure("Refusal", "not before nine", kind=FailureKind.REFUSED))
    assert "failed: Refusal: not before nine" in fine(run("events", "outgoing", *BANK))
    result = run("events", "resend", "--all-failed", *BANK)
    assert result.exit_code == 1 and "command 2 (bank.block" in result.stdout
    assert "1 could not be sent; the first: resend of 1 is refused: still nobody subscribes" in result.stderr
    assert "give the numbers" in refused(run("events", "resend", *BANK), exit_code=2)


# ---- a subscriber is an application like any other -------------------------------------------------------------------


def test_the_other_commands_take_a_subscriber(run: Run, crm: Crm) -> None:
    assert fine(run("list", *CRM)) == "no sagas yet\n"
    assert fine(run("kept", "list", *CRM)) == "no messages are kept\n"
    assert fine(run("doctor", *CRM)).splitlines()[-1] == "all is well"
    saga_id = "01920000-0000-7000-8000-000000000001"
    assert "sagas events list" in refused(run("cancel", saga_id, "--reason", "no", *CRM))


def test_what_a_process_manager_has_recorded_is_shown_and_is_in_its_json(run: Run, crm: Crm) -> None:
    desk = Desk(crm.engine, Streamed)
    desk.take(CollectionOpened("one"), *[ForAll("x")] * 2)
    saga_id = json.loads(fine(run("list", "--json", *CRM)))[0]["id"]
    shown = fine(run("show", saga_id, *CRM))
    first, _, third = shown.partition("Recorded\n")[2].partition("\n\n")[0].splitlines()[1:]
    assert first.split() == ["1", "+0.0", "s", "Named", '{"name":', '"one"}']
    assert third.split() == ["3", "+0.0", "s", "Heard", '{"what":', '"ForAll"}']
    assert "event handled" in shown and "earlier" not in shown
    recorded = json.loads(fine(run("show", saga_id, "--json", *CRM)))["recorded"]
    assert [own["version"] for own in recorded] == [1, 2, 3]
    desk.take(*[ForAll("x")] * 100)
    assert "(3 earlier ones: the table saga_process_event)" in fine(run("show", saga_id, *CRM))


def test_the_doctor_tells_of_stuck_events(run: Run, stuck: Crm, bank: Bank) -> None:
    bank.publish(Gossip("a1"))
    result = run("doctor", *CRM)
    assert result.exit_code == 1 and "PROBLEM events    1 event is parked" in result.stdout
    result = run("doctor", *BANK)
    assert "nobody subscribes to bank.gossip" in result.stdout and "1 outgoing message waits" in result.stdout
