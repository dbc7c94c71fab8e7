"""What an operator sees of events that wait, and of what does not arrive; and how he moves them on."""

import json
import re
from collections.abc import Callable

import pytest
from sqlalchemy import Engine

from sagas_framework import Failure, FailureKind, Participant, Subscriber
from sagas_framework.engine.protocol import Cancel
from sagas_framework.errors import ActRefused, ConfigurationError, MessageStays, NothingWaits, OperationRefused
from sagas_framework.operations import Events, HowFar, KeptMessages, Kind, Operations, Standing
from sagas_framework.storage import event_inbox
from sagas_framework.storage.outbox import StreamKey
from tests.support.kitchen import about_to_wait
from tests.support.orchestration import Bench
from tests.support.sagas import OrderData, OrderSaga
from tests.support.stuck_events import LONG_SECONDS, QUEUE, Bank, Crm, Gossip, GossipHeard, Opened
from tests.support.threads import in_threads, until

REFUSED = Failure("Refusal", "not before nine", kind=FailureKind.REFUSED)


@pytest.fixture
def bank(engine: Engine) -> Bank:
    return Bank(engine)


@pytest.fixture
def crm(engine: Engine) -> Crm:
    return Crm(engine)


def of_a1(*numbers: int) -> list[Opened]:
    return [Opened("a1", n) for n in numbers]


# ---- the inbox: looking ----------------------------------------------------------------------------------------------


def test_a_parked_event_says_why_and_what_it_holds_back_and_the_others_say_behind_what(bank: Bank, crm: Crm) -> None:
    crm.unlucky = {2}
    crm.park(bank.publish(*of_a1(1, 2, 3, 4)))
    parked, *behind = crm.events.waiting()
    assert parked.situation == "parked: ValueError: unlucky; 2 held back behind it"
    assert (parked.standing, parked.about, parked.attempts, parked.behind) == (Standing.PARKED, "account=a1 #2", 2, 2)
    for event in behind:
        assert event.situation == f"held back behind {parked.id} (account=a1 #2), which is parked"
        assert (event.standing, event.held_by) == (Standing.HELD_BACK, parked.id)


def test_an_event_that_is_to_be_tried_again_says_when_and_why(bank: Bank, crm: Crm) -> None:
    crm.unlucky = {1}
    crm.take(bank.publish(*of_a1(1, 2)))
    first, second = crm.situations()
    at = r"tried again at \d\d:\d\d:\d\d UTC"
    assert re.fullmatch(rf"{at} \(1 try so far\): ValueError: unlucky; 1 held back behind it", first)
    assert re.fullmatch(rf"held back behind \d+ \(account=a1 #1\), which is {at}", second)


def test_an_event_that_came_too_early_says_which_has_not_come(bank: Bank, crm: Crm) -> None:
    _, *later = bank.publish(*of_a1(1, 2, 3))
    crm.take(later)
    assert crm.situations() == ["waits for account=a1 #1, which has not come yet"] * 2
    assert {event.standing for event in crm.events.waiting()} == {Standing.EARLY}


def test_what_is_parked_stands_first_however_much_else_waits(bank: Bank, crm: Crm) -> None:
    crm.take(bank.publish(*of_a1(1, 2, 3))[1:])
    crm.unlucky = {7}
    crm.park(bank.publish(Opened("a2", 7)))
    crm.unlucky = {8}
    crm.take(bank.publish(Opened("a3", 8)))
    assert [event.aggregate for event in crm.events.waiting()][:2] == ["account=a2", "account=a3"]
    assert [event.aggregate for event in crm.events.waiting(limit=1)] == ["account=a2"]


