"""CreateOrder as a system of queues: what it would carry with other processes and machines. Nothing here is random.

Every worker takes what waits for it, works on it in one batch, publishes, and takes what has gathered meanwhile. The
cores of a machine are shared evenly by whoever wants them. A process (a worker, or the broker's for a connection or a
queue) does one thing at a time, so that it never has more than one core.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks import figures
from benchmarks.events import Clock, Line, Machine, Program, Step
from benchmarks.simulation_costs import ORCHESTRATOR, PRODUCER, WORKERS, Costs
from benchmarks.workload import BenchmarkFailed

MAX_BATCH = 200
"""Of a worker; also how many messages the broker lets it have unacknowledged."""
CHUNK = 10
"""Messages that a process of the broker takes together at most: assumed."""
DATABASE, BROKER, CONNECTIONS = "database", "broker", "connections"
PATH = tuple(
    stop for worker in ("consumer", "restaurant", "accounting", "restaurant") for stop in (worker, ORCHESTRATOR)
)
"""Where a saga's eight messages go, in their order."""


@dataclass(frozen=True)
class Layout:
    """Who runs where. `cores`: of the one machine that all share; None: every process has a machine of its own, the
    servers one of `server_cores` each."""

    cores: int | None = 2
    processes: Mapping[str, int] = field(default_factory=dict)
    """Of a station, where it is not one."""
    reply_queues: int = 1
    """The orchestrators are shared out among them."""
    server_cores: int = 16

    def __post_init__(self) -> None:
        if self.reply_queues > self.processes.get(ORCHESTRATOR, 1):
            raise BenchmarkFailed(f"of {self.reply_queues} reply queues, some would have no orchestrator")


@dataclass(frozen=True)
class Flow:
    """What arrives. `rate`: sagas a second, each in a transaction of its own; None: a flood, so many a transaction."""

    sagas: int
    together: int = 25
    rate: float | None = None

    @property
    def in_a_transaction(self) -> int:
        return self.together if self.rate is None else 1


@dataclass
class Station:
    """What all processes of one kind have done."""

    processes: int
    batches: int = 0
    messages: int = 0
    published: int = 0
    busy_ms: float = 0.0
    cpu_ms: float = 0.0
    load: float = 0.0
    """The share of its capacity that was needed: had all batches been full, it would have been so busy."""

    def count(self, messages: int, busy_ms: float) -> None:
        self.batches += 1
        self.messages += messages
        self.busy_ms += busy_ms


@dataclass(frozen=True)
class Outcome:
    seconds: float
    latencies_ms: Sequence[float]
    stations: dict[str, Station]
    machines: dict[str, float]
    """The share used of the cores of each, by name."""

    @property
    def rate(self) -> float:
        return len(self.latencies_ms) / self.seconds

    def latency_ms(self, rank: int) -> float:
        return figures.percentile(self.latencies_ms, rank)

    def figures(self) -> figures.Figures:
        return {figures.RATE: self.rate, **figures.latencies([latency / 1000 for latency in self.latencies_ms])}

    def busy(self, name: str) -> float:
        """The share of the time in which a process of the station has a batch in hand, however small."""
        station = self.stations[name]
        return station.busy_ms / (1000 * self.seconds * station.processes)

    @property
    def loads(self) -> dict[str, float]:
        return {name: station.load for name, station in self.stations.items()} | self.machines

    @property
    def bottleneck(self) -> str:
        """Whoever is nearest to the most that it can do; what is only busy with small batches is not."""
        return max(self.loads, key=lambda name: self.loads[name])


def queue_of(name: str) -> str:
    return f"{name}'s queue"


def cores_of(server: str) -> str:
    return f"cores of the {server}"


@dataclass(frozen=True)
class Message:
    saga: int
    place: int
    """On the PATH."""
    sender: "Worker"


class Worker:
    """One process of a station, with its connection to the broker."""

    def __init__(self, machine: Machine, station: Station) -> None:
        self.machine, self.station = machine, station
        self.inbox, self.confirmed = Line(), Line()
        self.outgoing, self.incoming = Line(), Line()
        self.unacknowledged = 0


