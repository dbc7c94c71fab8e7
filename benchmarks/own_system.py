"""One measured run of the reference system: its four services as worker processes, a producer, a broker, databases."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict

from sqlalchemy import select, text

from benchmarks import figures, processes
from benchmarks.figures import Figures
from benchmarks.storage import Reading, storage_of
from benchmarks.verdict import placed_orders, require_right_endings
from benchmarks.workload import BenchmarkFailed, Load, Produced
from local_stack.plan import CHECKOUT
from sagas_framework.storage.database import reading
from sagas_framework.storage.schema import instances
from sagas_framework.transport.celery_app import DEFAULT_VISIBILITY_TIMEOUT_SECONDS
from tests.support.system import System

# As in production, where the harness of the crash tests is impatient: nothing is asked or delivered twice meanwhile.
ENVIRONMENT = {
    "RESTAURANT_SERVICE_TRANSIENT_APPROVALS": "0",
    "ORDER_SERVICE_ASK_AGAIN_AFTER_SECONDS": "60",
    "CELERY_VISIBILITY_TIMEOUT_SECONDS": str(DEFAULT_VISIBILITY_TIMEOUT_SECONDS),
}
SECONDS_BETWEEN_LOOKS = 0.1
SECONDS_TO_END = 60.0
SECONDS_TO_END_PER_SAGA = 0.3
LOG_TAIL = 3000

PRODUCER, BROKER, DATABASE = "producer", "broker", "database server"
SERVERS = (BROKER, DATABASE)

# In the words of the partial index that holds the unfinished sagas: a look must not read the finished ones.
_UNFINISHED = text("SELECT 1 FROM saga_instance WHERE status IN ('running', 'compensating', 'needs_attention') LIMIT 1")


class ProducerProcess:
    """A process of its own, so that placing orders takes no time from whoever measures."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.id = process.pid
        self._process = process

    def wait_until_warm(self) -> None:
        self._line()

    def produce(self) -> Produced:
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        produced = Produced(**json.loads(self._line()))
        self._process.wait()  # with its last connection, PostgreSQL has all its commits in the books
        return produced

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise BenchmarkFailed(f"the producer ended with {self._process.wait()}; what it said is above")
        return line


@contextmanager
def producing(system: System, load: Load) -> Iterator[ProducerProcess]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.producer", json.dumps(asdict(load))],
        cwd=CHECKOUT,
        env=system.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:  # closes its pipes and waits
        try:
            yield ProducerProcess(process)
        finally:
            process.kill()


def measure(system: System, load: Load) -> Figures:
    """The figures of one run. The workers are running, and are stopped in the end: only then are all commits counted.

    Raises BenchmarkFailed unless every saga has ended as it must.
    """
    storage = storage_of(system.databases)
    expected = placed_orders(system) + load.placed
    with producing(system, load) as producer:
        producer.wait_until_warm()
        groups = groups_of(system)
        before, cpu_before = storage.read(), _cpu_of(groups)
        produced = producer.produce()
        looks = produced.looks + wait_for_the_end(system, load.sagas)
    cpu = {group: used - cpu_before[group] for group, used in _cpu_of(groups).items()}
    cpu[PRODUCER] = produced.cpu_seconds
    memory = {worker: processes.peak_memory_mib(pid) for worker, pid in system.process_ids().items()}
    timings = _timings(system, load, produced)
    system.close_engines()
    for worker in system.process_ids():
        system.stop(worker)
    stored = _stored(before, storage.read(), looks, load.sagas)
    require_right_endings(system, load.mode, expected)
    return {**timings, **_used(cpu, memory, load.sagas), **stored}


def carry(system: System, load: Load) -> None:
    """A load without its figures. The workers go on running."""
    expected = placed_orders(system) + load.placed
    with producing(system, load) as producer:
        producer.wait_until_warm()
        producer.produce()
        wait_for_the_end(system, load.sagas)
    require_right_endings(system, load.mode, expected)


def groups_of(system: System) -> dict[str, int]:
    """The roots of what takes part, by name."""
    groups = {**system.process_ids(), BROKER: system.broker.process_id}
    postmaster = processes.postmaster() if system.is_on_postgresql else None
    return groups if postmaster is None else {**groups, DATABASE: postmaster}


def wait_for_the_end(system: System, sagas: int) -> int:
    """Gives the number of its looks: each is a transaction, and none of the system's own."""
    deadline = time.monotonic() + SECONDS_TO_END + SECONDS_TO_END_PER_SAGA * sagas
    looks = 0
    while True:
        with reading(system.engine("order_service")) as connection:
            looks += 1
            if connection.execute(_UNFINISHED).first() is None:
                return looks
        if time.monotonic() > deadline:
            raise BenchmarkFailed(f"sagas have not ended: {system.describe_unfinished()[-LOG_TAIL:]}")
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _cpu_of(groups: Mapping[str, int]) -> dict[str, float]:
    return {group: processes.cpu_seconds(process_id) for group, process_id in groups.items()}


def _timings(system: System, load: Load, produced: Produced) -> Figures:
    """By the clock of the processes themselves, as the database has it: no poller's delay is in it."""
    measured = select(instances.c.created_at, instances.c.ended_at).where(instances.c.created_at >= produced.began_at)
    with reading(system.engine("order_service")) as connection:
        rows = connection.execute(measured).all()
    if len(rows) != load.sagas:
        raise BenchmarkFailed(f"{load.sagas} sagas were to be measured, but the database has {len(rows)}")
    seconds = max(ended for _, ended in rows) - produced.began_at
    return {
        figures.SECONDS: seconds,
        figures.RATE: load.sagas / seconds,
        figures.STARTS: load.sagas / (produced.ended_at - produced.began_at),
        **figures.latencies([ended - created for created, ended in rows]),
    }


def _used(cpu: Mapping[str, float], memory: Mapping[str, float], sagas: int) -> Figures:
    per_saga = {group: seconds * 1000 / sagas for group, seconds in cpu.items()}
    return {
        figures.CPU: sum(used for group, used in per_saga.items() if group not in SERVERS),
        figures.CPU_WITH_SERVERS: sum(per_saga.values()),
        **{figures.part(figures.CPU, group): used for group, used in per_saga.items()},
        figures.MEMORY: sum(memory.values()),
        **{figures.part(figures.MEMORY, worker): peak for worker, peak in memory.items()},
    }


def _stored(before: Reading, after: Reading, looks: int, sagas: int) -> Figures:
    stored = {figures.DISK: (after.size_bytes - before.size_bytes) / sagas}
    if before.commits is not None and after.commits is not None:
        stored[figures.COMMITS] = (after.commits - before.commits - looks) / sagas
    if before.log_bytes is not None and after.log_bytes is not None:
        stored[figures.LOG] = (after.log_bytes - before.log_bytes) / sagas
    return stored