def test_what_waits_is_found_by_what_it_is_about_and_by_its_message(bank: Bank, crm: Crm) -> None:
    crm.unlucky = {2}
    messages = bank.publish(*of_a1(1, 2), Opened("a2", 2), Opened("a3", 1))
    crm.park(messages)
    assert [event.about for event in crm.events.waiting(about="account=a1")] == ["account=a1 #2"]
    assert [event.about for event in crm.events.waiting(about=messages[2].id)] == ["account=a2 #1"]
    assert crm.events.waiting(about="account=a") == [] == crm.events.waiting(about="account=a3")
    assert crm.events.progress("account=a3") == [HowFar("bank", "account=a3", 1)]
    assert crm.events.progress("account=a1") == [HowFar("bank", "account=a1", 1)]
    assert crm.events.progress("account=a4") == []
    assert Crm(crm.engine, "other.events").events.progress("account=a1") == []


def test_an_event_of_a_type_that_nobody_handles_says_so(bank: Bank, crm: Crm) -> None:
    crm.park(Bank(bank.engine, GossipHeard).publish(GossipHeard("a1")))
    assert "parked: UnknownEvent: crm.events handles no such event (but bank.opened)" in crm.situations()


def test_everything_is_known_of_one_event(bank: Bank, crm: Crm) -> None:
    crm.unlucky = {1}
    (message,) = bank.publish(*of_a1(1))
    crm.park([message])
    (listed,) = crm.events.waiting()
    shown = crm.events.show(listed.id)
    assert shown == listed
    assert (shown.event, shown.source, shown.message_id) == ("bank.opened", "bank", message.id)
    assert shown.payload == {"account": "a1", "n": 1} and shown.failure is not None


def test_the_events_of_another_subscriber_in_the_same_database_are_not_ones_own(bank: Bank, crm: Crm) -> None:
    crm.unlucky = {1}
    crm.park(bank.publish(*of_a1(1)))
    (event,) = crm.events.waiting()
    other = Crm(crm.engine, "other.events")
    assert other.events.waiting() == [] and other.events.replay_parked() == []
    for act in (other.events.show, other.events.replay):
        with pytest.raises(NothingWaits, match="sagas events list"):
            act(event.id)


# ---- the inbox: acting -----------------------------------------------------------------------------------------------


def test_a_replayed_event_is_handled_and_those_behind_it_follow(
    bank: Bank, crm: Crm, caplog: pytest.LogCaptureFixture
) -> None:
    crm.unlucky = {2}
    crm.park(bank.publish(*of_a1(1, 2, 3, 4)))
    crm.unlucky = set()
    crm.events.replay(crm.events.waiting()[0].id, "the moon is full")
    crm.due_now()
    assert crm.handled == [1, 2, 3, 4] and crm.events.waiting() == []
    assert "event_replayed" in caplog.text and "the moon is full" in caplog.text


def test_a_replay_forgives_earlier_tries_and_one_that_fails_again_is_parked_after_its_whole_policy(
    bank: Bank, crm: Crm
) -> None:
    crm.unlucky = {1}
    crm.park(bank.publish(*of_a1(1)))
    number = crm.events.waiting()[0].id
    crm.events.replay(number)
    assert crm.events.show(number).situation == "tried as soon as a worker runs: ValueError: unlucky"
    crm.due_now()
    assert crm.events.show(number).standing is Standing.TO_BE_TRIED
    crm.due_in(LONG_SECONDS)
    assert (crm.events.show(number).standing, crm.events.show(number).attempts) == (Standing.PARKED, 2)


def test_an_event_that_is_to_be_tried_later_is_tried_at_once_when_replayed(bank: Bank, crm: Crm) -> None:
    crm.unlucky = {1}
    crm.take(bank.publish(*of_a1(1, 2)))
    crm.unlucky = set()
    crm.due_now()
    assert crm.handled == []
    crm.events.replay(crm.events.waiting()[0].id)
    crm.due_now()
    assert crm.handled == [1, 2]