class Queue:
    """Deals its messages to its consumers in turn, as long as they have room."""

    def __init__(self, consumers: Sequence[Worker]) -> None:
        self.arriving = Line()
        self._ready: deque[Message] = deque()
        self._consumers = deque(consumers)

    def deal(self, stored: Iterable[Message] = ()) -> None:
        self._ready.extend(stored)
        dealt: dict[Worker, list[Message]] = {}
        while self._ready and any(worker.unacknowledged < MAX_BATCH for worker in self._consumers):
            worker = self._consumers[0]
            self._consumers.rotate(-1)
            if worker.unacknowledged < MAX_BATCH:
                worker.unacknowledged += 1
                dealt.setdefault(worker, []).append(self._ready.popleft())
        for worker, messages in dealt.items():
            worker.incoming.put(messages)


class Simulation:
    def __init__(self, costs: Costs, layout: Layout, flow: Flow) -> None:
        self._costs, self._layout, self._flow = costs, layout, flow
        self._clock = Clock()
        self._network_ms = 0.0 if layout.cores else costs.network_ms
        self._shared = Machine(self._clock, layout.cores) if layout.cores else None
        self._servers = {name: self._machine(layout.server_cores) for name in (DATABASE, BROKER)}
        self._stations = {name: Station(layout.processes.get(name, 1)) for name in WORKERS}
        self._workers = {
            name: [Worker(self._machine(1), station) for _ in range(station.processes)]
            for name, station in self._stations.items()
        }
        self._queues = {name: [Queue(self._workers[name])] for name in WORKERS if name not in (PRODUCER, ORCHESTRATOR)}
        many, orchestrators = layout.reply_queues, self._workers[ORCHESTRATOR]
        self._queues[ORCHESTRATOR] = [Queue(orchestrators[number::many]) for number in range(many)]
        self._stations |= {queue_of(name): Station(len(queues)) for name, queues in self._queues.items()}
        self._stations[CONNECTIONS] = Station(2 * sum(len(workers) for workers in self._workers.values()))
        self._begun_at: list[float] = []
        self._ended_at: dict[int, float] = {}

    def _machine(self, cores: int) -> Machine:
        return self._shared or Machine(self._clock, cores)

    def run(self) -> Outcome:
        self._clock.run(list(self._programs()))
        milliseconds = max(self._ended_at.values())
        for name, station in self._stations.items():
            needed_ms = self._needed_ms(name, station) if name in WORKERS else station.cpu_ms
            station.load = needed_ms / (milliseconds * station.processes)
        machines = {cores_of(name): machine for name, machine in self._servers.items()}
        if self._shared:
            machines = {"the cores": self._shared}
        return Outcome(
            milliseconds / 1000,
            [self._ended_at[saga] - begun_at for saga, begun_at in enumerate(self._begun_at)],
            self._stations,
            {name: machine.used_ms / (machine.cores * milliseconds) for name, machine in machines.items()},
        )

    def _needed_ms(self, name: str, station: Station) -> float:
        """Of all its processes together, for what it has done: the broker works while it publishes."""
        cost, costs = self._costs.stations[name], self._costs
        waits_ms = costs.commit_ms + costs.confirm_ms + (costs.round_trips + 1) * self._network_ms
        a_batch = costs.wake_ms + cost.batch_cpu_ms + costs.database_wake_ms + cost.batch_database_ms + waits_ms
        receive_ms, full = costs.receive_ms, MAX_BATCH
        if name == PRODUCER:
            receive_ms, full = 0.0, self._flow.in_a_transaction
        a_message = receive_ms + cost.message_cpu_ms + cost.message_database_ms + a_batch / full
        return station.messages * a_message + station.published * costs.publish_ms

    def _programs(self) -> Iterable[Program]:
        for name, workers in self._workers.items():
            for worker in workers:
                yield self._from_worker(worker)
                yield self._to_worker(worker)
                yield self._produce(worker) if name == PRODUCER else self._serve(name, worker)
        for name, queues in self._queues.items():
            yield from (self._queue(name, queue) for queue in queues)

    def _produce(self, worker: Worker) -> Program:
        while (first := len(self._begun_at)) < self._flow.sagas:
            together = min(self._flow.in_a_transaction, self._flow.sagas - first)
            due = first / self._flow.rate * 1000 if self._flow.rate else 0.0
            sagas = range(first, first + together)
            self._begun_at += [max(due, self._clock.now)] * together
            yield self._clock.wait(max(0.0, due - self._clock.now))
            yield from self._batch(PRODUCER, worker, [Message(saga, -1, worker) for saga in sagas])

    def _serve(self, name: str, worker: Worker) -> Program:
        while True:
            messages = yield worker.inbox.take(MAX_BATCH)
            yield from self._batch(name, worker, messages)
            worker.unacknowledged -= len(messages)
            for queue in self._queues[name]:
                queue.deal()

    def _batch(self, name: str, worker: Worker, messages: Sequence[Message]) -> Program:
        """One transaction; then its messages leave, and are waited for."""
        cost, costs, began = self._costs.stations[name], self._costs, self._clock.now
        size = len(messages)
        receive_ms = 0.0 if name == PRODUCER else costs.receive_ms
        worker_ms = costs.wake_ms + cost.batch_cpu_ms + size * (receive_ms + cost.message_cpu_ms)
        database_ms = costs.database_wake_ms + cost.batch_database_ms + size * cost.message_database_ms
        yield self._using(worker.machine, worker.station, worker_ms)
        yield self._servers[DATABASE].work(database_ms)
        yield self._clock.wait(costs.commit_ms + costs.round_trips * self._network_ms)
        following = [Message(one.saga, one.place + 1, worker) for one in messages]
        self._ended_at |= {one.saga: self._clock.now for one in following if one.place == len(PATH)}
        yield from self._publish(worker, [one for one in following if one.place < len(PATH)])
        worker.station.count(size, self._clock.now - began)

    def _publish(self, worker: Worker, messages: Sequence[Message]) -> Program:
        """All go out before the first confirmation is waited for, and the broker works meanwhile."""
        for first in range(0, len(messages), CHUNK):
            chunk = messages[first : first + CHUNK]
            yield self._using(worker.machine, worker.station, len(chunk) * self._costs.publish_ms)
            worker.outgoing.put(chunk)
        unconfirmed = len(messages)
        worker.station.published += unconfirmed
        while unconfirmed:
            confirmed = yield worker.confirmed.take(unconfirmed)
            unconfirmed -= len(confirmed)
        if messages:
            yield self._clock.wait(self._costs.confirm_ms + self._network_ms)

    def _from_worker(self, worker: Worker) -> Program:
        while True:
            messages = yield worker.outgoing.take(CHUNK)
            yield from self._pass_on(CONNECTIONS, messages, self._costs.connection_ms)
            for message in messages:
                queues = self._queues[PATH[message.place]]
                queues[message.saga % len(queues)].arriving.put([message])

    def _to_worker(self, worker: Worker) -> Program:
        while True:
            messages = yield worker.incoming.take(CHUNK)
            yield from self._pass_on(CONNECTIONS, messages, self._costs.connection_ms)
            worker.inbox.put(messages)

    def _queue(self, name: str, queue: Queue) -> Program:
        while True:
            messages = yield queue.arriving.take(CHUNK)
            yield from self._pass_on(queue_of(name), messages, self._costs.queue_ms)
            for message in messages:
                message.sender.confirmed.put([message])
            queue.deal(messages)

    def _pass_on(self, name: str, messages: Sequence[Message], message_ms: float) -> Program:
        """A process of the broker's does its part."""
        station, began = self._stations[name], self._clock.now
        yield self._using(self._servers[BROKER], station, self._costs.broker_wake_ms + len(messages) * message_ms)
        station.count(len(messages), self._clock.now - began)

    def _using(self, machine: Machine, station: Station, milliseconds: float) -> Step:
        station.cpu_ms += milliseconds
        return machine.work(milliseconds)
