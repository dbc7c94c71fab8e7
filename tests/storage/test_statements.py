"""Each statement of storage by itself, with a second connection where it is about two."""

import time
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, func, select

from sagas_framework.delivery.relay import OutboxRelay
from sagas_framework.errors import PublishFailed
from sagas_framework.storage import instances, keeping, memory
from sagas_framework.storage import outbox as storage_outbox
from sagas_framework.storage.database import reading
from sagas_framework.storage.keeping import Kept
from sagas_framework.storage.memory import Memory, MemoryKey
from sagas_framework.storage.schema import deliveries, kept_messages, outbox, participant_memory
from sagas_framework.storage.schema import instances as table
from sagas_framework.transport.wire import OutgoingMessage
from sagas_framework.vocabulary.identity import new_saga_id
from tests.support.kitchen import somebody_waits
from tests.support.orchestration import RecordingPublisher
from tests.support.threads import until


def row(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"01920000-0000-7000-8000-{number:012x}",
        "orchestrator": "orders",
        "saga": "OrderSaga",
        "status": "running",
        "paused": False,
        "data": {},
        "state": {"steps": {}},
        "stale_replies": 0,
        "wake_at": None,
        "created_at": 1000.0,
        "updated_at": 1000.0,
        **changes,
    }


def insert_rows(engine: Engine, *rows: dict[str, Any]) -> list[str]:
    with engine.begin() as connection:
        for one in rows:
            instances.write(connection, [], new=[one])
    return [one["id"] for one in rows]


def written(saga_id: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": saga_id, "data": {"a": 1}, "state": {"steps": {}}, "status": "running", "paused": False,
        "current_step": "create", "failed_step": None, "failed_at": None, "failure_details": None,
        "last_message_id": "m", "stale_replies": 2, "updated_at": 1001.0, "ended_at": None, **changes,
    }  # fmt: skip


# ---- instances ------------------------------------------------------------------------------------------------------


def test_instances_come_locked_in_the_order_of_their_ids_and_without_the_unknown(engine: Engine) -> None:
    ids = insert_rows(engine, *(row(number) for number in (3, 1, 2)))
    with engine.begin() as connection:
        found = instances.lock(connection, [*ids, new_saga_id(), ids[0]])
    assert [one.id for one in found] == sorted(ids)


@pytest.mark.rule(8)
def test_claiming_takes_what_is_due_earliest_first_and_no_more_than_asked(engine: Engine) -> None:
    times = [5.0, None, 3.0, 9.0, 4.0]
    ids = insert_rows(engine, *(row(number, wake_at=wake_at) for number, wake_at in enumerate(times)))
    with engine.begin() as connection:
        assert [one.id for one in instances.claim_due(connection, "orders", ["OrderSaga"], 5.0, 10)] == [
            ids[2],
            ids[4],
            ids[0],
        ]
        assert [one.id for one in instances.claim_due(connection, "orders", ["OrderSaga"], 9.0, 1)] == [ids[2]]


@pytest.mark.rule(8)
@pytest.mark.postgresql
def test_what_one_worker_has_claimed_another_passes_over_without_waiting(postgresql_engine: Engine) -> None:
    ids = insert_rows(postgresql_engine, *(row(number, wake_at=float(number)) for number in range(6)))
    with postgresql_engine.begin() as one, postgresql_engine.begin() as other:
        first = [found.id for found in instances.claim_due(one, "orders", ["OrderSaga"], 9.0, 3)]
        second = [found.id for found in instances.claim_due(other, "orders", ["OrderSaga"], 9.0, 10)]
    assert (first, second) == (ids[:3], ids[3:])


@pytest.mark.rule(8)
def test_writing_back_without_wake_at_leaves_it_alone(engine: Engine) -> None:
    ids = insert_rows(engine, row(1, wake_at=7.0), row(2, wake_at=7.0), row(3, wake_at=7.0))
    with engine.begin() as connection:
        rows = [written(ids[0]), written(ids[1], wake_at=9.0), written(ids[2], wake_at=None)]
        instances.write(connection, rows)
    with engine.connect() as connection:
        chosen = select(table.c.wake_at, table.c.stale_replies, table.c.current_step).order_by(table.c.id)
        found = [tuple(one) for one in connection.execute(chosen)]
    assert found == [(7.0, 2, "create"), (9.0, 2, "create"), (None, 2, "create")]


def test_times_come_back_as_they_were_put_in_to_the_microsecond(engine: Engine) -> None:
    moment = time.time()
    insert_rows(engine, row(1, wake_at=moment))
    with reading(engine) as connection:
        assert instances.next_wake_at(connection, "orders", ["OrderSaga"]) == pytest.approx(moment, abs=1e-6)


def test_data_and_state_come_back_as_they_were_put_in(engine: Engine) -> None:
    data = {"text": "æøå 🐉 \\u0000", "n": 2**53 + 1, "f": 0.1, "deep": [[{"a": [None, True]}]], "empty": {}}
    (saga_id,) = insert_rows(engine, row(1, data=data))
    with engine.begin() as connection:
        (found,) = instances.lock(connection, [saga_id])
    assert found.data == data


def test_a_taken_key_inserts_nothing_and_leaves_the_transaction_usable(engine: Engine) -> None:
    with engine.begin() as connection:
        assert instances.insert_with_key(connection, row(1, idempotency_key="k"))
        assert not instances.insert_with_key(connection, row(2, idempotency_key="k"))
        assert instances.insert_with_key(connection, row(3, idempotency_key="k", saga="Other"))
        assert instances.id_of_key(connection, "orders", "OrderSaga", "k") == row(1)["id"]
        assert instances.id_of_key(connection, "orders", "OrderSaga", "other") is None