def test_all_parked_events_are_replayed_and_nothing_else(bank: Bank, crm: Crm) -> None:
    crm.unlucky = {1, 2}
    crm.park(bank.publish(Opened("a1", 1), Opened("a2", 2)))
    crm.take(bank.publish(Opened("a3", 1)))
    assert sorted(event.aggregate for event in crm.events.replay_parked("let us see")) == ["account=a1", "account=a2"]
    crm.unlucky = set()
    crm.due_now()
    assert sorted(crm.handled) == [1, 2]
    assert [event.aggregate for event in crm.events.waiting()] == ["account=a3"]


def test_a_skipped_event_counts_as_handled_and_the_log_keeps_what_it_said(
    bank: Bank, crm: Crm, caplog: pytest.LogCaptureFixture
) -> None:
    crm.unlucky = {2}
    messages = bank.publish(*of_a1(1, 2, 3, 4))
    crm.park(messages)
    skipped = crm.events.skip(crm.events.waiting()[0].id, "it was a test account")
    assert skipped.number == 2
    crm.due_now()
    assert crm.handled == [1, 3, 4] and crm.events.waiting() == []
    assert "it was a test account" in caplog.text and '"account":"a1"' in caplog.text
    crm.unlucky = set()
    crm.take(messages)
    assert crm.handled == [1, 3, 4], "a late copy is a duplicate"
    crm.take(bank.publish(*of_a1(5)))
    assert crm.handled == [1, 3, 4, 5]


def test_what_is_given_up_can_be_looked_up_with_its_reason_and_never_comes_back(bank: Bank, crm: Crm) -> None:
    crm.unlucky = {1}
    messages = bank.publish(*of_a1(1), Opened("a2", 1), Opened("a2", 2), Opened("a2", 3))
    crm.park([messages[0], messages[3]])
    parked, early = crm.events.waiting()
    crm.events.skip(parked.id, "a test account")
    crm.events.skip_missing(early.id, "the bank lost its disk")
    bank.events.discard(bank.events.outgoing()[0].id, "a mistake")
    kept = KeptMessages(crm.subscriber)
    discarded, missing, skipped = kept.list()
    assert skipped.reason == "given up by the operator: a test account"
    assert (skipped.task, skipped.queue, skipped.message_id) == ("bank.opened", QUEUE, messages[0].id)
    assert json.loads(skipped.body) == {
        "to": QUEUE, "about": "account=a1 #1", "source": "bank", "says": {"account": "a1", "n": 1},
        "situation": "parked: ValueError: unlucky",
    }  # fmt: skip
    assert missing.reason == "given up by the operator: the bank lost its disk"
    assert json.loads(missing.body)["about"] == "account=a2 #1 to #2"
    assert discarded.reason == "given up by the operator: a mistake" and json.loads(discarded.body)["says"]
    for message in (skipped, missing, discarded):
        with pytest.raises(MessageStays, match="an operator has given it up"):
            kept.requeue(message.id)
    kept.discard(skipped.id, "nobody asks any more")
    assert kept.list() == [discarded, missing]


def test_two_subscribers_of_one_database_that_give_up_the_same_event_are_told_apart(bank: Bank, crm: Crm) -> None:
    (message,) = bank.publish(*of_a1(1))
    other = Crm(crm.engine, "other.events", unlucky={1})
    crm.unlucky = {1}
    for one in (crm, other):
        one.park([message])
        one.events.skip(one.events.waiting()[0].id, f"not for {one.queue}")
    assert [kept.reason.split()[-1] for kept in KeptMessages(crm.subscriber).list()] == ["other.events", QUEUE]


def test_a_replayed_event_says_why_until_it_is_handled(bank: Bank, crm: Crm) -> None:
    crm.unlucky = {1}
    crm.park(bank.publish(*of_a1(1)))
    number = crm.events.waiting()[0].id
    crm.events.replay(number, "the moon is full")
    assert (crm.events.show(number).failure or {})["replayed"] == "the moon is full"


