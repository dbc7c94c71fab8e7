"""The comparisons of the results page. The numbers of sagas make a run last some seconds on two cores."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.contenders import Ours, Theirs
from benchmarks.figures import P50, RATE
from benchmarks.ground import NONE
from benchmarks.sessions import Session, Target
from benchmarks.workload import Load, Mode, Pattern

OURS, ONE_BY_ONE, CONTROL, TUNED = "ours", "ours-one-by-one", "saga_framework", "saga_framework-tuned"
AS_IT_COMES: Mapping[str, Any] = {"pool": "prefork", "concurrency": 2, "prefetch": 4}
"""How `celery worker` starts on two cores when nobody tells it otherwise; the peers' own defaults are the fastest that
trying has found."""
POOLS: Mapping[str, Mapping[str, Any]] = {
    "solo": {"pool": "solo"},
    "threads": {"pool": "threads", "concurrency": 4},
    "prefork": {"pool": "prefork", "concurrency": 1},
}
PINGPONGS = tuple(f"celery_pingpong-{pool}" for pool in POOLS)
DBOS_STARTS = {"directly": "in the producer", "queue": "through its queue"}
DBOS = tuple(f"dbos-{start}" for start in DBOS_STARTS)
DATABASE_TITLES = {"postgresql": "PostgreSQL", "sqlite": "SQLite"}
STEADY_RATES = (25, 50, 100, 200)
STEADY_SECONDS = 8


@dataclass(frozen=True)
class Kind:
    """A broker and a database, and how they are called on the page."""

    name: str
    title: str
    broker: str
    database: str

    def ours(self, name: str, title: str, load: Load, orchestrators: int = 1) -> Ours:
        return Ours(name, f"sagas_framework, {title}", load, self.broker, self.database, orchestrators)

    def control(self, load: Load) -> Theirs:
        return self.theirs(CONTROL, "saga-framework 0.1, Celery as it comes", load, **AS_IT_COMES)

    def tuned(self, load: Load) -> Theirs:
        return self.theirs(CONTROL, "saga-framework 0.1, tuned by us", load, TUNED)

    def theirs(self, peer: str, title: str, load: Load, name: str = "", **options: Any) -> Theirs:
        """A peer that needs a broker and keeps nothing."""
        return Theirs(name or peer, title, load, self.broker, NONE, peer, options)

    def dbos(self, load: Load, starts: Iterable[str]) -> tuple[Theirs, ...]:
        return tuple(
            Theirs(
                f"dbos-{start}",
                f"DBOS on {self.database_title}, {DBOS_STARTS[start]}",
                load,
                NONE,
                self.database,
                "dbos",
                {"start": start},
            )
            for start in starts
        )

    @property
    def database_title(self) -> str:
        return DATABASE_TITLES[self.database]


SERVERS = Kind("servers", "RabbitMQ and PostgreSQL", "rabbitmq", "postgresql")
EMBEDDED = Kind("embedded", "SQLite and Redis on a unix socket", "embedded", "sqlite")
OTHER_KINDS = (
    Kind("rabbitmq-sqlite", "RabbitMQ and SQLite", "rabbitmq", "sqlite"),
    Kind("redis-postgresql", "Redis on TCP and PostgreSQL", "redis", "postgresql"),
    Kind("redis-sqlite", "Redis on TCP and SQLite", "redis", "sqlite"),
    Kind("embedded-postgresql", "Redis on a unix socket and PostgreSQL", "embedded", "postgresql"),
)


def flood(sagas: int, mode: Mode = Mode.FORWARD, batch: int = 25) -> Load:
    return Load(Pattern.FLOOD, sagas, mode, batch)


def alone(sagas: int) -> Load:
    return Load(Pattern.ALONE, sagas, batch=1)


def steady(rate: int) -> Load:
    return Load(Pattern.STEADY, rate * STEADY_SECONDS, batch=1, rate=rate)


def at_least(bound: float, sentence: str, contender: str, *against: str) -> Target:
    return Target(sentence, contender, RATE, against, at_least=bound)


def flood_session(kind: Kind, targets: tuple[Target, ...], *others: Theirs) -> Session:
    pingpongs = (
        kind.theirs("celery_pingpong", f"Bare Celery, {pool} pool", flood(1500), f"celery_pingpong-{pool}", **options)
        for pool, options in POOLS.items()
    )
    return Session(
        f"flood-{kind.name}",
        f"A flood on {kind.title}",
        (
            kind.ours(OURS, "25 a transaction", flood(2000)),
            kind.ours(ONE_BY_ONE, "one by one", flood(1000, batch=1)),
            kind.control(flood(1000)),
            kind.tuned(flood(1000)),
            *pingpongs,
            *kind.dbos(flood(250), DBOS_STARTS),
            Theirs("sagaz", f"sagaz on {kind.database_title}", flood(2000), NONE, kind.database, "sagaz"),
            *others,
        ),
        CONTROL,
        targets,
    )


def alone_session(kind: Kind) -> Session:
    target = Target(
        f"Alone on {kind.title}: median latency at most 1.3 times saga-framework's", OURS, P50, (CONTROL,), at_most=1.3
    )
    tuned = Target("The same against saga-framework tuned by us", OURS, P50, (TUNED,), at_most=1.3)
    return Session(
        f"alone-{kind.name}",
        f"One saga alone on {kind.title}",
        (
            kind.ours(OURS, "alone", alone(150)),
            kind.control(alone(150)),
            kind.tuned(alone(150)),
            *kind.dbos(alone(60), ("directly",)),
        ),
        CONTROL,
        (target, tuned),
    )


def compensating_session(kind: Kind) -> Session:
    return Session(
        f"compensating-{kind.name}",
        f"The card is refused, on {kind.title}",
        (
            kind.ours(OURS, "25 a transaction", flood(1500, Mode.COMPENSATING)),
            kind.control(flood(1000, Mode.COMPENSATING)),
        ),
        CONTROL,
    )


def steady_session(kind: Kind) -> Session:
    ours = (kind.ours(f"{OURS}-{rate}", f"{rate} a second", steady(rate)) for rate in STEADY_RATES)
    return Session(
        f"steady-{kind.name}",
        f"A steady arrival on {kind.title}, beside saga-framework with one saga at a time",
        (kind.control(alone(150)), *ours),
        CONTROL,
    )


def other_session(kind: Kind) -> Session:
    return Session(
        f"flood-{kind.name}",
        f"A flood on {kind.title}",
        (kind.ours(OURS, "25 a transaction", flood(1500)), kind.control(flood(1000))),
        CONTROL,
    )


SESSIONS: tuple[Session, ...] = (
    flood_session(
        SERVERS,
        (
            at_least(3.5, "In batches: at least 3.5 times saga-framework on RabbitMQ", OURS, CONTROL),
            at_least(3.5, "The same against saga-framework tuned by us", OURS, TUNED),
            at_least(2.0, "In batches: at least 2.0 times bare Celery in its best pool", OURS, *PINGPONGS),
            at_least(8.0, "In batches: at least 8 times DBOS on PostgreSQL", OURS, *DBOS),
            at_least(1.5, "One by one: at least 1.5 times saga-framework on RabbitMQ", ONE_BY_ONE, CONTROL),
            at_least(1.5, "The same against saga-framework tuned by us", ONE_BY_ONE, TUNED),
        ),
    ),
    flood_session(
        EMBEDDED,
        (
            at_least(2.0, "Embedded: at least 2.0 times saga-framework on the same Redis", OURS, CONTROL),
            at_least(2.0, "The same against saga-framework tuned by us", OURS, TUNED),
            at_least(4.0, "Embedded: at least 4 times DBOS on SQLite", OURS, *DBOS),
        ),
        EMBEDDED.theirs("celery_saga", "celery-saga 0.1.1", flood(500)),
    ),
    alone_session(SERVERS),
    alone_session(EMBEDDED),
    compensating_session(SERVERS),
    compensating_session(EMBEDDED),
    *map(other_session, OTHER_KINDS),
    steady_session(SERVERS),
    steady_session(EMBEDDED),
)
