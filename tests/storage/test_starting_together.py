"""Sagas of one transaction are written together at its end: whatever the session did until then, none is lost,
none that was rolled back is written, and none is sent that is not written.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from itertools import product
from typing import Any

import pytest
from sqlalchemy import Engine, event, func, insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, declarative_base, mapped_column, scoped_session, sessionmaker

from sagas_framework import StepContext
from sagas_framework.storage.schema import history, instances
from tests.support import sagas
from tests.support.orchestration import Bench, watching
from tests.support.sagas import OrderData, OrderSaga, QuietSaga, orders
from tests.support.threads import in_threads


def notes(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return [str(note) for note in connection.scalars(select(orders.c.note).order_by(orders.c.id))]


def count_sagas(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(instances)) or 0


# ---- many in one transaction --------------------------------------------------------------------------------------

Base = declarative_base()


class Order(Base):  # type: ignore[misc, valid-type]  # as declarative_base() is typed
    """A row of the caller's own."""

    __tablename__ = "callers_order"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None] = mapped_column(unique=True)


@pytest.fixture
def with_orders(bench: Bench) -> Bench:
    Base.metadata.create_all(bench.engine)
    return bench


def started(bench: Bench) -> list[int]:
    """The orders of the sagas that there are; each has its history, and its command was sent exactly once."""
    with bench.engine.connect() as connection:
        rows = connection.execute(select(instances.c.id, instances.c.data).order_by(instances.c.id)).all()
        told = list(connection.scalars(select(history.c.saga_id).where(history.c.event == "started")))
    assert sorted(told) == sorted(row.id for row in rows)
    sent = bench.publisher.take()
    assert sorted((message.correlation or {})["saga"] for message in sent) == sorted(row.id for row in rows)
    return sorted(row.data["order_id"] for row in rows)


def rows_named(engine: Engine) -> list[str | None]:
    with engine.connect() as connection:
        return list(connection.scalars(select(Order.name).order_by(Order.id)))


@pytest.mark.rule(7)
def test_the_sagas_of_a_transaction_cost_a_statement_for_each_table_however_many_they_are(bench: Bench) -> None:
    counts = []
    for number in (2, 50):
        with watching(bench.engine) as seen, Session(bench.engine) as session, session.begin():
            for order in range(number):
                bench.start(QuietSaga, OrderData(order), session)
        counts.append(len(seen.texts))
        assert seen.commits == 1
    assert counts[0] == counts[1]
    assert len(bench.publisher.take()) == 52


@pytest.mark.parametrize("keys", list(product([None, "one", "two"], repeat=3)))
def test_sagas_with_keys_and_without_are_written_together(bench: Bench, keys: tuple[str | None, ...]) -> None:
    with Session(bench.engine) as session, session.begin():
        handles = [bench.start(OrderSaga, OrderData(number), session, key) for number, key in enumerate(keys)]
    firsts = [number for number, key in enumerate(keys) if key is None or keys.index(key) == number]
    assert [number for number, handle in enumerate(handles) if handle.created] == firsts
    for key, handle in zip(keys, handles, strict=True):
        assert key is None or handle.saga_id == handles[keys.index(key)].saga_id
    assert started(bench) == firsts
    assert notes(bench.engine) == [f"{number} reserved" for number in firsts]


class Undone(Exception):
    """Rolls a savepoint back."""


@contextmanager
def savepoint(session: Session, released: bool) -> Iterator[None]:
    with suppress(Undone), session.begin_nested():
        yield
        if not released:
            raise Undone


@pytest.mark.parametrize("key", [None, "key"], ids=["no key", "keys"])
@pytest.mark.parametrize(("outer", "inner", "second"), list(product([True, False], repeat=3)))
def test_with_savepoints_released_and_rolled_back_those_sagas_start_that_are_left(
    bench: Bench, outer: bool, inner: bool, second: bool, key: str | None
) -> None:
    def begin(number: int) -> None:
        bench.start(OrderSaga, OrderData(number), session, key and f"{key} {number}")

    with Session(bench.engine) as session, session.begin():
        begin(1)
        with savepoint(session, outer):
            begin(2)
            with savepoint(session, inner):
                begin(3)
            begin(4)
        begin(5)
        with savepoint(session, second):
            begin(6)
        begin(7)
    left = {1, 5, 7} | ({2, 4} if outer else set()) | ({3} if outer and inner else set()) | ({6} if second else set())
    assert started(bench) == sorted(left)
    assert notes(bench.engine) == [f"{number} reserved" for number in sorted(left)]


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_savepoints_ended_by_hand_count_as_well(bench: Bench, end: str) -> None:
    with Session(bench.engine) as session:
        bench.start(OrderSaga, OrderData(1), session)
        outer = session.begin_nested()
        inner = session.begin_nested()
        bench.start(OrderSaga, OrderData(2), session)
        getattr(outer, end)()  # with the inner one still open
        assert not inner.is_active
        bench.start(OrderSaga, OrderData(3), session)
        session.commit()
    assert started(bench) == ([1, 2, 3] if end == "commit" else [1, 3])


