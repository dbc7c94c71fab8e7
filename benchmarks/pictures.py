"""Which picture a session's figures make."""

from benchmarks import figures, svg
from benchmarks.results import Entry, SessionResult
from benchmarks.tables import number

AXES = {
    figures.RATE: "sagas per second (median of the runs; the line is their range)",
    figures.P50: "median latency, ms",
}


def picture(session: SessionResult) -> str | None:
    """The SVG of a session, when there is enough to be drawn."""
    entries = session.measured()
    if len(entries) < 2:
        return None
    steady = [entry for entry in entries if entry.load["pattern"] == "steady"]
    if steady:
        return _latency_over_rate(session, steady)
    figure = figures.P50 if all(entry.load["pattern"] == "alone" for entry in entries) else figures.RATE
    rows = [bar for entry in entries if (bar := _bar(session, entry, figure)) is not None]
    return svg.bars(session.title, AXES[figure], rows)


def _bar(session: SessionResult, entry: Entry, figure: str) -> svg.Bar | None:
    summary, ratio = entry.summary(figure), session.ratio(entry.name, figure)
    if summary is None:
        return None
    times = "" if ratio is None or entry.name == session.control else f" ({number(ratio.median)}x)"
    return svg.Bar(
        entry.title, summary.median, summary.low, summary.high, number(summary.median) + times, entry.peer is None
    )


def _latency_over_rate(session: SessionResult, steady: list[Entry]) -> str:
    series = []
    for figure, label in ((figures.P50, "p50"), (figures.P95, "p95"), (figures.P99, "p99")):
        points = [(entry.load["rate"], summary.median) for entry in steady if (summary := entry.summary(figure))]
        series.append(svg.Line(label, points))
    control = session.entry(session.control).summary(figures.P50)
    if control is not None:
        ends = (0.0, max(entry.load["rate"] for entry in steady))
        label = f"control alone, {number(control.median)}"
        series.append(svg.Line(label, [(end, control.median) for end in ends], is_dashed=True))
    return svg.lines(session.title, "sagas started per second", "latency, ms", series)


def memory_picture(points: tuple[dict[str, float], ...]) -> str:
    workers = [name for name in points[0] if name != "sagas"]
    series = [svg.Line(worker, [(point["sagas"], point[worker]) for point in points]) for worker in workers]
    return svg.lines("Memory of a worker that has carried sagas", "sagas carried", "resident memory, MiB", series)
