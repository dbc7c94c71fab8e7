"""Tables of a session's figures, as lines of Markdown: for the terminal and for the page."""

from collections.abc import Sequence

from benchmarks import figures
from benchmarks.figures import Summary
from benchmarks.results import Entry, Judgement, SessionResult

NOTHING = "-"


def number(value: float) -> str:
    """Three digits that matter, and no more than the measurement has."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def with_range(summary: Summary | None) -> str:
    if summary is None:
        return NOTHING
    if summary.low == summary.high:
        return number(summary.median)
    return f"{number(summary.median)} ({number(summary.low)} to {number(summary.high)})"


def median(summary: Summary | None) -> str:
    return NOTHING if summary is None else number(summary.median)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The first column is words, the others are numbers."""
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows)]


def session_table(session: SessionResult) -> list[str]:
    head = ("", "sagas", "sagas/s", "ratio", "p50 ms", "p95 ms", "p99 ms", "p50 ratio", "CPU ms/saga", "memory MiB")
    rows = [_row(session, entry) for entry in session.measured()]
    left_out = [f"Left out: {entry.title}: {_one_line(entry.left_out)}." for entry in session.entries if entry.left_out]
    return [*table(head, rows), *(["", *left_out] if left_out else [])]


def _row(session: SessionResult, entry: Entry) -> list[str]:
    return [
        f"{entry.title} *(control)*" if entry.name == session.control else entry.title,
        f"{entry.load['sagas']:,}",
        with_range(entry.summary(figures.RATE)),
        median(session.ratio(entry.name, figures.RATE)),
        with_range(entry.summary(figures.P50)),
        median(entry.summary(figures.P95)),
        median(entry.summary(figures.P99)),
        median(session.ratio(entry.name, figures.P50)),
        median(entry.summary(figures.CPU)),
        median(entry.summary(figures.MEMORY)),
    ]


def _one_line(reason: str | None) -> str:
    return (reason or "").strip().splitlines()[-1].rstrip(".") if (reason or "").strip() else ""


def parts_table(session: SessionResult, figure: str) -> list[str]:
    """Which process a figure of our system goes to."""
    ours = [entry for entry in session.measured() if entry.peer is None]
    names = sorted({name for entry in ours for run in entry.runs for name in run if name.startswith(f"{figure}/")})
    if not names:
        return []
    head = ("", *(name.partition("/")[2] for name in names))
    return table(head, [[entry.title, *(median(entry.summary(name)) for name in names)] for entry in ours])


def storage_table(session: SessionResult) -> list[str]:
    ours = [entry for entry in session.measured() if entry.summary(figures.DISK)]
    if not ours:
        return []
    head = ("", "commits/saga", "bytes/saga in the databases", "bytes/saga in the write-ahead log")
    columns = (figures.COMMITS, figures.DISK, figures.LOG)
    return table(head, [[entry.title, *(with_range(entry.summary(name)) for name in columns)] for entry in ours])


def targets_table(judgements: Sequence[Judgement]) -> list[str]:
    head = ("target", "compared with", "measured ratio", "")
    rows = [
        [one.target.sentence, one.against, with_range(one.ratio), "met" if one.is_met else "**missed**"]
        for one in judgements
    ]
    return table(head, rows)