def test_the_last_event_of_its_aggregate_is_skipped_and_the_next_to_come_is_handled(bank: Bank, crm: Crm) -> None:
    crm.unlucky = {1}
    crm.park(bank.publish(*of_a1(1)))
    crm.events.skip(crm.events.waiting()[0].id, "no")
    crm.take(bank.publish(*of_a1(2)))
    assert crm.handled == [2]


@pytest.mark.parametrize("act", [Events.replay, Events.skip])
def test_an_event_that_is_held_back_is_not_moved_past_the_one_before_it(
    bank: Bank, crm: Crm, act: Callable[..., object]
) -> None:
    crm.unlucky = {1}
    crm.park(bank.publish(*of_a1(1, 2)))
    first, second = crm.events.waiting()
    with pytest.raises(ActRefused, match=rf"it is held back behind {first.id} .* replay or skip {first.id} first"):
        act(crm.events, second.id, "because")
    assert [event.id for event in crm.events.waiting()] == [first.id, second.id]


@pytest.mark.parametrize("act", [Events.replay, Events.skip])
def test_an_event_that_waits_for_a_missing_one_is_moved_only_by_giving_that_up(
    bank: Bank, crm: Crm, act: Callable[..., object]
) -> None:
    crm.take(bank.publish(*of_a1(1, 2))[1:])
    number = crm.events.waiting()[0].id
    with pytest.raises(ActRefused, match=rf"it waits for account=a1 #1, .*`sagas events skip {number} --missing`"):
        act(crm.events, number, "because")


def test_missing_events_are_given_up_and_one_that_comes_after_all_is_a_duplicate(bank: Bank, crm: Crm) -> None:
    messages = bank.publish(*of_a1(1, 2, 3, 4, 5))
    crm.take([messages[0], messages[3], messages[4]])
    crm.events.skip_missing(crm.events.waiting()[1].id, "the bank lost its database")
    crm.due_now()
    assert crm.handled == [1, 4, 5]
    crm.take(messages)
    assert crm.handled == [1, 4, 5] and crm.events.waiting() == []


def test_where_nothing_is_missing_nothing_is_given_up(bank: Bank, crm: Crm) -> None:
    crm.unlucky = {1}
    crm.park(bank.publish(*of_a1(1, 2)))
    for event in crm.events.waiting():
        with pytest.raises(ActRefused, match="no event is missing before it"):
            crm.events.skip_missing(event.id, "because")
    assert crm.handled == []


def test_an_act_waits_for_whoever_holds_the_aggregate_and_sees_what_he_has_done(bank: Bank, crm: Crm) -> None:
    crm.unlucky = {1}
    crm.park(bank.publish(*of_a1(1)))
    number = crm.events.waiting()[0].id
    key = StreamKey(QUEUE, "bank", "account=a1")
    wait = about_to_wait(crm.engine)

    def skip() -> None:
        with pytest.raises(NothingWaits):
            crm.events.skip(number, "too late")

    def handle_meanwhile() -> None:
        with crm.engine.begin() as connection:
            event_inbox.lock_streams(connection, [key])
            held.append(True)
            wait()
            event_inbox.remove(connection, [number])
            event_inbox.write_streams(connection, {key: event_inbox.Stream(1, False, "")})

    held: list[bool] = []

    def skip_when_held() -> None:
        until(lambda: bool(held))
        skip()

    in_threads([handle_meanwhile, skip_when_held])
    crm.take(bank.publish(*of_a1(2)))
    assert crm.handled == [2]


def test_the_number_of_an_event_never_comes_to_mean_another_one(bank: Bank, crm: Crm) -> None:
    crm.unlucky = {1, 2}
    crm.park(bank.publish(*of_a1(1)))
    first = crm.events.waiting()[0].id
    crm.events.skip(first, "no")
    crm.take(bank.publish(*of_a1(2)))
    assert crm.events.waiting()[0].id > first
    with pytest.raises(NothingWaits):
        crm.events.skip(first, "once more")


