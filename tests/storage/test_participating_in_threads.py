"""Commands that a worker's threads do one at a time each: side by side, a suspect alone, giving back more slowly."""

from dataclasses import replace
from threading import Event, Thread

import pytest
from celery import signals
from celery.exceptions import Reject, Retry

from sagas_framework import HandlerContext, handles
from sagas_framework.participant.gate import Gate
from sagas_framework.storage.schema import deliveries
from tests.support.kitchen import (
    ASK,
    CREATE,
    THREADS,
    Ask,
    Kitchen,
    Ticket,
    about_to_wait,
    counts,
    once,
    raising,
    set_count,
)
from tests.support.participation import Incoming, ParticipantBench, incoming
from tests.support.threads import in_threads, until
from tests.support.trouble import wait_for_no_lock


@pytest.fixture
def mode() -> str:
    return THREADS


@pytest.mark.rule(13)
def test_celerys_own_retry_passes_through(kitchen: Kitchen) -> None:
    kitchen.before_create = raising(Retry("I know what I do"))
    with pytest.raises(Retry):
        kitchen.bench.perform(incoming(CREATE, ASK))
    assert kitchen.bench.answers() == [] and kitchen.notes() == []


@pytest.mark.rule(13)
def test_a_locked_database_is_waited_for(sqlite_kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch) -> None:
    kitchen = sqlite_kitchen
    wait_for_no_lock(kitchen.engine)
    holder = kitchen.engine.connect()
    transaction = holder.begin()
    monkeypatch.setattr("sagas_framework.participant.participant.time.sleep", lambda seconds: transaction.rollback())
    kitchen.bench.perform(incoming(CREATE, ASK))
    holder.close()
    assert kitchen.bench.answers() == [("success", {"ticket_id": 70})]


def test_without_a_database_a_handler_answers_and_a_duplicate_runs_it_twice() -> None:
    runs = []

    @handles(CREATE)
    def create(ask: Ask, step: HandlerContext) -> Ticket:
        runs.append(ask.order_id)
        return Ticket(1)

    bench = ParticipantBench(None, create)
    bench.perform(incoming(CREATE, ASK))
    bench.perform(incoming(CREATE, ASK).again())
    assert bench.answers() == [("success", {"ticket_id": 1})] * 2 and runs == [7, 7]


# ---- side by side, and alone ----------------------------------------------------------------------------------------


class Slow:
    """A handler that is held inside until it is let go."""

    def __init__(self) -> None:
        self.inside, self.go_on = Event(), Event()

    def __call__(self, step: HandlerContext) -> None:
        self.inside.set()
        assert self.go_on.wait(10)


def begun(kitchen: Kitchen, *commands: Incoming) -> list[Thread]:
    threads = [Thread(target=kitchen.bench.perform, args=(command,)) for command in commands]
    for thread in threads:
        thread.start()
    return threads


@pytest.mark.rule(12)
def test_a_duplicate_of_a_command_that_this_process_is_doing_is_let_go_without_an_answer(kitchen: Kitchen) -> None:
    slow = kitchen.before_create = Slow()
    running = begun(kitchen, incoming(CREATE, ASK))
    assert slow.inside.wait(10)
    asked_again = begun(kitchen, incoming(CREATE, ASK))
    for thread in asked_again:
        thread.join(5)
    assert not any(thread.is_alive() for thread in asked_again)
    assert kitchen.bench.answers() == []
    slow.go_on.set()
    for thread in running:
        thread.join()
    assert kitchen.bench.answers() == [("success", {"ticket_id": 70})]
    assert kitchen.runs == ["create"]


@pytest.mark.rule(12)
@pytest.mark.postgresql
def test_a_command_redelivered_while_it_is_done_waits_alone_of_its_kind_and_shuts_out_no_other(
    postgresql_kitchen: Kitchen,
) -> None:
    """Its first delivery's connection may be lost: were it let go, nobody would hold the command any more."""
    kitchen = postgresql_kitchen
    slow = Slow()
    kitchen.before_create = lambda step: slow(step) if step.step == "create" else None
    command = incoming(CREATE, ASK)
    running = begun(kitchen, command)
    assert slow.inside.wait(10)
    redelivered = begun(kitchen, command.again(), command.again(), command.again())
    until(lambda: sum(thread.is_alive() for thread in redelivered) == 1)
    others = begun(kitchen, incoming(CREATE, ASK, step="another"))
    others[0].join(5)
    assert not others[0].is_alive()
    slow.go_on.set()
    for thread in running + redelivered:
        thread.join()
    assert kitchen.bench.answers() == [("success", {"ticket_id": 70})] * 3
    assert kitchen.runs == ["create", "create"] and kitchen.count(deliveries) == 0


def gate_of(kitchen: Kitchen) -> Gate:
    assert isinstance(kitchen.bench, ParticipantBench)
    return kitchen.bench.participant._gate