def test_a_rollback_to_a_savepoint_that_was_begun_after_a_saga_leaves_the_saga(bench: Bench) -> None:
    """Releasing a savepoint inside must not have written the saga where the outer one's rollback takes it away."""
    with Session(bench.engine) as session, session.begin():
        bench.start(OrderSaga, OrderData(1), session)
        with savepoint(session, released=False), session.begin_nested():
            session.execute(insert(orders).values(note="gone"))
    assert started(bench) == [1]
    assert notes(bench.engine) == ["1 reserved"]


def test_a_key_freed_by_a_savepoint_can_be_used_in_the_same_transaction(bench: Bench) -> None:
    with Session(bench.engine) as session, session.begin():
        with savepoint(session, released=False):
            bench.start(OrderSaga, OrderData(1), session, "key")
        assert bench.start(OrderSaga, OrderData(2), session, "key").created
    assert started(bench) == [2]


def test_after_a_rollback_the_same_session_starts_anew(bench: Bench) -> None:
    with Session(bench.engine) as session:
        for number, end in enumerate(("rollback", "commit", "close", "commit", "rollback", "commit"), start=1):
            bench.start(OrderSaga, OrderData(number), session, f"key {number}")
            getattr(session, end)()
    assert started(bench) == [2, 4, 6]


def test_a_session_that_lives_long_remembers_no_saga_beyond_its_transaction(bench: Bench) -> None:
    with Session(bench.engine) as session:
        for end in (session.commit, session.rollback) * 3:
            bench.start(OrderSaga, OrderData(1), session)
            end()
        (uncommitted,) = session.info.values()
        assert uncommitted._items == []


def raise_when(numbers: set[int]) -> Callable[[OrderData, StepContext], None]:
    def refuse(order: OrderData, step: StepContext) -> None:
        if order.order_id in numbers:
            raise LookupError("sold out")

    return refuse


@pytest.mark.parametrize("key", [None, "key"], ids=["no key", "keys"])
def test_of_many_sagas_those_whose_steps_raised_and_were_caught_leave_nothing(bench: Bench, key: str | None) -> None:
    sagas.hooks["reserve"] = raise_when({0, 2, 3, 9})
    with Session(bench.engine) as session, session.begin():
        for number in range(10):
            with suppress(LookupError):
                bench.start(OrderSaga, OrderData(number), session, key and f"{key} {number}")
    assert started(bench) == [1, 4, 5, 6, 7, 8]
    assert notes(bench.engine) == [f"{number} reserved" for number in (1, 4, 5, 6, 7, 8)]


def test_a_raising_step_takes_along_what_it_wrote_and_not_what_the_caller_had_not_flushed(with_orders: Bench) -> None:
    bench = with_orders
    sagas.hooks["reserve"] = raise_when({2})
    with Session(bench.engine) as session, session.begin():
        for number in range(1, 4):
            order = Order(id=number, name=f"order {number}")
            session.add(order)
            with suppress(LookupError):
                bench.start(OrderSaga, OrderData(number), session)
            order.name = f"changed {number}"
    assert rows_named(bench.engine) == ["changed 1", "changed 2", "changed 3"]
    assert started(bench) == [1, 3]


def test_a_leading_step_sees_what_its_caller_had_not_flushed(with_orders: Bench) -> None:
    bench = with_orders
    seen = []
    sagas.hooks["reserve"] = lambda order, step: seen.append(step.session.get_one(Order, order.order_id).name)
    with Session(bench.engine, autoflush=False) as session, session.begin():
        for number in (1, 2):
            session.add(Order(id=number, name=f"order {number}"))
            bench.start(OrderSaga, OrderData(number), session)
    assert seen == ["order 1", "order 2"]
    assert started(bench) == [1, 2]