def test_who_takes_no_events_has_no_inbox(bank: Bank) -> None:
    with pytest.raises(ConfigurationError, match="no events come in here"):
        bank.events.waiting()


def test_an_application_without_a_database_keeps_no_events(bank: Bank) -> None:
    bar = Participant("bar", bank.participant.app, bank.participant.broker, None)
    with pytest.raises(ConfigurationError, match="without a database"):
        Events(bar).outgoing()


def test_what_moves_sagas_does_not_move_process_managers(crm: Crm) -> None:
    subscriber: Subscriber = crm.subscriber
    assert Operations(subscriber).list() == []
    with pytest.raises(OperationRefused, match=r"cancel of saga .* is refused: .*sagas events list"):
        subscriber.act("01920000-0000-7000-8000-000000000001", Cancel(1.0, "because"))


# ---- the outbox ------------------------------------------------------------------------------------------------------


def test_what_goes_out_says_how_often_it_was_sent_and_when_it_is_again(bank: Bank) -> None:
    bank.publish(*of_a1(1))
    (event,) = bank.events.outgoing()
    assert re.fullmatch(r"tried once and no receipt yet; sent again at \d\d:\d\d:\d\d UTC", event.situation)
    assert (event.kind, event.queue, event.about, event.times) == (Kind.EVENT, QUEUE, "account=a1 #1", 1)
    assert event.payload == {"account": "a1", "n": 1}


def test_what_goes_out_is_found_by_what_it_is_about_by_its_saga_and_by_its_message(bank: Bank) -> None:
    first, second = bank.publish(*of_a1(1), Opened("a2", 1))
    command = bank.command(saga := "01920000-0000-7000-8000-000000000001")
    for about, found in (("account=a1", first), (second.id, second), (saga, command)):
        assert [one.message_id for one in bank.events.outgoing(about=about)] == [found.id]
    assert bank.events.outgoing(about="account=a") == []


def test_all_that_waits_for_a_queue_is_sent_at_once(bank: Bank) -> None:
    sent = bank.publish(*of_a1(1, 2))
    bank.publish(Gossip("a1"))
    bank.take_failure(bank.command("01920000-0000-7000-8000-000000000001"), REFUSED)
    assert bank.events.resend_queue("bank.commands") == 0, "it has failed"
    bank.command("01920000-0000-7000-8000-000000000002")
    assert bank.events.resend_queue(QUEUE, "they are back") == 2
    bank.relay()
    assert [one.id for one in bank.publisher.take()] == [one.id for one in sent]


def test_what_waits_for_a_person_stands_first(bank: Bank) -> None:
    bank.publish(*of_a1(1), Gossip("a1"))
    assert [one.situation for one in bank.events.outgoing(limit=1)] == ["nobody subscribes to it"]


def test_what_is_awaited_is_sent_again_at_once_and_says_that_it_is_so(bank: Bank) -> None:
    (message,) = bank.publish(*of_a1(1))
    bank.relay()
    assert bank.publisher.take() == []
    bank.events.resend(bank.events.outgoing()[0].id, "they say that they have nothing")
    bank.relay()
    (again,) = bank.publisher.take()
    assert again.id == message.id and (again.correlation or {})["again"]


def test_what_has_arrived_is_no_longer_outgoing(bank: Bank) -> None:
    messages = bank.publish(*of_a1(1))
    number = bank.events.outgoing()[0].id
    bank.take_receipt(*messages)
    assert bank.events.outgoing() == []
    for act in (bank.events.show_outgoing, bank.events.resend):
        with pytest.raises(NothingWaits, match="sagas events outgoing"):
            act(number)
    with pytest.raises(NothingWaits):
        bank.events.discard(number, "because")


def test_the_number_of_an_outgoing_message_never_comes_to_mean_another_one(bank: Bank) -> None:
    bank.take_receipt(*bank.publish(*of_a1(1)))
    bank.publish(*of_a1(2))
    assert bank.events.outgoing()[0].id == 2