@pytest.mark.rule(13)
def test_what_celerys_retry_has_sent_is_no_duplicate_of_the_handler_that_has_not_yet_returned(
    kitchen: Kitchen,
) -> None:
    slow = Slow()

    @once
    def retry(step: HandlerContext) -> None:
        slow(step)
        raise LookupError("not yet")

    kitchen.before_create = retry
    running = begun(kitchen, incoming(CREATE, ASK))
    assert slow.inside.wait(10)
    waiting = about_to_wait(kitchen.engine)
    retried = begun(kitchen, replace(incoming(CREATE, ASK), retries=1))
    waiting()
    slow.go_on.set()
    for thread in running + retried:
        thread.join()
    assert len(kitchen.bench.answers()) == 2


@pytest.mark.rule(11)
@pytest.mark.postgresql
@pytest.mark.parametrize(("begun_before", "together"), [(0, True), (1, False), (2, False)])
def test_a_command_runs_beside_others_on_its_second_delivery_and_alone_from_its_third(
    postgresql_kitchen: Kitchen, begun_before: int, together: bool
) -> None:
    kitchen = postgresql_kitchen
    slow = Slow()
    kitchen.before_create = lambda step: slow(step) if step.step == "create" else None
    suspect = incoming(CREATE, ASK, step="suspect").again()
    set_count(kitchen.engine, suspect, begun_before)
    threads = begun(kitchen, incoming(CREATE, ASK))
    assert slow.inside.wait(10)
    threads += begun(kitchen, suspect)
    gate = gate_of(kitchen)
    until(lambda: kitchen.runs == ["create", "create"] or gate._waiting_to_be_alone == 1)
    assert (len(kitchen.runs) == 2) is together
    slow.go_on.set()
    for thread in threads:
        thread.join()
    assert len(kitchen.bench.answers()) == 2 and kitchen.count(deliveries) == 0


@pytest.mark.rule(11)
@pytest.mark.postgresql
def test_a_suspect_that_waits_for_its_turn_is_not_counted_with_the_one_that_runs(
    postgresql_kitchen: Kitchen,
) -> None:
    """What kills the process now is none of its doing."""
    kitchen = postgresql_kitchen
    slow = Slow()
    kitchen.before_create = lambda step: slow(step) if step.step == "poison" else None
    poison, innocent = (incoming(CREATE, ASK, step=step).again() for step in ("poison", "innocent"))
    for command in (poison, innocent):
        set_count(kitchen.engine, command, 1)
    threads = begun(kitchen, poison)
    assert slow.inside.wait(10)
    threads += begun(kitchen, innocent)
    until(lambda: gate_of(kitchen)._waiting_to_be_alone == 1)
    assert counts(kitchen.engine) == {poison.id: 2, innocent.id: 1}
    slow.go_on.set()
    for thread in threads:
        thread.join()


# ---- backing off ----------------------------------------------------------------------------------------------------


@pytest.fixture
def paused(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses, without waiting for them."""
    slices: list[float] = []
    monkeypatch.setattr("sagas_framework.participant.back_off.time.sleep", slices.append)
    return slices


def test_a_participant_pauses_longer_and_longer_before_it_gives_back_what_it_cannot_answer(
    kitchen: Kitchen, paused: list[float]
) -> None:
    def pause_of(command: Incoming) -> float:
        paused.clear()
        with pytest.raises(Reject):
            kitchen.bench.perform(command)
        return round(sum(paused), 3)

    kitchen.bench.publisher.broken = True
    command = incoming(CREATE, ASK)
    assert [pause_of(command.again()) for _ in range(8)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    kitchen.bench.publisher.broken = False
    kitchen.bench.perform(command.again())
    kitchen.bench.publisher.broken = True
    assert pause_of(command.again()) == 0.1


def test_others_are_done_while_a_command_waits_to_be_given_back(
    kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(seconds: float) -> None:
        kitchen.bench.publisher.broken = False
        in_threads([lambda: kitchen.bench.perform(incoming(CREATE, ASK, step="another"))])

    suspect = incoming(CREATE, ASK).again()
    set_count(kitchen.engine, suspect, 1)
    kitchen.bench.publisher.broken = True
    monkeypatch.setattr("sagas_framework.participant.back_off.time.sleep", meanwhile)
    with pytest.raises(Reject):
        kitchen.bench.perform(suspect)
    assert kitchen.bench.answers() == [("success", {"ticket_id": 70})]


def test_a_worker_that_is_told_to_stop_does_not_wait_on(
    kitchen: Kitchen, paused: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def told_to_stop(seconds: float) -> None:
        paused.append(seconds)
        signals.worker_shutting_down.send(sender="kitchen@here")

    kitchen.bench.publisher.broken = True
    for _ in range(5):
        with pytest.raises(Reject):
            kitchen.bench.perform(incoming(CREATE, ASK))
    paused.clear()
    monkeypatch.setattr("sagas_framework.participant.back_off.time.sleep", told_to_stop)
    for _ in range(2):
        with pytest.raises(Reject):
            kitchen.bench.perform(incoming(CREATE, ASK))
    assert len(paused) == 1
