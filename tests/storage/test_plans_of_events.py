"""What events cost: the plans of the hot statements go by the indexes, however many rows lie there."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from sagas_framework.storage import event_inbox as event_inbox_rows
from sagas_framework.storage import outbox
from sagas_framework.storage.schema import event_inbox
from tests.support.events import Bank, Ledger, Moved, changed, rows, sent_by_bank
from tests.support.orchestration import delivery_of

MANY = 20_000
MANY_STREAMS = 150_000
"""PostgreSQL reads a table whole as long as that is less work than finding the hundred rows that it expects."""
TABLES = ("saga_outbox", "saga_event_inbox", "saga_event_stream", "saga_event_number")

_COUNT = {
    "postgresql": "SELECT n FROM generate_series(1, :many) AS n",
    "sqlite": "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < :many) SELECT n FROM s",
}
_FILL = (
    "INSERT INTO saga_outbox (queue, message, created_at, message_id, awaited, due_at, times) "
    "SELECT 'ledger.events', '{{}}', '2026-01-01', 'filler ' || n, true, {due_at}, 1 FROM ({count}) AS c",
    "INSERT INTO saga_event_inbox (subscriber, source, aggregate, number, event, message_id, payload, attempts, "
    "begun, parked, received_at, wake_at) SELECT 'ledger.events', 'bank', 'account=' || (n % 9), n + 5, 'bank.moved', "
    "'filler ' || n, '{{}}', 0, 0, n % 2 = 0, '2026-01-01', {wake_at} FROM ({count}) AS c",
    "INSERT INTO saga_event_stream (subscriber, source, aggregate, handled, stored, recent) "
    "SELECT 'ledger.events', 'bank', 'filler=' || n, 1, false, '' FROM ({count}) AS c",
    "INSERT INTO saga_event_stream (subscriber, source, aggregate, handled, stored, recent) "
    "SELECT 'ledger.events', 'bank', 'account=' || n, 0, true, '' FROM ({count}) AS c WHERE n < 9",
    "INSERT INTO saga_event_number (source, subscriber, aggregate, last) "
    "SELECT 'bank', 'ledger.events', 'filler=' || n, 1 FROM ({count}) AS c",
)


@pytest.fixture
def full(engine: Engine) -> Engine:
    """With many rows that wait for later, for the operator, and for events that have not come."""
    count = _COUNT[engine.dialect.name]
    far = "CASE WHEN n % 2 = 0 THEN CAST('2999-01-01' AS timestamptz) END"
    far = far if engine.dialect.name == "postgresql" else "CASE WHEN n % 2 = 0 THEN '2999-01-01 00:00:00.000000' END"
    with engine.begin() as connection:
        for statement in _FILL:
            connection.execute(
                text(statement.format(count=count, due_at=far, wake_at=far)),
                {"many": MANY_STREAMS if "filler=" in statement else MANY},
            )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
    return engine


@contextmanager
def explaining(engine: Engine) -> Iterator[list[tuple[str, str]]]:
    """(statement, plan) of whatever touches the tables of events, explained just before it runs."""
    plans: list[tuple[str, str]] = []
    prefix = "EXPLAIN " if engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN "

    def explain(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if any(table in statement for table in TABLES) and not statement.startswith("EXPLAIN"):
            given = parameters[0] if many and isinstance(parameters, list) else parameters
            cursor.execute(prefix + statement, given)
            plans.append(
                (statement, "\n".join(str(row[-1 if engine.dialect.name == "sqlite" else 0]) for row in cursor))
            )

    event.listen(engine, "before_cursor_execute", explain)
    try:
        yield plans
    finally:
        event.remove(engine, "before_cursor_execute", explain)


def refuse_scans(plans: list[tuple[str, str]]) -> None:
    assert plans
    for statement, plan in plans:
        whole = re.search(r"Seq Scan on saga_|SCAN (saga_\w+|t\b)(?! USING (COVERING )?INDEX ix_)", plan)
        assert whole is None, f"{statement}\n{plan}"


def test_no_statement_reads_the_rows_that_it_is_not_about(full: Engine) -> None:
    bank, ledger = Bank(full), Ledger(full)
    with explaining(full) as plans:
        sent = bank.publish(Moved("new", 1), Moved("new", 2))
        ledger.take(*sent)
        bank.receive(*ledger.receipts())
        sent = bank.publish(Moved("new", 3))
        bank.relay_at(1e10)
        bank.relay()
        bank.receive(*sent)
        early = changed(sent_by_bank(1, "8")[0], number=4)
        ledger.take(early, now=1000.0)
        ledger.take(delivery_of(changed(early, number=3)), now=1000.0)

        def fail(*given: Any) -> None:
            raise LookupError

        ledger.before = fail
        ledger.take(*sent_by_bank(1, "7"), now=1000.0)
        ledger.due_at(1e9)
    refuse_scans(plans)
    wanted = {
        "saga_outbox": {"INSERT", "SELECT", "UPDATE", "DELETE"},
        "saga_event_inbox": {"INSERT", "SELECT", "UPDATE"},
    }
    for table, verbs in wanted.items():
        assert verbs <= {one.split()[0] for one, _ in plans if table in one}


def test_looking_for_what_is_due_walks_along_the_index_of_the_due_ones(full: Engine) -> None:
    with explaining(full) as plans:
        Bank(full).relay()
        Ledger(full).due()
    (due,) = [plan for statement, plan in plans if "saga_outbox" in statement]
    assert "ix_saga_outbox_due_at" in due
    (wakes,) = [plan for statement, plan in plans if "saga_event_inbox" in statement]
    assert "ix_saga_event_inbox_wake_at" in wakes


def test_of_many_that_are_due_the_first_are_taken_without_sorting_the_rest(full: Engine) -> None:
    moment = datetime(3000, 1, 1, tzinfo=UTC).timestamp()
    with explaining(full) as plans, full.begin() as connection:
        assert len(outbox.take_due(connection, moment, 100)) == 100
    with explaining(full) as of_inbox, full.begin() as connection:
        event_inbox_rows.claim_due(connection, "ledger.events", moment, moment, 100)
    ((_, plan),) = plans
    assert "ix_saga_outbox_due_at" in plan and "Sort" not in plan and "TEMP B-TREE" not in plan
    plan = of_inbox[0][1]
    assert "ix_saga_event_inbox_wake_at" in plan


def test_receipts_find_their_rows_by_the_id_of_the_message(full: Engine) -> None:
    bank = Bank(full)
    sent = bank.publish(Moved("new", 1))
    ledger = Ledger(full)
    ledger.take(*sent)
    with explaining(full) as plans:
        bank.receive(*ledger.receipts())
    ((_, plan),) = plans
    assert "ix_saga_outbox_message_id" in plan


def test_joining_a_stream_that_waits_reads_by_its_number(full: Engine) -> None:
    ledger = Ledger(full)
    with explaining(full) as plans:
        ledger.take(changed(sent_by_bank(1, "5")[0], number=3))
    assert [plan for statement, plan in plans if statement.startswith("SELECT") and "saga_event_inbox" in statement]
    refuse_scans(plans)
    assert len(rows(full, event_inbox)) == MANY + 1