def test_what_a_leading_step_adds_is_flushed_with_it(with_orders: Bench) -> None:
    bench = with_orders

    def add(order: OrderData, step: StepContext) -> None:
        step.session.add(Order(id=order.order_id, name=f"the step's {order.order_id}"))

    sagas.hooks["reserve"] = add
    with Session(bench.engine) as session, session.begin():
        bench.start(OrderSaga, OrderData(1), session)
        found = session.get(Order, 1)
        assert found is not None and found.name == "the step's 1"
        bench.start(OrderSaga, OrderData(2), session)
    assert rows_named(bench.engine) == ["the step's 1", "the step's 2"]


def test_what_the_database_refuses_of_a_leading_step_reaches_the_caller_who_may_go_on(with_orders: Bench) -> None:
    bench = with_orders

    def add(order: OrderData, step: StepContext) -> None:
        step.session.add(Order(name="the same"))

    sagas.hooks["reserve"] = add
    with Session(bench.engine) as session, session.begin():
        bench.start(OrderSaga, OrderData(1), session)
        with pytest.raises(IntegrityError):
            bench.start(OrderSaga, OrderData(2), session)
        session.add(Order(name="another"))
    assert rows_named(bench.engine) == ["the same", "another"]
    assert started(bench) == [1]


@pytest.mark.parametrize("autoflush", [True, False])
def test_a_callers_flush_that_fails_at_the_commit_takes_its_sagas_along(with_orders: Bench, autoflush: bool) -> None:
    bench = with_orders
    with Session(bench.engine, autoflush=autoflush) as session:
        session.add(Order(name="taken"))
        session.commit()
        bench.start(OrderSaga, OrderData(1), session)
        session.add(Order(name="taken"))
        with pytest.raises(IntegrityError):
            session.commit()
        session.rollback()
        bench.start(OrderSaga, OrderData(2), session)
        session.commit()
    assert started(bench) == [2]


def test_a_flush_that_fails_inside_a_savepoint_takes_the_savepoints_sagas_along(with_orders: Bench) -> None:
    bench = with_orders
    with Session(bench.engine) as session, session.begin():
        session.add(Order(name="taken"))
        bench.start(OrderSaga, OrderData(1), session)
        with pytest.raises(IntegrityError), session.begin_nested():
            bench.start(OrderSaga, OrderData(2), session)
            session.add(Order(name="taken"))
        bench.start(OrderSaga, OrderData(3), session)
    assert started(bench) == [1, 3]
    assert notes(bench.engine) == ["1 reserved", "3 reserved"]


REFUSAL = {
    "postgresql": "ALTER TABLE saga_instance ADD CONSTRAINT none_today CHECK (saga <> 'OrderSaga')",
    "sqlite": "CREATE TRIGGER none_today BEFORE INSERT ON saga_instance BEGIN SELECT RAISE(ABORT, 'none today'); END",
}


def test_a_saga_whose_row_the_database_refuses_fails_the_commit_and_sends_nothing(bench: Bench) -> None:
    with bench.engine.begin() as connection:
        connection.execute(text(REFUSAL[bench.engine.dialect.name]))
    with Session(bench.engine) as session:
        bench.start(OrderSaga, OrderData(1), session)
        bench.start(OrderSaga, OrderData(2), session)
        with pytest.raises(IntegrityError):
            session.commit()
        session.rollback()
        assert notes(bench.engine) == []
    assert started(bench) == []


# ---- sessions of all kinds ----------------------------------------------------------------------------------------


@pytest.mark.postgresql
def test_two_sessions_side_by_side_keep_their_sagas_apart(postgresql_engine: Engine) -> None:
    bench = Bench(postgresql_engine, OrderSaga)
    with Session(postgresql_engine) as one, Session(postgresql_engine) as other:
        for number in range(4):
            bench.start(OrderSaga, OrderData(number), (one, other)[number % 2])
        one.commit()
        assert started(bench) == [0, 2]
        other.rollback()
        bench.start(OrderSaga, OrderData(4), other)
        other.commit()
    with Session(postgresql_engine) as session:
        assert session.scalar(select(func.count()).select_from(instances)) == 3


def test_two_orchestrators_may_start_sagas_in_one_transaction(engine: Engine) -> None:
    one, other = Bench(engine, OrderSaga), Bench(engine, QuietSaga)
    with Session(engine) as session, session.begin():
        one.start(OrderSaga, OrderData(1), session)
        other.start(QuietSaga, OrderData(2), session)
        one.start(OrderSaga, OrderData(3), session)
    assert count_sagas(engine) == 3
    assert [len(bench.publisher.take()) for bench in (one, other)] == [2, 1], "each sends through its own broker"


