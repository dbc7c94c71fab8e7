"""Who is measured: our system or a peer, each run of it on a broker and databases of its own, made anew."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks import figures, ground, own_system
from benchmarks.figures import Figures
from benchmarks.peers.environments import Peer, peers
from benchmarks.storage import require_durable_postgresql
from benchmarks.workload import BenchmarkFailed, Load, Pattern
from local_stack.plan import SERVICES
from tests.support.servers import postgresql_database
from tests.support.system import System, system_on

# How the peers' peer.toml calls the brokers.
SCHEMES = {"rabbitmq": "amqp", "redis": "redis", "embedded": "redis", ground.NONE: ground.NONE}


@dataclass(frozen=True)
class Contender(ABC):
    name: str
    """Unique among those measured together."""
    title: str
    load: Load
    broker: str = ground.NONE
    database: str = ground.NONE

    def missing(self) -> str | None:
        """Why it cannot be measured here."""
        return ground.missing(self.broker, self.database)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Entered before a session's first run and left after its last: for what is too dear to be made for each."""
        yield

    @abstractmethod
    def measure(self) -> Figures:
        """One run. Raises BenchmarkFailed or PeerFailed when it did not do its work."""


@dataclass(frozen=True)
class Ours(Contender):
    orchestrators: int = 1

    @property
    def workers(self) -> tuple[str, ...]:
        return (*SERVICES, *(f"{SERVICES[0]}#{number}" for number in range(2, self.orchestrators + 1)))

    def measure(self) -> Figures:
        with prepared_system(self.broker, self.database) as system:
            system.start_all(self.workers)
            return own_system.measure(system, self.load)


@contextmanager
def prepared_system(broker: str, database: str) -> Iterator[System]:
    """The reference system without its workers."""
    if database == "postgresql":
        require_durable_postgresql()
    with (
        ground.folder_of_its_own() as folder,
        ground.broker_of_its_own(broker) as own_broker,
        system_on(own_broker, database, folder, own_system.ENVIRONMENT) as system,
    ):
        yield system


@dataclass(frozen=True)
class Theirs(Contender):
    peer: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    def missing(self) -> str | None:
        peer = find_peer(self.peer)
        if peer is None:
            return f"there is no peer {self.peer}"
        if self.load.pattern is Pattern.STEADY:
            return "peers are measured in a flood and alone"
        if SCHEMES[self.broker] not in peer.brokers or self.database not in peer.databases:
            return f"it does not run with {self.broker} as its broker and {self.database} as its database"
        return super().missing()

    def measure(self) -> Figures:
        peer = find_peer(self.peer)
        if peer is None:
            raise BenchmarkFailed(f"there is no peer {self.peer}")
        with ExitStack() as stack:
            broker = ground.NONE
            if self.broker != ground.NONE:
                broker = stack.enter_context(ground.broker_of_its_own(self.broker)).url
            database = self._database(stack)
            told = peer.run(
                broker,
                database,
                self.load.pattern.value,
                self.load.sagas,
                self.load.mode.value,
                warm_up=self.load.warm_up,
                **self.options,
            )
        return figures_of_peer(told)

    def _database(self, stack: ExitStack) -> str:
        if self.database == "postgresql":
            require_durable_postgresql()
            return stack.enter_context(postgresql_database(self.peer))
        if self.database == "sqlite":
            return f"sqlite:///{stack.enter_context(ground.folder_of_its_own()) / self.peer}.sqlite3"
        return ground.NONE


def peer_beside(ours: Ours, name: str, load: Load) -> Theirs:
    """A peer on the same broker and database, as far as it uses them."""
    peer = find_peer(name)
    if peer is None:
        raise BenchmarkFailed(f"there is no peer {name}; there are {', '.join(peer.name for peer in peers())}")
    broker = ground.NONE if ground.NONE in peer.brokers else ours.broker
    database = ground.NONE if ground.NONE in peer.databases else ours.database
    return Theirs(name, peer.title, load, broker, database, name)


def find_peer(name: str) -> Peer | None:
    return next((peer for peer in peers() if peer.name == name), None)


def figures_of_peer(told: Mapping[str, object]) -> Figures:
    """By our names what a peer's script prints."""
    sagas, ended = told["sagas"], told["ended_as_expected"]
    if ended != sagas:
        raise BenchmarkFailed(f"{told['peer']}: of {sagas} sagas {ended} ended as they should")
    memory = _numbers(told["peak_memory_mib"])
    return {
        figures.SECONDS: _number(told["seconds"]),
        figures.RATE: _number(told["sagas_per_second"]),
        **{figures.LATENCY.format(rank[1:]): value for rank, value in _numbers(told["latency_ms"]).items()},
        figures.CPU: _number(told["cpu_seconds_per_saga"]) * 1000,
        figures.MEMORY: sum(memory.values()),
        **{figures.part(figures.MEMORY, process): peak for process, peak in memory.items()},
    }


def _number(value: object) -> float:
    if not isinstance(value, int | float):
        raise BenchmarkFailed(f"a peer told {value!r} where a number was expected")
    return float(value)


def _numbers(value: object) -> Figures:
    if not isinstance(value, dict):
        raise BenchmarkFailed(f"a peer told {value!r} where numbers by name were expected")
    return {str(name): _number(number) for name, number in value.items()}
