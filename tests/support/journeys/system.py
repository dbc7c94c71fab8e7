"""The agency and its orchestrator as real processes; whoever starts sagas and speaks to them is the test's own."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from sagas_framework import Orchestrator, create_orchestrator, upgrade_database
from sagas_framework.storage.database import open_database, reading
from sagas_framework.vocabulary.identity import child_saga_id
from tests.support.journeys.handlers import Base
from tests.support.journeys.sagas import SAGAS, Journey, Trip
from tests.support.toy.system import Toy, toy_system

ORCHESTRATOR = "tests.support.journeys.worker"
AGENCY = "tests.support.journeys.agency"
Event = tuple[str, str, str | None]
"""A line of a saga's history: whose, what, at which step."""


@dataclass(frozen=True)
class Word:
    """What somebody outside tells a saga, once its history (or another's) shows that event."""

    tell: Callable[[], None]
    after: Event


class Journeys:
    def __init__(self, toy: Toy, orchestrator: Orchestrator, agency: Engine) -> None:
        self.toy = toy
        self.orchestrator = orchestrator
        self._agency = agency

    def start(self, trip: Trip) -> str:
        with self.orchestrator.sessions.begin() as session:
            return self.orchestrator.start(Journey, trip, session=session).saga_id

    # ---- looking ----------------------------------------------------------------------------------------------

    def rows(self, statement: str) -> list[Any]:
        """From the orchestrator's database."""
        return _rows(self.orchestrator.engine, statement)

    def events(self, *kinds: str) -> Counter[Event]:
        chosen = ", ".join(f"'{kind}'" for kind in kinds)
        rows = self.rows(f"SELECT saga_id, event, step FROM saga_history WHERE event IN ({chosen})")
        return Counter((with_hyphens(saga_id), event, step) for saga_id, event, step in rows)

    def progress(self) -> int:
        [(lines,)] = self.rows("SELECT count(*) FROM saga_history")
        return int(lines)

    def statuses(self) -> dict[str, str]:
        rows = self.rows("SELECT id, status FROM saga_instance")
        return {with_hyphens(saga_id): status for saga_id, status in rows}

    def all_ended(self) -> bool:
        return self.rows("SELECT 1 FROM saga_instance WHERE status IN ('running', 'compensating') LIMIT 1") == []

    def deeds(self) -> dict[str, Counter[tuple[str, str]]]:
        """What the agency has done and undone, by saga."""
        found: dict[str, Counter[tuple[str, str]]] = {}
        for saga_id, thing, deed in _rows(self._agency, "SELECT saga_id, thing, deed FROM deeds"):
            found.setdefault(saga_id, Counter())[thing, deed] += 1
        return found

    def kept(self) -> list[Any]:
        """What either side has kept for the operator."""
        statement = "SELECT task, reason FROM saga_kept_message"
        return self.rows(statement) + _rows(self._agency, statement)

    def describe(self) -> str:
        rows = self.rows("SELECT id, saga, status, state FROM saga_instance WHERE ended_at IS NULL LIMIT 5")
        return f"{rows}{self.toy.all_logs()}"

    # ---- speaking ---------------------------------------------------------------------------------------------

    def signal(self, saga_id: str, name: str, after: Event, **payload: Any) -> Word:
        return Word(lambda: self.orchestrator.signal(saga_id, name, payload), after)

    def tell(self, words: list[Word]) -> None:
        """Says what it is time to say, and takes it from the list."""
        seen = self.events(*{word.after[1] for word in words}) if words else Counter[Event]()
        for word in [word for word in words if word.after in seen]:
            word.tell()
            words.remove(word)


def _rows(engine: Engine, statement: str) -> list[Any]:
    with reading(engine) as connection:
        return list(connection.execute(text(statement)).all())


def with_hyphens(saga_id: Any) -> str:
    """SQLite stores the digits alone."""
    digits = str(saga_id).replace("-", "")
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def car_of(journey: str) -> str:
    return child_saga_id(journey, "car", 1)


def pick_up_of(journey: str) -> str:
    return child_saga_id(journey, "pick_up", 1)


@contextmanager
def journeys(kind: str, directory: Path, ask_again_after_seconds: float) -> Iterator[Journeys]:
    """`embedded`: Redis on a socket and SQLite files; `servers`: RabbitMQ and PostgreSQL. No worker is running yet."""
    with toy_system(kind, directory) as toy:
        environment = toy.environment
        environment["JOURNEYS_ASK_AGAIN_AFTER_SECONDS"] = str(ask_again_after_seconds)
        agency = open_database(environment["TOY_DATABASE_URL"])
        orchestrator = create_orchestrator(
            "journeys",
            broker=environment["CELERY_BROKER"],
            database_url=environment["ORCHESTRATOR_DATABASE_URL"],
            sagas=SAGAS,
            ask_again_after_seconds=ask_again_after_seconds,
        )
        try:
            upgrade_database(orchestrator.engine)
            upgrade_database(agency)
            Base.metadata.create_all(agency)
            yield Journeys(toy, orchestrator, agency)
        finally:
            agency.dispose()
            orchestrator.engine.dispose()
