"""Finished sagas weigh nothing: the plans of the hot statements go by the indexes, however many sagas lie there.

SAGAS_SCALE says how many finished sagas there are; a million is the number that the product promises.
"""

import os
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from sagas_framework.storage import instances, outbox
from tests.support.orchestration import Bench, answer
from tests.support.sagas import OrderData, OrderSaga

FINISHED = int(os.environ.get("SAGAS_SCALE", "20000"))
pytestmark = pytest.mark.scale

_FILL = {
    "postgresql": """
        INSERT INTO saga_instance
            (id, orchestrator, saga, status, paused, data, state, stale_replies, created_at, updated_at, ended_at)
        SELECT ('01920000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'orders', 'OrderSaga', 'succeeded',
               false, '{"order_id": 1}', '{"status": "succeeded", "steps": {}}', 0, now(), now(), now()
        FROM generate_series(1, :count) AS n""",
    "sqlite": """
        WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < :count)
        INSERT INTO saga_instance
            (id, orchestrator, saga, status, paused, data, state, stale_replies, created_at, updated_at, ended_at)
        SELECT '0192000000007000' || printf('%016x', n), 'orders', 'OrderSaga', 'succeeded', 0, '{"order_id": 1}',
               '{"status": "succeeded", "steps": {}}', 0, '2026-01-01', '2026-01-01', '2026-01-01' FROM series""",
}


@pytest.fixture
def full(bench: Bench) -> Bench:
    with bench.engine.begin() as connection:
        connection.execute(text(_FILL[bench.engine.dialect.name]), {"count": FINISHED})
    if bench.engine.dialect.name == "postgresql":
        with bench.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("ANALYZE saga_instance"))
    return bench


class Plans:
    """Explains every statement on saga_instance just before it runs, with the parameters it runs with."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.of: list[tuple[str, str]] = []

    def __enter__(self) -> "Plans":
        event.listen(self._engine, "before_cursor_execute", self._explain)
        return self

    def __exit__(self, *error: Any) -> None:
        event.remove(self._engine, "before_cursor_execute", self._explain)

    def _explain(self, connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if "saga_instance" not in statement or statement.startswith(("INSERT", "EXPLAIN")):
            return
        prefix = "EXPLAIN " if self._engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN "
        cursor.execute(prefix + statement, parameters[0] if many else parameters)
        lines = [str(row[-1]) for row in cursor.fetchall()]
        self.of.append((statement, "\n".join(lines)))

    def scans(self) -> Iterator[tuple[str, str]]:
        for statement, plan in self.of:
            # SQLite says "SCAN saga_instance USING INDEX ..." of a walk along an index, which a LIMIT ends.
            if re.search(r"Seq Scan on saga_instance|SCAN saga_instance(?! USING (COVERING )?INDEX ix_)", plan):
                yield statement, plan


@pytest.mark.rule(8)
def test_no_statement_of_the_hot_path_reads_the_finished_sagas(full: Bench) -> None:
    with Plans(full.engine) as plans:
        saga_id = full.started(OrderSaga, OrderData(1), "a key")
        (command,) = full.publisher.take()
        full.handle(answer(command, {"ticket_id": 5}))
        full.handle(answer(command, {"ticket_id": 5}))  # stale
        full.due_now(saga_id)
    assert len(plans.of) >= 6
    assert list(plans.scans()) == []


@pytest.mark.rule(8)
def test_what_is_due_is_found_by_the_partial_index(full: Bench) -> None:
    with Plans(full.engine) as plans, full.engine.begin() as connection:
        assert instances.next_wake_at(connection, "orders", ["OrderSaga"]) is None
        assert instances.claim_due(connection, "orders", ["OrderSaga"], 2_000_000_000.0, 100) == []
    assert len(plans.of) == 2
    assert all("ix_saga_instance_wake_at" in plan for _, plan in plans.of), plans.of


def test_the_partial_indexes_hold_no_finished_saga(full: Bench) -> None:
    full.started(OrderSaga, OrderData(1))
    engine = full.engine
    if engine.dialect.name == "postgresql":
        pages = text(
            "SELECT relname, pg_relation_size(oid) / 8192 FROM pg_class WHERE relname LIKE 'ix_saga_instance%'"
        )
        with engine.connect() as connection:
            sizes = {str(name): int(size) for name, size in connection.execute(pages)}
        assert len(sizes) == 2 and max(sizes.values()) <= 2, sizes
    else:
        counted = text(
            "SELECT count(*) FROM saga_instance INDEXED BY ix_saga_instance_wake_at WHERE wake_at IS NOT NULL"
        )
        with engine.connect() as connection:
            assert connection.scalar(counted) == 1


def test_an_empty_outbox_costs_a_look_and_no_more(full: Bench) -> None:
    with full.engine.begin() as connection:
        assert not outbox.is_due(connection, time.time())
