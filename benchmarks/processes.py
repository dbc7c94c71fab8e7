"""What processes have used, as /proc tells it."""

from pathlib import Path

import psutil
import psycopg

from tests.support.servers import ADMINISTRATOR

KIB_PER_MIB = 1024


def cpu_seconds(process_id: int) -> float:
    """Of the process and its descendants. Those that have ended are in what their parent says of its children."""
    root = psutil.Process(process_id)
    total = 0.0
    for process in (root, *root.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:  # ended while we looked; its parent has it now, and tells it the next time
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def peak_memory_mib(process_id: int) -> float:
    return _memory_mib(process_id, "VmHWM")


def resident_memory_mib(process_id: int) -> float:
    return _memory_mib(process_id, "VmRSS")


def _memory_mib(process_id: int, field: str) -> float:
    for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) / KIB_PER_MIB
    raise LookupError(f"process {process_id} has no {field}")


def postmaster() -> int | None:
    """The process all server processes of PostgreSQL descend from; None when it runs where we cannot look."""
    with psycopg.connect(ADMINISTRATOR, autocommit=True) as connection:
        row = connection.execute("SELECT pg_backend_pid()").fetchone()
        assert row is not None
        try:
            parent = psutil.Process(row[0]).parent()
        except psutil.NoSuchProcess:
            return None
        return parent.pid if parent is not None and "postgres" in parent.name() else None