# ---- kept messages and counts ---------------------------------------------------------------------------------------


def kept(number: int, **changes: Any) -> Kept:
    values = {"reason": "because", "task": "t", "queue": "q", "message_id": f"m{number}", "saga_id": None,
              "headers": {}, "body": "b"} | changes  # fmt: skip
    return Kept(**values)


def test_a_message_that_is_kept_again_is_counted(engine: Engine) -> None:
    with engine.begin() as connection:
        keeping.keep(connection, [kept(1), kept(2), kept(1)], 1.0)
    with engine.begin() as connection:
        keeping.keep(connection, [kept(1, reason="now because of this")], 2.0)
        found = connection.execute(
            select(kept_messages.c.times, kept_messages.c.reason, kept_messages.c.first_kept_at).order_by("id")
        )
        assert [tuple(one) for one in found] == [(3, "now because of this", 1.0), (1, "because", 1.0)]


@pytest.mark.parametrize("text", ["\x00", "\ud800", "x" * 1_000_000])
def test_nothing_is_too_odd_to_be_kept(engine: Engine, text: str) -> None:
    odd = kept(1, reason=text, task=text, queue=text, message_id=text, saga_id=text, body=text, headers={text: [text]})
    with engine.begin() as connection:
        keeping.keep(connection, [odd, odd], 1.0)


@pytest.mark.rule(11)
def test_begun_deliveries_are_counted_and_forgotten(engine: Engine) -> None:
    with engine.begin() as connection:
        keeping.count_deliveries(connection, ["a", "b", "a"], 1.0)
        keeping.count_deliveries(connection, ["a"], 2.0)
        assert keeping.begun_deliveries(connection, ["a", "b", "c"]) == {"a": 2, "b": 1}
        keeping.forget_deliveries(connection, ["a", "c"])
        keeping.forget_deliveries(connection, [])
        assert connection.scalar(select(func.count()).select_from(deliveries)) == 1


# ---- the outbox -----------------------------------------------------------------------------------------------------


def outgoing(number: int) -> OutgoingMessage:
    return OutgoingMessage("q", "t", f"m{number}", "[]", None, {"n": number})


def put_into_outbox(engine: Engine, count: int) -> None:
    with engine.begin() as connection:
        rows = [storage_outbox.fire_and_forget(vars(outgoing(number)), 1.0) for number in range(count)]
        storage_outbox.add(connection, rows, 1.0)


def left(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(outbox)) or 0


@pytest.mark.rule(7)
def test_the_relay_sends_in_order_and_deletes_what_the_broker_has(engine: Engine) -> None:
    put_into_outbox(engine, 150)
    publisher = RecordingPublisher()
    relay = OutboxRelay(engine, publisher)
    assert relay() == 0.0, "there is more"
    assert relay() > 0.0
    assert publisher.published == [outgoing(number) for number in range(150)] and left(engine) == 0


@pytest.mark.rule(7)
def test_what_the_broker_did_not_take_stays_in_the_outbox(engine: Engine) -> None:
    put_into_outbox(engine, 3)
    publisher = RecordingPublisher()
    relay = OutboxRelay(engine, publisher)
    publisher.broken = True
    with pytest.raises(PublishFailed):
        relay()
    assert left(engine) == 3
    publisher.broken = False
    relay()
    assert left(engine) == 0 and len(publisher.published) == 3


@pytest.mark.postgresql
def test_two_relays_share_the_outbox_and_send_nothing_twice(postgresql_engine: Engine) -> None:
    put_into_outbox(postgresql_engine, 4)
    with postgresql_engine.begin() as one, postgresql_engine.begin() as other:
        taken = [[row["id"] for row in storage_outbox.take_due(c, 2.0, 2)] for c in (one, other)]
    assert len({*taken[0], *taken[1]}) == 4


# ---- a participant's memory -----------------------------------------------------------------------------------------


@pytest.mark.rule(12)
def test_taking_a_memory_makes_it_or_finds_it_as_it_was(engine: Engine) -> None:
    key = MemoryKey("orders", "saga", "step")

    def take(connection: Connection) -> Memory:
        return memory.take(connection, [key], 1.0)[key]

    with engine.begin() as connection:
        assert take(connection) == Memory()
        memory.remember(connection, {key: Memory(outcome="succeeded", attempt=2, reply={"a": None})}, 2.0)
    with engine.begin() as connection:
        assert take(connection) == Memory(attempt=2, outcome="succeeded", reply={"a": None})
        other = MemoryKey("orders", "saga", "other")
        assert memory.take(connection, [other, key], 1.0)[other] == Memory()


@pytest.mark.rule(3, 12)
@pytest.mark.postgresql
def test_memory_is_locked_in_the_order_of_its_keys_so_that_no_two_batches_wait_in_a_ring(
    postgresql_engine: Engine,
) -> None:
    """Who waits for the first holds none of the later ones yet, in whatever order he asked for them."""
    keys = [MemoryKey("orders", "a saga", f"step {number}") for number in range(5)]
    with postgresql_engine.begin() as connection:
        memory.take(connection, keys, 1.0)

    def take_backwards() -> None:
        with postgresql_engine.begin() as connection:
            memory.take(connection, reversed(keys), 2.0)

    waiting = Thread(target=take_backwards)
    with postgresql_engine.begin() as holder:
        memory.take(holder, keys[:1], 1.0)
        waiting.start()
        until(lambda: somebody_waits(postgresql_engine))
        with postgresql_engine.begin() as another:
            later = select(participant_memory).where(participant_memory.c.step != "step 0")
            assert len(another.execute(later.with_for_update(nowait=True)).all()) == 4
    waiting.join()
