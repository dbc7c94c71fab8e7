"""A subscriber takes events in: each once, in the order of its aggregate, whatever comes, and whoever raises."""

import random
import uuid
from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from sqlalchemy import Engine, update

from sagas_framework import EventContext
from sagas_framework.delivery.suspects import BEGUN_BEFORE_POISON, POISON
from sagas_framework.errors import Refusal
from sagas_framework.events import intake
from sagas_framework.events.publishing import Announcer
from sagas_framework.operations.events import Events
from sagas_framework.storage.database import lent_savepoint
from sagas_framework.storage.schema import deliveries, event_inbox, kept_messages
from sagas_framework.transport.wire import OutgoingMessage, task_body
from sagas_framework.vocabulary.command import MAX_NAME_CHARACTERS
from sagas_framework.vocabulary.identity import new_message_id
from tests.support.events import (
    AUDIT,
    LEDGER,
    QUICKLY,
    Bank,
    Booked,
    Ledger,
    Opened,
    by_name,
    changed,
    number_of,
    received,
    rows,
    sent_by_bank,
    wanted_by,
)
from tests.support.orchestration import RecordingPublisher, delivery_of, raw_delivery, watching
from tests.support.participation import payload_of
from tests.support.threads import in_threads

ONE, OTHER = "account=1", "account=2"


@pytest.fixture
def ledger(engine: Engine) -> Ledger:
    return Ledger(engine)


def raising_at(*numbers: int, aggregate: str = ONE) -> Any:
    def raise_there(event: Any, context: EventContext) -> None:
        if context.aggregate == aggregate and context.number in numbers:
            raise LookupError(f"no account for number {context.number}")

    return raise_there


# ---- in order, and once ---------------------------------------------------------------------------------------------


def test_a_batch_is_one_transaction_one_receipt_and_one_row_for_each_aggregate(ledger: Ledger) -> None:
    few, many = sent_by_bank(2), sent_by_bank(50, "2")
    counts = []
    for batch in (few, many):
        with watching(ledger.engine) as seen:
            ledger.take(*batch)
        assert (seen.commits, seen.rollbacks) == (1, 0)
        assert not seen.writing_to("saga_event_inbox") and not any("SAVEPOINT" in one for one in seen.texts)
        counts.append(len([one for one in seen.texts if "app_order" not in one]))
        (receipt,) = ledger.receipts()
        assert (receipt.queue, received(receipt)) == ("bank.receipts", [one.id for one in batch])
    assert counts[0] == counts[1]
    assert ledger.handled == {ONE: [1, 2], OTHER: list(range(1, 51))}
    assert ledger.streams() == {ONE: (2, False), OTHER: (50, False)}


def test_each_source_gets_a_receipt_of_its_own(ledger: Ledger) -> None:
    first, second = sent_by_bank(2)
    elsewhere = changed(second, source="branch", number=1)
    ledger.take(first, elsewhere)
    assert [(one.queue, received(one)) for one in ledger.receipts()] == [
        ("bank.receipts", [first.id]),
        ("branch.receipts", [elsewhere.id]),
    ]
    assert ledger.runs == [(ONE, 1), (ONE, 1)], "another source counts for itself"


def test_what_comes_too_early_waits_and_what_comes_again_is_only_receipted(ledger: Ledger) -> None:
    first, second, third = sent_by_bank(3)
    ledger.take(third)
    assert ledger.handled == {} and list(ledger.stored()) == [(ONE, 3)] and len(ledger.receipts()) == 1
    ledger.take(third, second, third)
    assert ledger.handled == {} and set(ledger.stored()) == {(ONE, 2), (ONE, 3)}
    ledger.take(first, second)
    assert ledger.handled == {ONE: [1, 2, 3]} and ledger.stored() == {}
    ledger.publisher.take()
    ledger.take(second, first, third)
    assert received(ledger.receipts()[0]) == [second.id, first.id, third.id]
    assert ledger.handled == {ONE: [1, 2, 3]} and ledger.streams() == {ONE: (3, False)}


