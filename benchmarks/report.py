"""docs/benchmarks.md and its pictures: what stands between the markers is made from results files, the rest is kept."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import figures, pictures
from benchmarks.peers.environments import Peer, peers
from benchmarks.results import Results, SessionResult
from benchmarks.tables import number, parts_table, session_table, storage_table, table, targets_table
from benchmarks.workload import BenchmarkFailed
from local_stack.plan import CHECKOUT

PAGE = CHECKOUT / "docs" / "benchmarks.md"
PICTURES = CHECKOUT / "docs" / "pictures"
NOT_MEASURED = "*Not measured in this edition.*"
QUICK = (
    "**These figures were taken with `--quick`: a handful of sagas, one run. They say that it works, not how fast.**"
)

# The blocks of the page that show sessions, by how the sessions' names begin.
SESSION_BLOCKS = ("flood", "alone", "compensating", "steady", "orchestrators", "finished")

OURS_GUARANTEES = (
    "Every step is committed to the service's own database before anything is sent. After the death of any process, a "
    "lost or a repeated message the saga goes on, each step is done once, and what cannot go on waits for an operator."
)
OURS_LACKS = "No isolation between sagas: others see a saga's steps before it has ended."


def write(results: Sequence[Results], page: Path = PAGE, folder: Path = PICTURES) -> list[Path]:
    """Writes the page and its pictures; gives what was written."""
    written = [page]
    sessions = {session.name: session for one in results for session in one.sessions}
    memory = next((one.memory for one in reversed(results) if one.memory), ())
    drawn = {name: drawing for name, session in sessions.items() if (drawing := pictures.picture(session))}
    if memory:
        drawn["memory"] = pictures.memory_picture(memory)
    for name, drawing in drawn.items():
        written.append(folder / f"benchmarks-{name}.svg")
        written[-1].write_text(drawing)
    blocks = {
        "machine": machine_block(results),
        "targets": targets_block(list(sessions.values())),
        **{block: sessions_block(block, list(sessions.values()), set(drawn)) for block in SESSION_BLOCKS},
        "memory": memory_block(memory),
    }
    text = page.read_text()
    for name, lines in blocks.items():
        text = replaced(text, name, lines)
    page.write_text(text)
    return written


def replaced(text: str, name: str, lines: Sequence[str]) -> str:
    """The text with another content between the markers of that name."""
    opening, closing = f"<!-- measured: {name} -->", "<!-- end of measured -->"
    pattern = re.compile(re.escape(opening) + r".*?" + re.escape(closing), re.DOTALL)
    body = "\n".join(lines).strip() or NOT_MEASURED
    found, count = pattern.subn(lambda match: f"{opening}\n\n{body}\n\n{closing}", text)
    if count != 1:
        raise BenchmarkFailed(f"the page has the marker {opening!r} {count} times; it must have it once")
    return found


def machine_block(results: Sequence[Results]) -> list[str]:
    lines = []
    if any(one.is_quick for one in results):
        lines += [QUICK, ""]
    made_at = ", ".join(sorted({one.made_at for one in results}))
    lines += [f"Measured {made_at} (UTC), {results[-1].runs} runs of each.", ""]
    return [*lines, *table(("", "on this machine"), [[name, fact] for name, fact in results[-1].machine.items()])]


def targets_block(sessions: Sequence[SessionResult]) -> list[str]:
    judgements = [judgement for session in sessions for judgement in session.judgements()]
    return targets_table(judgements) if judgements else []


def sessions_block(block: str, sessions: Sequence[SessionResult], drawn: set[str]) -> list[str]:
    return [
        line
        for session in sessions
        if session.name.partition("-")[0] == block
        for line in session_lines(session, session.name in drawn)
    ]


def session_lines(session: SessionResult, is_drawn: bool) -> Iterator[str]:
    yield from (f"### {session.title}", "")
    if is_drawn:
        yield from (f"![{session.title}](pictures/benchmarks-{session.name}.svg)", "")
    yield from (*session_table(session), "")
    parts = parts_table(session, figures.CPU)
    if parts:
        yield from ("Where the CPU of our system goes, milliseconds per saga:", "", *parts, "")
    stored = storage_table(session)
    if stored:
        yield from ("What our system's databases do:", "", *stored, "")
    guarantees = guarantees_of(session)
    if guarantees:
        yield from ("What they promise:", "", *guarantees, "")


def guarantees_of(session: SessionResult) -> list[str]:
    names = {entry.peer for entry in session.measured() if entry.peer is not None}
    if not names:
        return []
    ours = f"- **sagas_framework** {_promises(OURS_GUARANTEES, OURS_LACKS)}"
    return [ours, *(_guarantees(peer) for peer in peers() if peer.name in names)]


def _guarantees(peer: Peer) -> str:
    return f"- **{peer.title}** {_promises(peer.guarantees, peer.lacks)}"


def _promises(guarantees: str, lacks: str) -> str:
    return f"guarantees: {guarantees} Does not: {lacks}"


def memory_block(points: Sequence[dict[str, float]]) -> list[str]:
    if not points:
        return []
    first, last = points[0], points[-1]
    head = ("worker", f"MiB after {first['sagas']:,.0f}", f"MiB after {last['sagas']:,.0f}", "ratio")
    rows = [
        [worker, number(first[worker]), number(last[worker]), number(last[worker] / first[worker])]
        for worker in first
        if worker != "sagas"
    ]
    return ["![Memory](pictures/benchmarks-memory.svg)", "", *table(head, rows)]