@pytest.mark.parametrize("kind", ["sessionmaker", "sessionmaker.begin", "scoped_session", "subclass"])
def test_sessions_however_they_were_made_start_sagas_with_their_commit(bench: Bench, kind: str) -> None:
    with ExitStack() as stack:
        session: Any
        if kind == "sessionmaker.begin":
            session = stack.enter_context(sessionmaker(bench.engine).begin())
        elif kind == "scoped_session":
            session = scoped_session(sessionmaker(bench.engine))
            stack.callback(session.remove)
        else:
            own: type[Session] = type("Own", (Session,), {}) if kind == "subclass" else Session
            maker: sessionmaker[Session] = sessionmaker(bench.engine, class_=own)
            session = stack.enter_context(maker())
        for number in (1, 2):
            bench.start(OrderSaga, OrderData(number), session)
        assert bench.publisher.tasks() == []
        if kind != "sessionmaker.begin":
            session.commit()
    assert started(bench) == [1, 2]


@pytest.mark.postgresql
def test_the_sessions_of_a_scoped_session_keep_their_sagas_apart(postgresql_engine: Engine) -> None:
    """Each thread has its own; and what one of them starts leaves no listener on the others."""
    bench = Bench(postgresql_engine, OrderSaga)
    session = scoped_session(sessionmaker(postgresql_engine))

    def begin(number: int) -> None:
        bench.start(OrderSaga, OrderData(number), session)
        session.commit() if number % 2 else session.rollback()
        session.remove()

    in_threads([partial(begin, number) for number in range(6)])
    assert started(bench) == [1, 3, 5]


@pytest.mark.parametrize("mode", ["create_savepoint", "rollback_only", "control_fully", "conditional_savepoint"])
def test_a_session_on_somebodys_connection_writes_its_sagas_at_once_and_leaves_the_sending_to_the_due_loop(
    bench: Bench, mode: Any
) -> None:
    with bench.engine.connect() as connection:
        outer = connection.begin()
        with Session(connection, join_transaction_mode=mode) as session:
            saga_ids = [
                bench.start(OrderSaga, OrderData(number), session, key).saga_id
                for number, key in ((1, None), (2, "key"))
            ]
            session.commit()
        if outer.is_active:
            outer.commit()
    assert bench.publisher.tasks() == [] and count_sagas(bench.engine) == 2
    assert bench.events(saga_ids[0]) == bench.events(saga_ids[1]) and "started" in bench.events(saga_ids[0])
    bench.due_at(max(bench.row(saga_id)["wake_at"] for saga_id in saga_ids) + 0.001)
    assert bench.publisher.tasks() == ["kitchen.create"] * 2


def test_a_session_on_somebodys_connection_that_rolls_a_savepoint_back_takes_its_sagas_back(bench: Bench) -> None:
    with bench.engine.begin() as connection, Session(connection, join_transaction_mode="create_savepoint") as session:
        bench.start(OrderSaga, OrderData(1), session)
        with savepoint(session, released=False):
            bench.start(OrderSaga, OrderData(2), session)
        session.commit()
    with bench.engine.connect() as reading:
        assert [data["order_id"] for data in reading.scalars(select(instances.c.data))] == [1]


@pytest.mark.parametrize("before", [True, False], ids=["one was started before", "it is the first"])
@pytest.mark.parametrize("hook", ["before_commit", "before_flush", "after_flush", "after_flush_postexec"])
def test_a_saga_that_a_listener_of_the_session_starts_during_the_commit_is_written_and_sent(
    with_orders: Bench, hook: str, before: bool
) -> None:
    """Domain events are often dispatched there. Were it sent and not written, its replies would find no saga."""
    bench = with_orders
    with Session(bench.engine) as session:
        if before:
            bench.start(QuietSaga, OrderData(1), session)
        session.add(Order(name="dirty"))

        def begin(of: Session, *unused: Any) -> None:
            if "begun" not in of.info:
                of.info["begun"] = True
                bench.start(QuietSaga, OrderData(2), of)

        event.listen(session, hook, begin)
        session.commit()
    assert started(bench) == ([1, 2] if before else [2])


def test_an_exception_after_the_start_leaves_nothing_behind_in_any_context(bench: Bench) -> None:
    for make in (lambda: Session(bench.engine).begin(), lambda: sessionmaker(bench.engine).begin()):
        with suppress(Undone), make() as context:
            session = context if isinstance(context, Session) else context.session
            bench.start(OrderSaga, OrderData(1), session)
            bench.start(OrderSaga, OrderData(2), session, "key")
            raise Undone
    assert started(bench) == [] and notes(bench.engine) == []