@pytest.fixture
def saga_id(bench: Bench) -> str:
    return bench.started(OrderSaga, OrderData(1))


def test_a_command_that_failed_is_sent_as_another_attempt_and_the_history_says_who_wanted_it(
    bank: Bank, bench: Bench, saga_id: str
) -> None:
    first = bank.command(saga_id)
    bank.take_failure(first, REFUSED)
    failed = next(one for one in bank.events.outgoing() if one.problem)
    assert failed.situation == "failed: Refusal: not before nine"
    assert (failed.kind, failed.saga_id, failed.step, failed.attempt) == (Kind.COMMAND, saga_id, "block", 1)
    bank.events.resend(failed.id, "it is nine")
    bank.relay()
    (second,) = [message for message in bank.publisher.take() if message.task == "bank.block"]
    assert second.id != first.id and (second.correlation or {})["attempt"] == 2 and second.body == first.body
    assert "again" not in (second.correlation or {})
    assert bench.events(saga_id)[-1] == "command_resent"
    bank.take_failure(first, REFUSED)
    assert not any(one.problem for one in bank.events.outgoing()), "an old answer means nothing now"


def test_a_discarded_command_is_never_sent_and_the_history_says_why(
    bank: Bank, bench: Bench, saga_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    bank.take_failure(bank.command(saga_id), REFUSED)
    failed = bank.events.outgoing()[0]
    bank.events.discard(failed.id, "the account is closed")
    assert bench.events(saga_id)[-1] == "command_discarded"
    assert "the account is closed" in caplog.text and '{"name":"a1"}' in caplog.text
    assert not [row for row in bank.rows() if row["id"] == failed.id]


def test_an_event_that_nobody_subscribes_to_is_published_anew_only_when_somebody_does(bank: Bank, crm: Crm) -> None:
    bank.publish(Gossip("a1"))
    number = bank.events.outgoing()[0].id
    with pytest.raises(ActRefused, match=r"still nobody subscribes to 'bank.gossip'; add a queue .*stuck_events.py"):
        bank.events.resend(number)
    assert bank.events.outgoing()[0].id == number
    later = Bank(bank.engine, Opened, GossipHeard)
    later.publish(*of_a1(1))
    later.events.resend(number, "they have subscribed")
    (published,) = later.relayed_at(later.rows()[-1]["due_at"])
    assert (published.task, published.queue) == ("bank.gossip", QUEUE)
    assert (published.correlation or {})["number"] == 2, "behind what was published about the same meanwhile"
    with pytest.raises(NothingWaits):
        later.events.resend(number)


def test_an_event_is_published_anew_only_by_who_publishes_it(bank: Bank) -> None:
    bank.publish(Gossip("a1"))
    with pytest.raises(ActRefused, match=r"does not publish 'bank.gossip' .but bank.opened.; name the one that does"):
        Bank(bank.engine, Opened).events.resend(bank.events.outgoing()[0].id)


def test_all_that_can_be_sent_again_is_and_the_rest_is_told(bank: Bank) -> None:
    bank.publish(Gossip("a1"))
    bank.take_failure(bank.command("01920000-0000-7000-8000-000000000001"), REFUSED)
    bank.publish(*of_a1(1))
    resent, refused = bank.events.resend_failed("all of it")
    assert [one.task for one in resent] == ["bank.block"]
    assert ["still nobody subscribes" in str(error) for error in refused] == [True]


def test_a_discarded_event_is_waited_for_until_its_subscriber_gives_it_up(bank: Bank, crm: Crm) -> None:
    bank.publish(*of_a1(1))
    bank.events.discard(bank.events.outgoing()[0].id, "it was wrong")
    crm.take(bank.publish(*of_a1(2)))
    assert crm.situations() == ["waits for account=a1 #1, which has not come yet"]
    crm.events.skip_missing(crm.events.waiting()[0].id, "it was discarded")
    crm.due_now()
    assert crm.handled == [2]
