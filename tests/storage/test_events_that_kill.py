"""An event that is stored and kills its worker whenever it is taken up does not do so for ever, and harms no other."""

import sqlite3
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from sagas_framework import EventContext
from sagas_framework.events.due import CLAIM_SECONDS
from sagas_framework.storage import event_inbox
from tests.support.events import Ledger, Moved, at, sent_by_bank
from tests.support.orchestration import delivery_of

NOW = 2_000_000_000.0


class Died(BaseException):
    """What no `except Exception` sees: the process is gone."""


def refuse(event: Any, context: EventContext) -> None:
    raise ValueError("not now")


def die_of(number: int) -> Any:
    def handle(event: Moved, context: EventContext) -> None:
        if event.amount == number and event.account == "1":
            raise Died

    return handle


def stored_first(ledger: Ledger, *accounts: str) -> None:
    """The first event of each account has failed once and is tried again; two more are behind it."""
    ledger.before = refuse
    for account in accounts:
        ledger.take(*sent_by_bank(3, account), now=NOW)


def lives(ledger: Ledger, moments: list[float]) -> int:
    """How many workers die, one after the other, of what is due at these moments."""
    deaths = 0
    for moment in moments:
        try:
            ledger.due_at(moment)
        except Died:
            deaths += 1
    return deaths


def later(count: int) -> list[float]:
    return [NOW + 100 + turn * (CLAIM_SECONDS + 1) for turn in range(count)]


def test_a_stored_event_that_kills_its_worker_waits_for_the_operator_after_three_deaths(engine: Engine) -> None:
    ledger = Ledger(engine)
    stored_first(ledger, "1", "2")
    ledger.before = die_of(1)
    assert lives(ledger, later(6)) == 3
    head = ledger.stored()["account=1", 1]
    assert head.parked and head.wake_at is None and head.failure["type"] == "EventKillsItsWorker"
    assert ledger.handled == {"account=2": [1, 2, 3]}, "whoever was beside it has gone on"


def test_a_killer_behind_an_innocent_one_is_found(engine: Engine) -> None:
    ledger = Ledger(engine)
    stored_first(ledger, "1")
    ledger.before = die_of(2)
    lives(ledger, later(10))
    assert ledger.handled == {"account=1": [1]}
    assert ledger.stored()["account=1", 2].parked and not ledger.stored()["account=1", 3].parked


def test_a_killer_that_came_before_its_turn_is_not_mistaken_for_the_one_that_it_waited_for(engine: Engine) -> None:
    ledger = Ledger(engine)
    first, *early = sent_by_bank(3)
    ledger.take(*early, now=NOW)
    ledger.before = die_of(2)
    with pytest.raises(Died):  # it handles what was waiting for it as well
        ledger.take(first, now=NOW)
    ledger.take(delivery_of(first, redelivered=True), now=NOW)
    assert ledger.handled == {"account=1": [1]} and ledger.streams() == {"account=1": (1, True)}
    assert lives(ledger, later(6)) == 3
    assert ledger.stored()["account=1", 2].parked and not ledger.stored()["account=1", 3].parked


def test_what_one_worker_has_claimed_no_other_takes_up_until_it_must_have_died(engine: Engine) -> None:
    ledger, other = Ledger(engine), Ledger(engine)
    stored_first(ledger, "1")
    ledger.before = die_of(1)
    begun = NOW + 100
    assert lives(ledger, [begun]) == 1
    other.due_at(begun + CLAIM_SECONDS - 1)
    assert other.handled == {}
    other.due_at(begun + CLAIM_SECONDS + 1)
    assert other.handled == {"account=1": [1, 2, 3]}


def test_a_handler_that_raises_kills_nobody_and_is_never_taken_for_a_killer(engine: Engine) -> None:
    ledger = Ledger(engine)
    stored_first(ledger, "1")
    ledger.due_at(NOW + 100)
    head = ledger.stored()["account=1", 1]
    assert (head.attempts, head.begun, head.failure["type"]) == (2, 0, "ValueError")


def test_what_the_operator_replays_has_all_its_lives_again(engine: Engine) -> None:
    ledger = Ledger(engine)
    stored_first(ledger, "1")
    ledger.before = die_of(1)
    lives(ledger, later(6))
    head = ledger.stored()["account=1", 1]
    with engine.begin() as connection:
        event_inbox.change(connection, head.id, parked=False, attempts=0, begun=0, wake_at=NOW)
    ledger.before = lambda event, context: None
    ledger.due_at(later(7)[-1])
    assert ledger.handled == {"account=1": [1, 2, 3]}


def test_trouble_with_the_database_is_no_death(engine: Engine) -> None:
    ledger = Ledger(engine)
    stored_first(ledger, "1")

    def no_go_on(*arguments: Any, **named: Any) -> Any:
        raise RuntimeError("the framework itself fails")

    go_on, ledger.intake.go_on = ledger.intake.go_on, no_go_on  # type: ignore[method-assign]
    for moment in later(5):
        ledger.due_at(moment)
    assert ledger.stored()["account=1", 1].begun == 0
    ledger.intake.go_on = go_on  # type: ignore[method-assign]
    ledger.before = lambda event, context: None
    ledger.due_at(later(6)[-1])
    assert ledger.handled == {"account=1": [1, 2, 3]}


class Mute(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


def test_an_event_whose_error_has_no_text_is_tried_again_and_parked_like_any_other(engine: Engine) -> None:
    ledger = Ledger(engine)

    def be_mute(event: Any, context: EventContext) -> None:
        raise Mute

    ledger.before = be_mute
    ledger.take(*sent_by_bank(1), now=NOW)
    for moment in later(4):
        ledger.due_at(moment)
    assert ledger.stored()["account=1", 1].parked


def test_one_event_that_meets_bad_weather_every_time_holds_up_no_other(engine: Engine) -> None:
    """What its handler meets may be another database's."""
    ledger = Ledger(engine)
    stored_first(ledger, "1", "2")

    def meet_weather(event: Any, context: EventContext) -> None:
        if event.account == "1":
            raise OperationalError("SELECT 1", {}, sqlite3.OperationalError("database is locked"))

    ledger.before = meet_weather
    with at(NOW + 100):
        ledger.due()
    assert ledger.handled == {"account=2": [1, 2, 3]}
    assert ledger.stored()["account=1", 1].begun == 0
