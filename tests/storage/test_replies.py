"""The orchestrator's reply batches on both databases: one transaction, nobody harmed by his neighbour."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from unittest import mock

import pytest
from sqlalchemy import Engine, create_engine, func, insert, select, text, update
from sqlalchemy.pool import NullPool

from sagas_framework import Failure, FailureKind, StepContext, TransientError
from sagas_framework.engine.protocol import Cancel, Pause, Resume, Retry
from sagas_framework.errors import OperationRefused, PublishFailed, UnknownSaga
from sagas_framework.storage.schema import deliveries, history, instances, outbox
from sagas_framework.transport.delivery import Delivery
from sagas_framework.transport.inbox import Unfinished
from sagas_framework.transport.wire import OutgoingMessage
from tests.support import sagas
from tests.support.orchestration import Bench, answer, arrival_of, raw_delivery, watching
from tests.support.sagas import Note, OrderData, OrderSaga, QuietSaga, orders
from tests.support.threads import in_threads
from tests.support.trouble import lose_the_connection, refuse_a_note_twice

TICKET = {"ticket_id": 5}
NOBODY = "01920000-0000-7000-8000-00000000ffff"
SUCCESS = "kitchen.create.response.success"


def started(bench: Bench, number: int = 1) -> tuple[str, OutgoingMessage]:
    """A saga and its first command, as its participant receives it."""
    saga_id = bench.started(OrderSaga, OrderData(number))
    (command,) = bench.publisher.take()
    return saga_id, command


def go_on(bench: Bench, command: OutgoingMessage, value: Any = None) -> list[OutgoingMessage]:
    bench.handle(answer(command, value))
    return bench.publisher.take()


def notes(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(select(orders.c.note).order_by(orders.c.id)))


def raises(error: Exception, number: int | None = None) -> Callable[[OrderData, StepContext], None]:
    def fail(order: OrderData, step: StepContext) -> None:
        if number is None or order.order_id == number:
            raise error

    return fail


def count(engine: Engine, table: Any) -> int:
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0


# ---- the way forward and back ---------------------------------------------------------------------------------------


@pytest.mark.rule(3, 18)
def test_replies_carry_a_saga_to_its_success(bench: Bench) -> None:
    saga_id, command = started(bench)
    for value, next_task in ((TICKET, "bank.charge"), (None, "kitchen.approve")):
        (command,) = go_on(bench, command, value)
        assert command.task == next_task
    assert go_on(bench, command) == []
    row = bench.row(saga_id)
    assert (row["status"], row["current_step"], row["wake_at"]) == ("succeeded", None, None)
    assert row["data"]["ticket_id"] == 5 and row["ended_at"] is not None
    assert bench.events(saga_id)[0] == "started" and bench.events(saga_id)[-1] == "succeeded"
    assert notes(bench.engine) == ["1 reserved", "1 ticket 5"]


@pytest.mark.rule(16, 18)
def test_a_refusal_compensates_what_was_done_against_the_order_of_doing(bench: Bench) -> None:
    saga_id, command = started(bench)
    (charge,) = go_on(bench, command, TICKET)
    (reject,) = go_on(bench, charge, Failure("Declined", "no money"))
    row = bench.row(saga_id)
    assert (row["status"], row["failed_step"], row["current_step"]) == ("compensating", "charge", "create")
    assert row["failure_details"]["type"] == "Declined" and row["last_message_id"] == reject.id
    assert go_on(bench, reject) == []
    assert bench.status(saga_id) == "failed"
    assert notes(bench.engine) == ["1 reserved", "1 ticket 5", "1 released"]


@pytest.mark.rule(7, 16)
def test_a_compensation_that_nobody_awaits_goes_through_the_outbox(bench: Bench) -> None:
    saga_id = bench.started(QuietSaga, OrderData(1))
    (create,) = bench.publisher.take()
    (charge,) = go_on(bench, create, TICKET)
    assert go_on(bench, charge, Failure("Declined", "no money")) == []
    assert bench.status(saga_id) == "failed" and count(bench.engine, outbox) == 1


# ---- many at once ---------------------------------------------------------------------------------------------------


@pytest.mark.rule(3)
def test_a_batch_is_one_transaction_however_many_sagas_it_moves(bench: Bench) -> None:
    commands = [started(bench, number)[1] for number in range(20)]
    with watching(bench.engine) as few:
        bench.handle(*(answer(command, TICKET) for command in commands[:2]))
    with watching(bench.engine) as many:
        bench.handle(*(answer(command, TICKET) for command in commands[2:]))
    assert (few.commits, many.commits) == (1, 1)
    assert not any("SAVEPOINT" in text for text in many.texts)
    framework = [len([text for text in seen.texts if "app_order" not in text]) for seen in (few, many)]
    assert framework[0] == framework[1], "the framework's statements do not grow with the batch"
    assert len(bench.publisher.take()) == 20


@pytest.mark.rule(9, 17)
def test_one_callback_that_raises_harms_nobody_else_of_its_batch(bench: Bench) -> None:
    started_sagas = [started(bench, number) for number in range(5)]
    sagas.hooks["remember_ticket"] = raises(LookupError("no such table"), 3)
    with watching(bench.engine) as seen:
        bench.handle(*(answer(command, TICKET) for _, command in started_sagas))
    assert seen.commits == 1
    assert sorted(bench.publisher.tasks()) == ["bank.charge"] * 4 + ["kitchen.reject"]
    statuses = [bench.status(saga_id) for saga_id, _ in started_sagas]
    assert statuses == ["running", "running", "running", "compensating", "running"]
    assert sorted(notes(bench.engine)[5:]) == [f"{number} ticket 5" for number in (0, 1, 2, 4)]
    assert bench.row(started_sagas[3][0])["data"]["ticket_id"] is None


@pytest.mark.rule(9)
def test_two_replies_for_one_saga_in_one_batch_build_on_each_other(bench: Bench) -> None:
    saga_id, command = started(bench)
    other_id, other = started(bench, 2)
    sagas.hooks["remember_ticket"] = raises(LookupError(), 2)  # so that it also holds in the careful try
    first = answer(command, TICKET)
    bench.handle(first, answer(command, TICKET), answer(other, TICKET), answer(command, TICKET))
    assert bench.row(saga_id)["stale_replies"] == 2
    assert bench.status(saga_id) == "running" and bench.status(other_id) == "compensating"
    assert sorted(bench.publisher.tasks()) == ["bank.charge", "kitchen.reject"]


@pytest.mark.rule(17)
def test_a_callback_that_raises_after_the_pivot_stops_with_its_reply_and_runs_again_on_retry(bench: Bench) -> None:
    saga_id, command = started(bench)
    (charge,) = go_on(bench, command, TICKET)
    (approve,) = go_on(bench, charge)
    sagas.hooks["approved"] = raises(LookupError("not yet"))
    go_on(bench, approve)
    assert bench.status(saga_id) == "needs_attention"
    with pytest.raises(OperationRefused, match="point of no return"):
        bench.act(saga_id, Cancel(0.0, "why not"))
    sagas.hooks.clear()
    bench.act(saga_id, Retry(0.0, "fixed"))
    assert bench.status(saga_id) == "succeeded"
    assert bench.publisher.take() == []


@pytest.mark.rule(17)
def test_a_local_step_after_the_pivot_is_tried_by_its_policy_and_then_needs_attention(bench: Bench) -> None:
    saga_id, command = started(bench)
    (charge,) = go_on(bench, command, TICKET)
    (approve,) = go_on(bench, charge)
    sagas.hooks["finish"] = raises(LookupError("not yet"))
    go_on(bench, approve)
    assert bench.status(saga_id) == "running"  # its policy lets it try once more
    bench.due_now(saga_id)
    assert bench.status(saga_id) == "needs_attention"


# ---- duplicates -----------------------------------------------------------------------------------------------------


@pytest.mark.rule(4)
def test_a_duplicate_reply_is_counted_and_changes_nothing(bench: Bench) -> None:
    saga_id, command = started(bench)
    bench.handle(answer(command, TICKET))
    bench.publisher.take()
    before, events = bench.row(saga_id), bench.events(saga_id)
    bench.handle(answer(command, TICKET))
    after = bench.row(saga_id)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"stale_replies"}
    assert bench.events(saga_id) == events and bench.publisher.take() == [] and bench.kept() == []


@pytest.mark.rule(5)
def test_a_redelivered_duplicate_sends_again_what_it_had_caused_and_is_still_awaited(bench: Bench) -> None:
    saga_id, create = started(bench)
    (charge,) = go_on(bench, create, TICKET)
    bench.handle(answer(create, TICKET, redelivered=True))
    assert bench.publisher.take() == [charge]
    (approve,) = go_on(bench, charge)
    bench.handle(answer(create, TICKET, redelivered=True))  # what it caused is answered by now
    assert bench.publisher.take() == []
    bench.handle(answer(charge, None, redelivered=True))
    assert bench.publisher.take() == [approve]
    assert bench.status(saga_id) == "running"


@pytest.mark.rule(5, 10)
def test_replies_are_given_back_when_what_they_caused_could_not_be_published(bench: Bench) -> None:
    saga_id, create = started(bench)
    bench.publisher.broken = True
    with pytest.raises(Unfinished):
        bench.handle(answer(create, TICKET))
    bench.publisher.broken = False
    bench.handle(answer(create, TICKET, redelivered=True))
    assert bench.publisher.tasks() == ["bank.charge"]
    assert bench.row(saga_id)["data"]["ticket_id"] == 5


@pytest.mark.rule(10)
def test_a_command_that_the_broker_refuses_gives_back_only_the_reply_that_led_to_it(bench: Bench) -> None:
    (_, refused), (_, sound) = started(bench, 1), started(bench, 2)
    replies = [answer(refused, TICKET), answer(sound, TICKET)]
    publish = bench.publisher.publish

    def refuse_the_first(messages: Sequence[OutgoingMessage]) -> None:
        publish(messages[1:])
        raise PublishFailed("its queue is full", frozenset({messages[0].id}))

    with mock.patch.object(bench.publisher, "publish", refuse_the_first), pytest.raises(Unfinished) as unfinished:
        bench.handle(*replies)
    assert list(unfinished.value.give_back) == replies[:1] and not unfinished.value.hold
    assert bench.publisher.tasks() == ["bank.charge"]


@pytest.mark.rule(5)
def test_a_commit_whose_answer_was_lost_still_has_its_commands_sent(bench: Bench) -> None:
    """The inbox holds what met bad weather; for all it knows, the transaction was committed."""
    saga_id, create = started(bench)
    reply = answer(create, TICKET)
    bench.advancer.arrivals([arrival_of(reply)], (), 1.0)
    reply.tried_before = True
    bench.handle(reply)
    assert bench.publisher.tasks() == ["bank.charge"]
    assert bench.status(saga_id) == "running"


@pytest.mark.postgresql
def test_a_saga_that_somebody_holds_locked_waits_alone(postgresql_engine: Engine) -> None:
    bench = Bench(postgresql_engine, OrderSaga)
    (held_id, held), (_, sound) = started(bench, 1), started(bench, 2)
    replies = [answer(held, TICKET), answer(sound, TICKET)]
    with postgresql_engine.begin() as somebody:
        somebody.execute(select(instances.c.id).where(instances.c.id == held_id).with_for_update())
        with pytest.raises(Unfinished) as unfinished:
            bench.handle(*replies)
    assert list(unfinished.value.hold) == replies[:1] and not unfinished.value.give_back
    assert bench.publisher.tasks() == ["bank.charge"]
    bench.handle(*unfinished.value.hold)
    assert bench.publisher.tasks() == ["bank.charge"]


@pytest.mark.rule(4)
def test_two_orchestrators_with_the_same_reply_at_once_advance_the_saga_once(engine: Engine) -> None:
    workers = [Bench(engine, OrderSaga) for _ in range(4)]
    pairs = [started(workers[0], number) for number in range(10)]
    in_threads([partial(worker.handle, *(answer(c, TICKET) for _, c in pairs)) for worker in workers])
    assert sum(len(worker.publisher.published) for worker in workers) == 10
    for saga_id, _ in pairs:
        assert workers[0].row(saga_id)["stale_replies"] == 3
        assert workers[0].events(saga_id).count("reply_received") == 1


@pytest.mark.rule(3)
def test_batches_of_the_same_sagas_in_opposite_orders_never_wait_in_a_ring(engine: Engine) -> None:
    workers = [Bench(engine, OrderSaga) for _ in range(2)]
    pairs = [started(workers[0], number) for number in range(30)]
    replies = [answer(c, TICKET) for _, c in pairs]
    in_threads([partial(workers[0].handle, *replies), partial(workers[1].handle, *reversed(replies))])
    assert sum(len(worker.publisher.published) for worker in workers) == 30


# ---- what cannot be handled -----------------------------------------------------------------------------------------


def wild(body: Any, **headers: Any) -> Delivery:
    return raw_delivery(body if isinstance(body, (str, bytes)) else json.dumps(body), SUCCESS, **headers)


DEEP = "[" * 60_000 + "]" * 60_000
HOSTILE: dict[str, Delivery] = {
    "unknown saga": wild([[NOBODY, {}], {}, {}], parent_id="x"),
    "no saga id": wild([["7", {}], {}, {}], parent_id="x"),
    "a saga id with NUL": wild(b'[["\\u0000", {}], {}, {}]', parent_id="x"),
    "a saga id that is a list": wild([[["x"], {}], {}, {}], parent_id="x"),
    "not JSON": wild(b"\xff\xfe{"),
    "no arguments": wild({"args": []}),
    "no correlation": wild([[NOBODY, {}], {}, {}]),
    "a parent_id of another type": wild([[NOBODY, {}], {}, {}], parent_id=7),
    "too deep": wild(f'[["{NOBODY}", {DEEP}], {{}}, {{}}]'),
    "too deep for the stack": wild("[" * 400_000),
    "NUL": wild(f'[["{NOBODY}", "a\\u0000b"], {{}}, {{}}]', parent_id="x"),
    "infinity": wild(f'[["{NOBODY}", 1e999], {{}}, {{}}]', parent_id="x"),
    "half a surrogate pair": wild(f'[["{NOBODY}", "\\ud83d"], {{}}, {{}}]', parent_id="x"),
    "a number of 5000 digits": wild(f'[["{NOBODY}", {"9" * 5000}], {{}}, {{}}]', parent_id="x"),
    "too long": wild(json.dumps([[NOBODY, "x" * 1_100_000], {}, {}]), parent_id="x"),
    "headers that are no dictionary of ours": wild([[NOBODY, {}], {}, {}], sagas=["?"], parent_id="x"),
    "an infinite attempt": wild([[NOBODY, {}], {}, {}], sagas={"attempt": float("inf")}, parent_id="x"),
    "NUL in the header": wild([[NOBODY, {}], {}, {}], sagas={"step": "\x00", "attempt": 1}, parent_id="\x00"),
    "an id that no database holds": wild([[NOBODY, {}], {}, {}], id="a\x00\ud800", parent_id="x"),
}


@pytest.mark.rule(4)
@pytest.mark.parametrize("redelivered", [False, True], ids=["first", "redelivered"])
@pytest.mark.parametrize("what", HOSTILE)
def test_what_cannot_be_handled_is_kept_and_the_rest_of_its_batch_is_done(
    bench: Bench, what: str, redelivered: bool
) -> None:
    _, command = started(bench)
    hostile = HOSTILE[what]
    hostile._message.delivery_info["redelivered"] = redelivered
    bench.handle(answer(command, TICKET), hostile)
    assert bench.publisher.tasks() == ["bank.charge"]
    (kept,) = bench.kept()
    assert kept["times"] == 1 and kept["reason"]
    bench.handle(hostile)
    assert [message["times"] for message in bench.kept()] == [2], "it is counted, not kept twice"
    assert count(bench.engine, deliveries) == 0


@pytest.mark.rule(4)
def test_a_reply_with_the_wrong_payload_is_kept_and_the_right_one_still_counts(bench: Bench) -> None:
    saga_id, command = started(bench)
    bench.handle(answer(command, {"ticket_id": "five"}))
    assert "ticket_id" in bench.kept()[0]["reason"]
    assert bench.state(saga_id).steps["create"].awaited is not None
    assert [message.task for message in go_on(bench, command, TICKET)] == ["bank.charge"]


@pytest.mark.rule(4)
def test_a_reply_that_answers_nothing_this_saga_ever_asked_is_kept(bench: Bench) -> None:
    saga_id, _ = started(bench)
    _, others_command = started(bench, 2)
    forged = wild([[saga_id, TICKET], {}, {}], parent_id=others_command.id)
    bench.handle(forged)
    assert "never sent" in bench.kept()[0]["reason"]
    assert bench.status(saga_id) == "running"


@pytest.mark.rule(4)
def test_a_late_reply_for_a_saga_that_has_ended_changes_nothing(bench: Bench) -> None:
    saga_id, command = started(bench)
    go_on(bench, command, Failure("Closed", "today"))
    assert bench.status(saga_id) == "failed"
    before = bench.row(saga_id)
    bench.handle(answer(command, TICKET), wild([[saga_id, {}], {}, {}], parent_id="never sent"))
    after = bench.row(saga_id)
    assert (after["state"], after["ended_at"], after["stale_replies"]) == (before["state"], before["ended_at"], 1)
    assert len(bench.kept()) == 1 and bench.publisher.take() == []


@pytest.mark.rule(2)
def test_a_reply_without_our_header_is_correlated_by_its_parent_id(bench: Bench) -> None:
    saga_id, command = started(bench)
    bench.handle(wild([[saga_id, TICKET], {}, {}], parent_id=command.id))
    assert bench.publisher.tasks() == ["bank.charge"]


def test_the_hook_of_the_failure_may_return_new_data(postgresql_engine: Engine) -> None:
    class MournedSaga(OrderSaga):
        def on_saga_failure(self, data: OrderData, failure: Failure, step: StepContext) -> OrderData:
            return replace(data, ticket_id=-1)

    bench = Bench(postgresql_engine, MournedSaga)
    saga_id = bench.started(MournedSaga, OrderData(1))
    go_on(bench, bench.publisher.take()[0], Failure("Closed", "today"))
    assert (bench.status(saga_id), bench.row(saga_id)["data"]["ticket_id"]) == ("failed", -1)


def test_text_that_only_looks_like_an_escaped_nul_is_read(bench: Bench) -> None:
    saga_id, command = started(bench)
    go_on(bench, command, Failure("Odd", r"the text \u0000 in an error message"))
    assert bench.kept() == [] and bench.status(saga_id) == "failed"


def test_a_saga_that_this_process_does_not_know_is_kept_and_harms_nobody(bench: Bench) -> None:
    quiet_id = bench.started(QuietSaga, OrderData(1))
    (command,) = bench.publisher.take()
    _, others = started(bench, 2)
    older = Bench(bench.engine, OrderSaga)
    older.handle(answer(command, TICKET), answer(others, TICKET))
    assert older.publisher.tasks() == ["bank.charge"]
    assert "does not know the saga" in bench.kept()[0]["reason"]
    assert bench.status(quiet_id) == "running"


def test_a_reply_for_a_saga_that_has_lost_a_step_is_kept_and_told_which_step_it_is(bench: Bench) -> None:
    saga_id, command = started(bench)
    steps = {"approve by hand": {"phase": "done"}} | bench.row(saga_id)["state"]["steps"]
    state = {**bench.row(saga_id)["state"], "steps": steps}
    with bench.engine.begin() as connection:
        connection.execute(update(instances).where(instances.c.id == saga_id).values(state=state))
    bench.handle(answer(command, TICKET))
    assert "has no step approve by hand any more" in bench.kept()[0]["reason"]


@pytest.mark.parametrize("value", ["a \x00 in it", "half a pair \ud83d"])
def test_an_error_message_that_no_database_can_hold_fails_its_step_and_nothing_else(bench: Bench, value: str) -> None:
    saga_id, command = started(bench)
    sagas.hooks["remember_ticket"] = raises(LookupError(value))
    go_on(bench, command, TICKET)
    assert bench.status(saga_id) == "compensating" and bench.kept() == []


def test_data_that_no_database_can_hold_fail_the_step_that_made_them_so(bench: Bench) -> None:
    saga_id, command = started(bench)
    sagas.hooks["remember_ticket"] = lambda order, step: order.notes.append("a \x00 in it")
    go_on(bench, command, TICKET)
    assert bench.status(saga_id) == "compensating" and bench.kept() == []
    assert bench.row(saga_id)["data"]["notes"] == ["reserved"]


# ---- poison ---------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """Stands for kill -9: nothing in the process can catch it."""


@pytest.mark.rule(11)
def test_a_message_that_kills_its_worker_every_time_is_kept_on_its_fifth_delivery(bench: Bench) -> None:
    _, poison = started(bench)
    innocent_id, innocent = started(bench, 2)

    def kill(order: OrderData, step: StepContext) -> None:
        if order.order_id == 1:
            raise Killed

    sagas.hooks["remember_ticket"] = kill
    history: list[str] = []
    for delivery in range(1, 6):
        try:
            bench.handle(
                *(answer(command, TICKET, redelivered=delivery > 1) for command in (innocent, poison)),
            )
            history.append("ended")
        except Killed:
            history.append(f"killed, innocent {bench.state(innocent_id).current_step}")
    assert history == [
        "killed, innocent create",
        "killed, innocent create",
        "killed, innocent charge",  # the third runs alone, after the others are done
        "killed, innocent charge",
        "ended",
    ]
    (kept,) = bench.kept()
    assert kept["message_id"] == answer(poison, TICKET).message_id and "killed its worker" in kept["reason"]
    poisoned_id = kept["saga_id"]
    assert bench.status(poisoned_id) == "needs_attention", "else it would be asked for again, for ever"
    bench.due_at(bench.row(innocent_id)["wake_at"] + 10_000)
    assert "kitchen.create" not in bench.publisher.tasks()
    sagas.hooks.clear()
    bench.act(poisoned_id, Retry(1.0, "mended"))
    (again,) = bench.due_now(poisoned_id)
    bench.handle(answer(again, TICKET))
    assert bench.status(poisoned_id) == "running"


@pytest.mark.rule(11, 13)
def test_bad_weather_does_not_count_as_killing_a_worker(bench: Bench) -> None:
    _, command = started(bench)
    sagas.hooks["remember_ticket"] = locked
    for _ in range(8):
        with pytest.raises(Unfinished):
            bench.handle(answer(command, TICKET, redelivered=True))
    sagas.hooks.clear()
    bench.handle(answer(command, TICKET, redelivered=True))
    assert bench.publisher.tasks() == ["bank.charge"] and bench.kept() == []
    assert count(bench.engine, deliveries) == 0


# ---- bad weather ----------------------------------------------------------------------------------------------------


def locked(order: OrderData, step: StepContext) -> None:
    """A real lock: somebody else holds what this statement wants, and it does not wait."""
    engine = step.session.get_bind().engine
    if engine.dialect.name == "postgresql":
        other = create_engine(engine.url, poolclass=NullPool)
        with other.begin() as connection:
            connection.execute(text("LOCK TABLE saga_outbox IN ACCESS EXCLUSIVE MODE"))
            step.session.execute(text("LOCK TABLE saga_outbox IN ACCESS EXCLUSIVE MODE NOWAIT"))
    else:
        other = create_engine(engine.url, poolclass=NullPool, connect_args={"timeout": 0.01})
        with other.begin() as connection:
            connection.execute(insert(orders).values(note="somebody else's"))


@pytest.mark.rule(13)
def test_a_lock_in_a_callback_rolls_no_saga_back_and_is_tried_again(bench: Bench) -> None:
    saga_id, command = started(bench)
    other_id, other = started(bench, 2)
    sagas.hooks["remember_ticket"] = locked
    with pytest.raises(Unfinished):
        bench.handle(answer(command, TICKET), answer(other, TICKET))
    assert bench.publisher.take() == [] and bench.status(saga_id) == bench.status(other_id) == "running"
    sagas.hooks.clear()
    bench.handle(answer(command, TICKET), answer(other, TICKET))
    assert bench.publisher.tasks() == ["bank.charge"] * 2


@pytest.mark.rule(13)
@pytest.mark.postgresql
@pytest.mark.parametrize("careful", [False, True], ids=["in the first try", "in the careful try"])
def test_a_lost_connection_in_a_callback_rolls_no_saga_back_and_is_tried_again(
    postgresql_engine: Engine, careful: bool
) -> None:
    bench = Bench(postgresql_engine, OrderSaga)
    saga_id, command = started(bench)
    refused_id, other = started(bench, 2)

    def lose(order: OrderData, step: StepContext) -> None:
        if order.order_id == 1 or not careful:
            lose_the_connection(step)
        raise LookupError

    sagas.hooks["remember_ticket"] = lose
    replies = [answer(other, TICKET), answer(command, TICKET)]
    with pytest.raises(Unfinished):
        bench.handle(*replies)
    assert bench.status(saga_id) == bench.status(refused_id) == "running"
    sagas.hooks.clear()
    bench.handle(*replies)
    assert bench.publisher.tasks() == ["bank.charge"] * 2


@pytest.mark.rule(9)
@pytest.mark.postgresql
@pytest.mark.parametrize("is_flushed", [True, False], ids=["written", "added and not flushed"])
def test_what_the_database_would_refuse_at_the_commit_fails_the_step_that_wrote_it_alone(
    postgresql_engine: Engine, is_flushed: bool
) -> None:
    def take_a_note(order: OrderData, step: StepContext) -> None:
        step.session.add(Note(note="taken" if order.order_id == 1 else "free"))
        if is_flushed:
            step.session.flush()

    sagas.hooks["remember_ticket"] = take_a_note
    bench = Bench(postgresql_engine, OrderSaga)
    refuse_a_note_twice(postgresql_engine)
    saga_id, command = started(bench)
    other_id, other = started(bench, 2)
    bench.handle(answer(command, TICKET), answer(other, TICKET))
    assert (bench.status(saga_id), bench.status(other_id)) == ("compensating", "running")
    assert sorted(bench.publisher.tasks()) == ["bank.charge", "kitchen.reject"]


# ---- time and operators ---------------------------------------------------------------------------------------------


@pytest.mark.rule(6)
def test_what_is_awaited_is_asked_again_under_the_same_id_then_given_up_and_compensated(bench: Bench) -> None:
    saga_id, create = started(bench)
    asked = [message for _ in range(3) for message in bench.due_now(saga_id)]
    assert [(message.id, message.body) for message in asked] == [(create.id, create.body)] * 3
    assert bench.state(saga_id).steps["create"].attempt == 1
    for _ in range(200):
        sent = bench.due_now(saga_id)
        if sent and sent[0].task != "kitchen.create":
            break
    assert sent[0].task == "kitchen.reject"  # the silent step may have been done: it is compensated too
    assert "gave_up" in bench.events(saga_id)
    assert go_on(bench, sent[0]) == []
    assert bench.status(saga_id) == "failed"


@pytest.mark.rule(6)
def test_giving_up_counts_only_from_an_ask_that_the_broker_confirmed(bench: Bench) -> None:
    saga_id, _ = started(bench)
    before = bench.row(saga_id)
    bench.publisher.broken = True
    with pytest.raises(Exception, match="away"):
        bench.due_now(saga_id)
    assert bench.row(saga_id) == before, "with the broker away no ask is spent"
    bench.publisher.broken = False
    bench.due_now(saga_id)
    awaited = bench.state(saga_id).steps["create"].awaited
    assert awaited is not None and awaited.confirmed_at is not None


@pytest.mark.rule(13, 16)
def test_a_transient_failure_is_tried_again_as_a_new_attempt_by_the_policy_and_then_compensated(bench: Bench) -> None:
    saga_id, create = started(bench)
    busy = Failure("Busy", "not now", kind=FailureKind.TRANSIENT)
    bench.handle(answer(create, busy))
    assert bench.publisher.take() == []
    (second,) = bench.due_now(saga_id)
    assert second.id != create.id and second.task == create.task
    bench.handle(answer(second, busy))
    assert bench.status(saga_id) == "failed"
    assert "1 failed: Busy" in notes(bench.engine)


@pytest.mark.rule(16)
def test_an_exhausted_compensation_needs_attention_and_the_operators_retry_moves_it(bench: Bench) -> None:
    saga_id, create = started(bench)
    (charge,) = go_on(bench, create, TICKET)
    (reject,) = go_on(bench, charge, Failure("Declined", "no money"))
    go_on(bench, reject, Failure("Closed", "today"))
    (reject,) = bench.due_now(saga_id)
    go_on(bench, reject, Failure("Closed", "today"))
    assert bench.status(saga_id) == "needs_attention"
    bench.act(saga_id, Retry(0.0, "open again"))
    (reject,) = bench.due_now(saga_id)
    go_on(bench, reject)
    assert bench.status(saga_id) == "failed"


@pytest.mark.rule(7)
def test_an_operators_act_sends_nothing_itself_and_is_due_at_once(bench: Bench) -> None:
    saga_id, create = started(bench)
    (charge,) = go_on(bench, create, TICKET)
    now = bench.row(saga_id)["created_at"] + 0.5
    bench.act(saga_id, Retry(now, "ask again"))
    assert bench.publisher.take() == [] and bench.row(saga_id)["wake_at"] == pytest.approx(now, abs=0.001)
    assert [message.id for message in bench.due_now(saga_id)] == [charge.id]


@pytest.mark.rule(18)
def test_a_paused_saga_takes_replies_in_but_begins_nothing_until_it_is_resumed(bench: Bench) -> None:
    saga_id, create = started(bench)
    bench.act(saga_id, Pause(0.0, "look at it"))
    assert bench.row(saga_id)["wake_at"] is None and bench.row(saga_id)["paused"]
    assert go_on(bench, create, TICKET) == []
    with pytest.raises(OperationRefused, match="paused"):
        bench.act(saga_id, Retry(0.0, "on"))
    bench.act(saga_id, Resume(0.0, "seen"))
    assert [message.task for message in bench.due_now(saga_id)] == ["bank.charge"]


def test_an_act_on_an_unknown_saga_says_so(bench: Bench) -> None:
    with pytest.raises(UnknownSaga):
        bench.act(NOBODY, Retry(0.0, "?"))


@pytest.mark.rule(8)
def test_a_due_saga_that_cannot_be_advanced_is_put_off_and_holds_up_no_other(bench: Bench) -> None:
    broken, _ = started(bench, 1)
    with bench.engine.begin() as connection:
        connection.execute(
            update(instances)
            .where(instances.c.id == broken)
            .values(state={"steps": {"no step any more": {"phase": "acting"}}})
        )
    sound, _ = started(bench, 2)
    wake_at = max(bench.row(broken)["wake_at"], bench.row(sound)["wake_at"]) + 1
    bench.publisher.take()
    bench.due_at(wake_at)
    assert bench.publisher.tasks() == ["kitchen.create"]
    assert bench.row(broken)["wake_at"] == pytest.approx(wake_at + 60.0, abs=0.01)


@pytest.mark.rule(8)
def test_what_another_orchestrator_or_release_knows_is_left_to_it(bench: Bench) -> None:
    stranger = bench.started(QuietSaga, OrderData(1))
    older = Bench(bench.engine, OrderSaga)
    wake_at = bench.row(stranger)["wake_at"]
    older.due_at(wake_at + 1)
    assert older.publisher.tasks() == []
    assert bench.row(stranger)["wake_at"] == wake_at


@pytest.mark.rule(8)
def test_a_due_time_that_moves_later_is_left_alone_until_the_row_wakes(bench: Bench) -> None:
    saga_id, create = started(bench)
    wake_at = bench.row(saga_id)["wake_at"]
    with watching(bench.engine) as seen:
        bench.handle(answer(create, TICKET))
    (update,) = seen.writing_to("saga_instance")
    assert "wake_at" not in update
    assert bench.row(saga_id)["wake_at"] == wake_at
    assert bench.due_now(saga_id)[1:] == []
    assert bench.row(saga_id)["wake_at"] > wake_at + 20


def test_history_is_only_ever_added_to(bench: Bench) -> None:
    saga_id, create = started(bench)
    with watching(bench.engine) as seen:
        go_on(bench, create, Failure("Closed", "today"))
    written = seen.writing_to("saga_history")
    assert written and all("INSERT INTO saga_history" in statement for statement in written)
    assert not any(f"{verb} saga_history" in statement for statement in written for verb in ("UPDATE", "DELETE FROM"))
    assert count(bench.engine, history) == len(bench.events(saga_id))


def test_a_callback_may_raise_transient_errors_before_the_pivot_and_is_compensated(bench: Bench) -> None:
    saga_id, command = started(bench)
    sagas.hooks["remember_ticket"] = raises(TransientError("later"))
    assert [message.task for message in go_on(bench, command, TICKET)] == ["kitchen.reject"]
    assert bench.status(saga_id) == "compensating"
