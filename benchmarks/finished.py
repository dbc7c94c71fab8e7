"""A system whose databases hold finished sagas already: copies of real ones, row by row, under ids of their own."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Engine, Table, text

from benchmarks import own_system
from benchmarks.contenders import Ours, prepared_system
from benchmarks.figures import Figures
from benchmarks.workload import BenchmarkFailed, Load, Pattern
from local_stack.plan import ORCHESTRATOR
from sagas_framework.storage.schema import history, instances, participant_memory
from tests.support.system import System

ORIGINALS = Load(Pattern.FLOOD, 75, warm_up=24)  # 100 in all

# The first eight hex digits of an id are its oldest bits of time: the copies are older than every saga to come.
_COPIED_ID = {
    "postgresql": "(lpad(to_hex(n), 8, '0') || substr({column}::text, 9))::{type}",
    "sqlite": "printf('%08x', n) || substr({column}, 9)",
}
_NUMBERS = {
    "postgresql": "SELECT generate_series(1, :copies) AS n",
    "sqlite": "WITH RECURSIVE up(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM up WHERE n < :copies) SELECT n FROM up",
}
_SETTLE = {"postgresql": ("VACUUM (ANALYZE)", "CHECKPOINT"), "sqlite": ("ANALYZE",)}


@dataclass(frozen=True)
class OursWithFinished(Ours):
    finished: int = 0
    """A multiple of the number of originals. The services' own tables are not filled."""
    _held: list[System] = field(default_factory=list, compare=False, repr=False)

    @contextmanager
    def kept(self) -> Iterator[None]:
        if self.finished % ORIGINALS.placed:
            raise BenchmarkFailed(f"the number of finished sagas must be a multiple of {ORIGINALS.placed}")
        with prepared_system(self.broker, self.database) as system:
            system.start_all(self.workers)
            own_system.measure(system, ORIGINALS)
            if self.finished:
                fill(system, self.finished // ORIGINALS.placed)
            self._held.append(system)
            yield
            self._held.clear()

    def measure(self) -> Figures:
        (system,) = self._held
        system.start_all(self.workers)
        return own_system.measure(system, self.load)


def fill(system: System, copies: int) -> None:
    """So many copies of each saga, in the databases of all services."""
    for service in system.databases:
        engine = system.engine(service)
        if service == ORCHESTRATOR:
            _copy(engine, instances, {"id": "uuid"}, copies)
            _copy(engine, history, {"saga_id": "uuid"}, copies, numbered_anew="id")
        else:
            _copy(engine, participant_memory, {"saga_id": "text"}, copies)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for statement in _SETTLE[engine.dialect.name]:
                connection.execute(text(statement))
    system.close_engines()


def _copy(engine: Engine, table: Table, ids: Mapping[str, str], copies: int, numbered_anew: str | None = None) -> None:
    names = [column.name for column in table.columns if column.name != numbered_anew]
    copied_id = _COPIED_ID[engine.dialect.name]
    values = [copied_id.format(column=name, type=ids[name]) if name in ids else name for name in names]
    numbers = _NUMBERS[engine.dialect.name]
    with engine.begin() as connection:
        connection.execute(
            text(
                f"INSERT INTO {table.name} ({', '.join(names)}) SELECT {', '.join(values)} "
                f"FROM ({numbers}) AS numbers CROSS JOIN {table.name} ORDER BY n"
            ),
            {"copies": copies},
        )
