"""How it grows: with processes, with the sagas that are finished, and with all that a process has carried."""

from collections.abc import Callable

from benchmarks import own_system, processes
from benchmarks.contenders import prepared_system
from benchmarks.figures import CPU_WITH_SERVERS, RATE
from benchmarks.finished import OursWithFinished
from benchmarks.sessions import Session, Target
from benchmarks.suite import EMBEDDED, SERVERS, Kind, flood
from benchmarks.workload import Load, Pattern

NUMBERS_OF_ORCHESTRATORS = (1, 2, 4)
FINISHED = (0, 1_000, 100_000, 1_000_000)
MOST_FINISHED = FINISHED[-1]
FIRST_LOOK_AT_MEMORY = 1_000
SAGAS_FOR_MEMORY = 100_000
LOOKS_AT_MEMORY = 10
MAX_COST_RATIO = 1.1


def orchestrators_session(kind: Kind) -> Session:
    contenders = tuple(
        kind.ours(f"orchestrators-{number}", f"{number} orchestrator process{'es' * (number > 1)}", flood(2000), number)
        for number in NUMBERS_OF_ORCHESTRATORS
    )
    title = f"Several orchestrator processes on {kind.title}"
    return Session(f"orchestrators-{kind.name}", title, contenders, contenders[0].name)


def finished_session(kind: Kind, most: int) -> Session:
    contenders = tuple(
        OursWithFinished(
            f"finished-{finished}", f"{finished:,} finished sagas", flood(1000), kind.broker, kind.database, 1, finished
        )
        for finished in FINISHED
        if finished <= most
    )
    first, last = contenders[0].name, contenders[-1].name
    targets = (
        Target(
            f"{kind.title}: CPU per saga, servers too, with {most:,} finished sagas at most {MAX_COST_RATIO} times",
            last,
            CPU_WITH_SERVERS,
            (first,),
            at_most=MAX_COST_RATIO,
        ),
        Target(
            f"{kind.title}: sagas a second with {most:,} finished sagas at least 1 / {MAX_COST_RATIO} times",
            last,
            RATE,
            (first,),
            at_least=1 / MAX_COST_RATIO,
        ),
    )
    title = f"The cost of a saga beside finished ones on {kind.title}"
    return Session(f"finished-{kind.name}", title, contenders, first, targets)


ORCHESTRATORS = (orchestrators_session(SERVERS), orchestrators_session(EMBEDDED))


def finished_sessions(most: int) -> tuple[Session, ...]:
    return (finished_session(SERVERS, most), finished_session(EMBEDDED, most))


def measure_memory(kind: Kind, sagas: int, say: Callable[[str], None]) -> list[dict[str, float]]:
    """What each worker holds in memory when it has carried so many sagas and is idle, in MiB."""
    step = max(1, sagas // LOOKS_AT_MEMORY)
    looks = [FIRST_LOOK_AT_MEMORY, *(n for n in range(step, sagas, step) if n > FIRST_LOOK_AT_MEMORY), sagas]
    points: list[dict[str, float]] = []
    carried = 0
    with prepared_system(kind.broker, kind.database) as system:
        system.start_all()
        for look in looks:
            load = Load(Pattern.FLOOD, look - carried - 1, warm_up=0)
            own_system.carry(system, load)
            carried += load.placed
            held = {worker: processes.resident_memory_mib(pid) for worker, pid in system.process_ids().items()}
            points.append({"sagas": carried, **held})
            say(f"{carried:>9,} sagas: " + ", ".join(f"{worker} {mib:.1f} MiB" for worker, mib in held.items()))
    return points