@pytest.mark.parametrize("seed", range(4))
def test_in_any_order_with_duplicates_and_in_any_batches_the_end_is_the_same(ledger: Ledger, seed: int) -> None:
    chance = random.Random(seed)
    messages = [one for account in ("1", "2", "3") for one in sent_by_bank(12, account)]
    messages += chance.choices(messages, k=20)
    chance.shuffle(messages)
    with mock.patch.object(intake, "MOST_READ_AT_ONCE", chance.choice([2, 3, 200])):
        while messages:
            batch, messages = messages[: (cut := chance.randint(1, 9))], messages[cut:]
            ledger.take(*batch)
        ledger.due_at(1e10)
    assert ledger.handled == {f"account={account}": list(range(1, 13)) for account in (1, 2, 3)}
    assert ledger.stored() == {} and {far for far, _ in ledger.streams().values()} == {12}


def test_two_workers_with_the_same_events_in_random_order_handle_each_once_and_in_order(engine: Engine) -> None:
    messages = [one for account in ("1", "2", "3") for one in sent_by_bank(15, account)]

    def work(seed: int) -> Any:
        def run() -> None:
            worker, mine = Ledger(engine), list(messages)
            chance = random.Random(seed)
            chance.shuffle(mine)
            for start in range(0, len(mine), 4):
                worker.take_in_the_end(*mine[start : start + 4])

        return run

    in_threads([work(seed) for seed in range(3)])
    ledger = Ledger(engine)
    ledger.due_at(1e10)
    assert ledger.handled == {f"account={account}": list(range(1, 16)) for account in (1, 2, 3)}
    assert ledger.stored() == {}


def test_two_subscribers_in_one_database_know_nothing_of_each_other(engine: Engine) -> None:
    ledger, audit = Ledger(engine), Ledger(engine, AUDIT)
    first, second = sent_by_bank(2)
    ledger.take(first, second)
    audit.take(second)
    assert ledger.runs == [(ONE, 1), (ONE, 2)] and audit.runs == []
    audit.take(first)
    assert audit.runs == [(ONE, 1), (ONE, 2)]


# ---- a publisher that counts anew -----------------------------------------------------------------------------------


def anew(message: OutgoingMessage, id_: str) -> OutgoingMessage:
    """Another event that has the number of this one."""
    return replace(message, id=id_)


