"""Finding the sagas of a key costs the same with ten sagas and with a million: the plan goes by the primary key.

SAGAS_SCALE says how many sagas there are in the large table.
"""

import os
import re
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, text

from sagas_framework.storage import processes
from sagas_framework.storage.processes import EXISTS, Found, Key, Owner
from sagas_framework.storage.schema import instances, process_events, process_keys
from tests.support.processes import Closed, Desk, ForTagged, Opened, Retagged, Streamed

MANY = int(os.environ.get("SAGAS_SCALE", "20000"))
OWNER = Owner("collections", "Streamed")
pytestmark = pytest.mark.scale

_SERIES = {
    "postgresql": """
        SELECT n, ('01920000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid AS id
        FROM generate_series(1, :count) AS n""",
    "sqlite": """
        WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < :count)
        SELECT n, '01920000000070008000' || printf('%012x', n) AS id FROM series""",
}
_DATA = '{"note": ["' + "as long as data are " * 10 + '"]}'
_FILL = {
    process_keys: """
        SELECT 'collections', 'Streamed', name, id,
               CASE name WHEN '' THEN '' WHEN 'few' THEN CAST(n % 7 AS text) ELSE CAST(n AS text) END
        FROM ({series}) AS sagas, (SELECT '' AS name UNION SELECT 'tag' UNION SELECT 'few') AS names""",
    process_events: "SELECT id, n % 2 + 1, 'Heard', '{data}', '2026-01-01' FROM ({series}) AS sagas",
    instances: """
        SELECT id, 'collections', 'Streamed', 'running', false, '{data}', '{data}', 0, '2026-01-01', '2026-01-01'
        FROM ({series}) AS sagas""",
}
_COLUMNS = {
    process_keys: "owner, manager, name, saga_id, value",
    process_events: "saga_id, version, event, payload, at",
    instances: "id, orchestrator, saga, status, paused, data, state, stale_replies, created_at, updated_at",
}


def fill(engine: Engine, count: int, *, analyze: bool = True) -> None:
    """So many sagas, each with two keys. `analyze`: what the database knows of its tables is up to date."""
    dialect = engine.dialect.name
    with engine.begin() as connection:
        for table, rows in _FILL.items():
            connection.execute(text(f"DELETE FROM {table.name}"))
            made = rows.format(series=_SERIES[dialect], data=_DATA)
            if dialect == "postgresql":
                made = made.replace(f"'{_DATA}'", f"'{_DATA}'::jsonb").replace(
                    "'2026-01-01'", "'2026-01-01'::timestamptz"
                )
            connection.execute(text(f"INSERT INTO {table.name} ({_COLUMNS[table]}) {made}"), {"count": count})
        if analyze:
            connection.execute(text("ANALYZE"))


def plan_of(connection: Connection, *keys: Key) -> str:
    """How the database is going to find them; without its estimates."""
    plans = []

    def explain(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if "saga_process_key" in statement and not statement.startswith("EXPLAIN"):
            prefix = "EXPLAIN (COSTS OFF) " if connection.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN "
            cursor.execute(prefix + statement, parameters)
            plans.append("\n".join(str(row[-1]) for row in cursor.fetchall()))

    event.listen(connection, "before_cursor_execute", explain)
    try:
        processes.find(connection, OWNER, keys)
    finally:
        event.remove(connection, "before_cursor_execute", explain)
    [plan] = plans
    return plan


def by_primary_key(plan: str) -> bool:
    uses = r"saga_process_key_pkey|SEARCH k USING COVERING INDEX sqlite_autoindex_saga_process_key_1"
    return re.search(uses, plan) is not None and re.search(r"Seq Scan|SCAN k", plan) is None


def test_the_plan_is_the_same_with_few_sagas_and_with_many(engine: Engine) -> None:
    plans = set()
    for count in (10, 100, MANY):
        # PostgreSQL looks at what is in a table only after fifty changes. (Of a single page it would then read all.)
        fill(engine, count, analyze=count > 10)
        with engine.connect() as connection:
            plans |= {
                plan_of(connection, Key("tag", "5")),
                plan_of(connection, Key("tag", "5"), EXISTS, Key("few", "1")),
            }
    [plan] = plans
    print(f"\n{engine.dialect.name}, with 10 sagas and with {MANY}:\n{plan}")
    assert by_primary_key(plan), plan


@pytest.mark.parametrize("count", [10, 1_000])
def test_each_key_finds_its_sagas_and_no_others(engine: Engine, count: int) -> None:
    fill(engine, count)
    with engine.connect() as connection:
        fifth = Found("01920000-0000-7000-8000-000000000005", Key("tag", "5"))
        assert processes.find(connection, OWNER, [fifth.key]) == {fifth}
        assert len(processes.find(connection, OWNER, [Key("tag", "5"), Key("tag", "6"), Key("few", "x")])) == 2
        assert len(processes.find(connection, OWNER, [EXISTS])) == count
        assert processes.find(connection, Owner("collections", "Other"), [EXISTS]) == set()


def test_no_statement_of_a_transaction_reads_a_whole_table(engine: Engine) -> None:
    fill(engine, MANY)
    desk, plans = Desk(engine, Streamed), []

    def explain(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if "saga_" in statement and not statement.startswith(("INSERT", "EXPLAIN")):
            prefix = "EXPLAIN " if connection.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN "
            cursor.execute(prefix + statement, parameters[0] if many else parameters)
            plans.append(statement + "\n" + "\n".join(str(row[-1]) for row in cursor.fetchall()))

    event.listen(engine, "before_cursor_execute", explain)
    desk.take(Opened("one", ["new"]))
    desk.take(ForTagged("x", "new"), Retagged("one", ["newer"]))
    desk.take(Closed("one"))
    event.remove(engine, "before_cursor_execute", explain)
    assert len(plans) > 5
    assert [plan for plan in plans if re.search(r"Seq Scan on saga_|SCAN (saga_|k\b|e\b)", plan)] == []
