"""Process managers' sagas: finding them by their keys, loading them, and writing them back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, select, text
from sqlalchemy.sql.selectable import TextualSelect

from sagas_framework.storage import many
from sagas_framework.storage.instances import HistoryRow
from sagas_framework.storage.schema import history, instances, process_events, process_keys
from sagas_framework.vocabulary import json_text


class Key(NamedTuple):
    """One value of one key; `EXISTS` is one that every saga has until it ends."""

    name: str
    value: str


EXISTS = Key("", "")


class Owner(NamedTuple):
    """Whose sagas: the subscriber's name, and the class."""

    owner: str
    manager: str


class Found(NamedTuple):
    """A saga, and a key that it was found by."""

    saga_id: str
    key: Key


class OwnEvent(NamedTuple):
    saga_id: str
    version: int
    event: str
    payload: Any


@dataclass
class ProcessRows:
    """What one transaction has made of the sagas of a class."""

    new: list[dict[str, Any]] = field(default_factory=list)
    changed: list[dict[str, Any]] = field(default_factory=list)
    keys_gained: list[tuple[str, Key]] = field(default_factory=list)
    keys_lost: list[tuple[str, Key]] = field(default_factory=list)
    own_events: list[OwnEvent] = field(default_factory=list)
    told: list[HistoryRow] = field(default_factory=list)


def hold_back_others(connection: Connection, owner: Owner, keys: Iterable[Key]) -> None:
    """Whoever else is about to start a saga where none has one of these keys waits for this transaction's end, and
    finds what it has started. In order, so that two never wait for each other in a ring. SQLite's transactions come
    one after the other anyway."""
    numbers = sorted({_lock_number(owner, key) for key in keys})
    if numbers and connection.dialect.name == "postgresql":
        connection.execute(_LOCK, {"numbers": json_text.dumps(numbers)})


_LOCK = text(
    "SELECT pg_advisory_xact_lock(CAST(value AS bigint)) FROM json_array_elements_text(CAST(:numbers AS json))"
)


def _lock_number(owner: Owner, key: Key) -> int:
    named = "\x1f".join(("sagas", *owner, *key))
    return int.from_bytes(blake2b(named.encode(), digest_size=8).digest(), "big", signed=True)


def find(connection: Connection, owner: Owner, keys: Collection[Key]) -> set[Found]:
    """The sagas that have any of these keys, once for each of them."""
    if not keys:
        return set()
    parameters = {**owner._asdict(), "rows": json_text.dumps([key._asdict() for key in sorted(keys)])}
    rows = connection.execute(_find(connection.dialect.name), parameters)
    return {Found(saga_id, Key(name, value)) for saga_id, name, value in rows}


@cache
def _find(dialect: str) -> TextualSelect:
    """Each key is looked up by itself, through the primary key: neither database may come to think that it is better
    to read the whole table (OFFSET 0 is what PostgreSQL does not look behind)."""
    table, wanted = process_keys.name, (process_keys.c.name, process_keys.c.value)
    columns = (process_keys.c.saga_id, *wanted)
    names = [column.name for column in columns]
    if dialect == "postgresql":
        found = "k.owner = :owner AND k.manager = :manager AND k.name = r.name AND k.value = r.value"
        rows = many.rows_of(process_keys, [column.name for column in wanted])
        inner = f"SELECT {_of('k', names)} FROM {table} AS k WHERE {found} OFFSET 0"
        return text(f"SELECT {_of('f', names)} FROM {rows} CROSS JOIN LATERAL ({inner}) AS f").columns(*columns)
    by_json = [f"k.{column.name} = json_extract(r.value, '$.{column.name}')" for column in wanted]
    found = " AND ".join(["k.owner = :owner", "k.manager = :manager", *by_json])
    return text(f"SELECT {_of('k', names)} FROM json_each(:rows) AS r CROSS JOIN {table} AS k ON {found}").columns(
        *columns
    )


def _of(alias: str, names: Iterable[str]) -> str:
    return ", ".join(f"{alias}.{name}" for name in names)


def keys_of(connection: Connection, ids: Iterable[str]) -> Mapping[str, set[Key]]:
    found: defaultdict[str, set[Key]] = defaultdict(set)
    for saga_id, name, value in connection.execute(_keys_of(connection.dialect.name), {"ids": sorted(ids)}):
        found[saga_id].add(Key(name, value))
    return found


@cache
def _keys_of(dialect: str) -> Select[Any]:
    wanted = (process_keys.c.saga_id, process_keys.c.name, process_keys.c.value)
    return select(*wanted).where(many.is_any(dialect, process_keys.c.saga_id))


def own_events_after(connection: Connection, versions: Mapping[str, int]) -> Mapping[str, list[OwnEvent]]:
    """What these sagas have recorded after these versions, in its order."""
    # Without hyphens: so SQLite holds them, and PostgreSQL reads either form.
    rows = [{"saga_id": saga_id.replace("-", ""), "version": version} for saga_id, version in versions.items()]
    found: defaultdict[str, list[OwnEvent]] = defaultdict(list)
    for row in connection.execute(_own_events(connection.dialect.name), {"rows": json_text.dumps(rows)}):
        found[row.saga_id].append(OwnEvent(*row))
    return found


@cache
def _own_events(dialect: str) -> TextualSelect:
    columns = [process_events.c[name] for name in OwnEvent._fields]
    names = _of("e", OwnEvent._fields)
    if dialect == "postgresql":
        rows = many.rows_of(process_events, ["saga_id", "version"])
        inner = f"SELECT {names} FROM {process_events.name} AS e WHERE e.saga_id = r.saga_id AND e.version > r.version"
        joined = f"{rows} CROSS JOIN LATERAL ({inner} OFFSET 0) AS e"
    else:
        after = "e.saga_id = json_extract(r.value, '$.saga_id') AND e.version > json_extract(r.value, '$.version')"
        joined = f"json_each(:rows) AS r CROSS JOIN {process_events.name} AS e ON {after}"
    return text(f"SELECT {names} FROM {joined} ORDER BY e.saga_id, e.version").columns(*columns)


def write(connection: Connection, owner: Owner, rows: ProcessRows, now: float) -> None:
    writes = many.Writes()
    writes.insert(instances, [{**row, "orchestrator": owner.owner, "saga": owner.manager} for row in rows.new])
    writes.update(instances, rows.changed)
    writes.insert(process_keys, _key_rows(owner, rows.keys_gained))
    writes.delete(process_keys, _key_rows(owner, rows.keys_lost))
    writes.insert(process_events, [{**own._asdict(), "at": now} for own in rows.own_events])
    writes.insert(history, [vars(line) for line in rows.told])
    writes.send(connection)


def _key_rows(owner: Owner, keys: Sequence[tuple[str, Key]]) -> list[dict[str, Any]]:
    return [{**owner._asdict(), **key._asdict(), "saga_id": saga_id} for saga_id, key in keys]