def test_a_publisher_whose_counters_went_back_is_heard_and_the_log_says_so(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    first, second, third, fourth = sent_by_bank(4)
    ledger.take(first, second, third)
    ledger.take(second, third)
    assert ledger.handled == {ONE: [1, 2, 3]} and "anew" not in caplog.text
    ledger.take(anew(second, "restored 2"), anew(second, "restored 2"))
    assert caplog.text.count("counts its events of account=1 anew") == 1 and "operate-events.md" in caplog.text
    ledger.take(anew(third, "restored 3"), fourth)
    ledger.take(anew(second, "restored 2"))
    assert ledger.handled == {ONE: [1, 2, 3, 2, 3, 4]} and ledger.streams() == {ONE: (4, False)}
    assert ledger.stored() == {}


def test_counters_that_went_back_far_are_told_by_the_time_of_the_events(ledger: Ledger) -> None:
    messages = sent_by_bank(20)
    moments = [uuid.UUID(int=(1_700_000_000_000 + number) << 80 | 0x7 << 76 | 0x2 << 62) for number in range(20)]
    ledger.take(*(anew(one, str(moment)) for one, moment in zip(messages, moments, strict=True)))
    ledger.take(anew(messages[2], str(moments[2])))
    assert ledger.streams() == {ONE: (20, False)}
    ledger.take(anew(messages[2], new_message_id()), anew(messages[3], new_message_id()))
    assert ledger.handled[ONE][20:] == [3, 4] and ledger.streams() == {ONE: (4, False)}


def test_who_counts_anew_and_fails_is_tried_again_and_parked_like_anybody(ledger: Ledger) -> None:
    first, second, third = sent_by_bank(3)
    ledger.take(first, second, third)
    ledger.before = raising_at(2)
    ledger.take(anew(second, "restored 2"), now=1000.0)
    assert ledger.stored()[ONE, 2].attempts == 1 and ledger.streams() == {ONE: (1, True)}
    ledger.before = lambda event, context: None
    ledger.due_at(1e10)
    assert ledger.handled == {ONE: [1, 2, 3, 2]}


@pytest.mark.parametrize("read", [True, False], ids=["in the first place", "behind others"])
def test_another_event_of_a_stored_ones_number_gets_no_receipt_until_that_one_is_gone(
    ledger: Ledger, read: bool, caplog: pytest.LogCaptureFixture
) -> None:
    messages = sent_by_bank(3)
    old = messages[1 if read else 2]
    ledger.take(*messages[1:])
    ledger.receipts()
    other = anew(old, "restored")
    ledger.take(other)
    assert ledger.receipts() == [] and "gets no receipt yet" in caplog.text
    ledger.take(messages[0])
    ledger.receipts()
    ledger.take(other)
    assert received(ledger.receipts()[0]) == ["restored"]
    assert ledger.handled[ONE][3:] == [number_of(other)]


def test_what_an_operator_skipped_is_a_duplicate_when_it_comes_again_and_another_is_not(ledger: Ledger) -> None:
    ledger.before = raising_at(1)
    first, second = sent_by_bank(2)
    ledger.batches.apply([], [delivery_of(first)])
    Events(SimpleNamespace(engine=ledger.engine, subscription=SimpleNamespace(queue=LEDGER))).skip(1, "no use")
    ledger.before = lambda event, context: None
    ledger.take(first, second)
    assert ledger.handled == {ONE: [2]}
    ledger.take(anew(first, "restored"))
    assert ledger.handled == {ONE: [2, 1]}


# ---- what handlers publish ------------------------------------------------------------------------------------------


def test_what_a_handler_publishes_leaves_after_the_commit_and_by_the_relay_if_that_is_missed(ledger: Ledger) -> None:
    def book(event: Any, context: EventContext) -> None:
        context.publish(Booked(event.account, event.amount))
        if context.number == 2:
            raise LookupError("what was published goes with it")

    ledger.before = book
    first, second, third = sent_by_bank(3)
    ledger.take(first, second, third)
    booked = wanted_by(AUDIT, ledger.publisher.take())
    assert [number_of(one) for one in booked] == [1]
    ledger.before = lambda event, context: context.publish(Booked(event.account, 0))
    ledger.publisher.broken = True
    with pytest.raises(Exception, match="broker is away"):
        ledger.due_at(1e10)
    ledger.publisher.broken = False
    assert ledger.handled == {ONE: [1, 2, 3]}
    audit = Bank(ledger.engine)
    assert [number_of(one) for one in audit.relay_at(1e11)] == [1, 2, 3]


def test_whatever_way_handlers_publish_the_numbers_are_in_the_order_of_their_calls(ledger: Ledger) -> None:
    announcer = Announcer(RecordingPublisher(), by_name(Booked))

    def book(event: Any, context: EventContext) -> None:
        announcer.announce(Booked("1", 10), context.session)
        context.publish(Booked("1", 20))
        with suppress(LookupError), context.session.begin_nested():
            context.publish(Booked("1", 25))
            announcer.announce(Booked("1", 26), context.session)
            raise LookupError
        with lent_savepoint(context.session) as within:
            announcer.announce(Booked("1", 30), within)
        with suppress(LookupError), lent_savepoint(context.session) as within:
            announcer.announce(Booked("1", 35), within)
            raise LookupError
        context.publish(Booked("1", 40))
        if event.amount == 2:
            raise LookupError("all of it goes along")

    ledger.before = book
    with watching(ledger.engine) as seen:
        ledger.take(*sent_by_bank(2))
    assert len(seen.writing_to("INTO saga_event_number")) == 1
    booked = wanted_by(AUDIT, ledger.publisher.take())
    assert [(number_of(one), payload_of(one)["amount"]) for one in booked] == [(1, 10), (2, 20), (3, 30), (4, 40)]


def test_a_death_between_commit_and_publish_loses_nothing(ledger: Ledger) -> None:
    """The broker delivers again: a duplicate, and only a receipt is sent; what was published leaves by the relay."""
    ledger.before = lambda event, context: context.publish(Booked(event.account, event.amount))
    (first,) = sent_by_bank(1)
    with mock.patch.object(ledger.publisher, "publish", side_effect=SystemExit), pytest.raises(SystemExit):
        ledger.take(first)
    ledger.take(delivery_of(first, redelivered=True))
    assert received(ledger.receipts()[0]) == [first.id]
    assert ledger.handled == {ONE: [1]} and rows(ledger.engine, deliveries) == []
    assert [number_of(one) for one in Bank(ledger.engine).relay_at(1e10)] == [1]


# ---- handlers that raise --------------------------------------------------------------------------------------------


def test_who_raises_fails_alone_is_tried_again_and_holds_back_only_its_own_aggregate(ledger: Ledger) -> None:
    ledger.before = raising_at(2)
    batch = [*sent_by_bank(3), *sent_by_bank(3, "2")]
    with watching(ledger.engine) as seen:
        ledger.take(*batch, now=1000.0)
    assert seen.commits == 1
    assert ledger.handled == {ONE: [1], OTHER: [1, 2, 3]}
    assert len(received(ledger.receipts()[0])) == 6, "they are ours to see to"
    stored = ledger.stored()
    head, behind = stored[ONE, 2], stored[ONE, 3]
    assert (head.attempts, head.parked, head.failure["type"]) == (1, False, "LookupError")
    assert (behind.attempts, behind.wake_at, behind.failure) == (0, None, None)
    assert head.wake_at == 1000.0 + QUICKLY.delay_seconds_after(1)
    ledger.before = lambda event, context: None
    ledger.take(*sent_by_bank(4)[3:], now=1001.0)
    assert ledger.handled[ONE] == [1], "its time has not come"
    ledger.due_at(head.wake_at + 0.001)
    assert ledger.handled[ONE] == [1, 2, 3, 4] and ledger.stored() == {} and ledger.streams()[ONE] == (4, False)


def test_after_its_policy_it_is_parked_and_what_comes_later_waits_behind_it(ledger: Ledger) -> None:
    ledger.before = raising_at(1)
    first, second, third = sent_by_bank(3)
    ledger.take(first, second, now=1000.0)
    waits = []
    for attempt in (1, 2):
        head = ledger.stored()[ONE, 1]
        assert (head.attempts, head.parked) == (attempt, False)
        waits.append(round(head.wake_at - 1000.0))
        with watching(ledger.engine) as seen:
            ledger.due_at(head.wake_at - 0.001)
        assert not seen.commits or not seen.writing_to("saga_event_stream"), "not before its time"
        ledger.due_at(head.wake_at + 0.001)
    head = ledger.stored()[ONE, 1]
    assert (head.attempts, head.parked, head.wake_at) == (3, True, None)
    assert len(ledger.runs) == 2 + 2 * 2, "each failure runs it twice: with others, then by itself"
    ledger.due_at(1e11)
    ledger.take(third, now=1e11)
    assert ledger.handled == {} and set(ledger.stored()) == {(ONE, 1), (ONE, 2), (ONE, 3)}


def test_a_refusal_is_tried_again_like_anything_else_because_nobody_is_there_to_be_told(ledger: Ledger) -> None:
    def refuse(event: Any, context: EventContext) -> None:
        raise Refusal("no")

    ledger.before = refuse
    ledger.take(*sent_by_bank(1))
    assert not ledger.stored()[ONE, 1].parked


def test_every_event_of_a_batch_may_raise(ledger: Ledger) -> None:
    ledger.before = raising_at(1)
    batch = [one for account in range(5) for one in sent_by_bank(2, str(account))]

    def fail(event: Any, context: EventContext) -> None:
        raise LookupError("nothing works")

    ledger.before = fail
    ledger.take(*batch)
    assert ledger.handled == {} and len(ledger.stored()) == 10 and len(ledger.receipts()) == 1


# ---- what is not to be handled --------------------------------------------------------------------------------------


def test_an_event_of_an_unknown_type_waits_in_its_place_with_a_receipt(ledger: Ledger) -> None:
    first, second, third = sent_by_bank(3)
    unknown = OutgoingMessage(LEDGER, "bank.renamed", second.id, second.body, None, second.correlation)
    ledger.take(first, third)
    ledger.batches.take_unasked(delivery_of(unknown))
    parked = ledger.stored()[ONE, 2]
    assert parked.failure["type"] == "UnknownEvent" and "bank.moved" in parked.failure["message"]
    assert (parked.attempts, parked.parked) == (1, False)
    assert ledger.handled == {ONE: [1]} and received(ledger.receipts()[-1]) == [unknown.id]
    ledger.batches.take_unasked(delivery_of(unknown))
    assert received(ledger.receipts()[0]) == [unknown.id], "its publisher may have missed the first"


def test_a_receipt_that_cannot_be_sent_for_what_celery_rejected_is_no_error(ledger: Ledger) -> None:
    """The message is gone at the broker. Its publisher sends it again, and gets its receipt then."""
    ledger.publisher.broken = True
    ledger.batches.take_unasked(delivery_of(changed(sent_by_bank(1)[0])))
    ledger.publisher.broken = False
    ledger.batches.take_unasked(delivery_of(changed(sent_by_bank(1)[0], again=True)))
    assert len(ledger.receipts()) == 1 and ledger.handled == {ONE: [1]}


def test_what_an_old_worker_does_not_know_a_new_one_beside_it_handles(ledger: Ledger) -> None:
    """In a rolling deployment."""
    old = Ledger(ledger.engine, LEDGER, Opened)
    first, second = sent_by_bank(2)
    old.batches.take_unasked(delivery_of(first))
    ledger.take(second)
    assert ledger.handled == {} and old.runs == []
    ledger.due_at(1e10)
    assert ledger.handled == {ONE: [1, 2]} and ledger.stored() == {}


@pytest.mark.parametrize("payload", [None, [], {}, {"account": "1", "amount": "much"}, "text", 7])
@pytest.mark.parametrize("number", [1, 2], ids=["in turn", "too early"])
def test_a_payload_that_is_none_of_its_event_is_tried_when_its_turn_comes_and_then_parked(
    ledger: Ledger, payload: Any, number: int
) -> None:
    first, second = sent_by_bank(2)
    bad = (first, second)[number - 1]
    bad = OutgoingMessage(LEDGER, bad.task, bad.id, task_body("1", payload), None, bad.correlation)
    ledger.take(bad)
    if number == 2:
        ledger.take(first)
    assert (ledger.stored()[ONE, number].attempts, ledger.stored()[ONE, number].parked) == (1, False)
    for moment in (1e10, 2e10):
        ledger.due_at(moment)
    parked = ledger.stored()[ONE, number]
    assert (parked.parked, parked.failure["type"], parked.payload) == (True, "PayloadRefused", payload)
    assert ledger.handled == ({} if number == 1 else {ONE: [1]})


def test_what_does_not_say_which_event_it_is_is_kept_and_the_rest_of_its_batch_handled(ledger: Ledger) -> None:
    (good,) = sent_by_bank(1)
    ledger.take(
        raw_delivery("no json", "bank.moved", id="one", sagas=good.correlation),
        raw_delivery(good.body, "bank.moved", id="two"),
        raw_delivery(good.body, "n" * (MAX_NAME_CHARACTERS + 1), id="three", sagas=good.correlation),
        delivery_of(good),
    )
    kept = rows(ledger.engine, kept_messages)
    assert [row.message_id for row in kept] == ["one", "two", "three"]
    assert [word in row.reason for word, row in zip(("not JSON", "no header of ours", "longer"), kept, strict=True)]
    assert ledger.handled == {ONE: [1]} and received(ledger.receipts()[0]) == [good.id]


def test_what_kills_its_worker_again_and_again_is_parked_and_never_begun_again(ledger: Ledger) -> None:
    """On Redis nobody delivers it again for long; its publisher sends it again."""
    first, killer, third = sent_by_bank(3)
    ledger.take(first)

    def kill(event: Any, context: EventContext) -> None:
        raise SystemExit

    ledger.before = kill
    deaths = 0
    for _ in range(10):
        with suppress(SystemExit):
            deaths += 1
            ledger.take(delivery_of(changed(killer, again=True)))
            deaths -= 1
    assert deaths == BEGUN_BEFORE_POISON
    parked = ledger.stored()[ONE, 2]
    assert parked.parked and POISON in parked.failure["message"] and len(ledger.receipts()) > 0
    ledger.take(third)
    ledger.due_at(1e11)
    assert ledger.handled == {ONE: [1]}


def test_poison_that_comes_before_its_turn_is_not_begun_when_its_turn_comes(ledger: Ledger) -> None:
    first, killer = sent_by_bank(2)
    ledger.batches.apply([], [delivery_of(killer)])
    ledger.take(first)
    ledger.due_at(1e11)
    assert ledger.runs == [(ONE, 1)] and ledger.stored()[ONE, 2].parked


# ---- many that wait -------------------------------------------------------------------------------------------------


def test_more_than_can_be_read_at_once_is_gone_on_with_by_the_chore(ledger: Ledger) -> None:
    messages = sent_by_bank(2 * intake.MOST_READ_AT_ONCE + 50)
    for start in range(1, len(messages), 150):
        ledger.take(*messages[start : start + 150])
    assert len(ledger.stored()) == len(messages) - 1
    ledger.take(messages[0], messages[-1], messages[intake.MOST_READ_AT_ONCE + 10], now=1000.0)
    assert ledger.streams()[ONE] == (intake.MOST_READ_AT_ONCE + 1, True)
    ledger.due_at(1001.0)
    assert ledger.handled == {ONE: list(range(1, len(messages) + 1))} and ledger.stored() == {}
    assert ledger.streams()[ONE][0] == len(messages)


def test_joining_those_that_wait_costs_the_same_however_many_they_are(ledger: Ledger) -> None:
    ledger.before = raising_at(1)
    messages = sent_by_bank(120)
    ledger.take(messages[0], now=1000.0)
    costs = []
    for start in (1, 60):
        ledger.take(*messages[start : start + 59], now=1000.0)
        with (
            watching(ledger.engine) as seen,
            mock.patch.object(intake, "_read", side_effect=intake._read) as read,
        ):
            ledger.take(messages[119], now=1000.0)
        costs.append((len(seen.texts), [one.args[2] for one in read.call_args_list]))
    assert costs[0] == costs[1] and costs[0][1] == [1], "only the one that holds them up is read"


def test_what_was_woken_before_its_turn_neither_runs_nor_keeps_the_chore_awake(ledger: Ledger) -> None:
    _, _, third = sent_by_bank(3)
    ledger.take(third, now=1000.0)
    with ledger.engine.begin() as connection:
        connection.execute(update(event_inbox).values(wake_at=1000.0))
    ledger.due_at(1001.0)
    assert ledger.runs == []
    ledger.take(*sent_by_bank(2), now=1001.0)
    assert ledger.handled == {ONE: [1, 2, 3]}
