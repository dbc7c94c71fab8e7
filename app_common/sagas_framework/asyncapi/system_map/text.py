"""The map for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sagas_framework.asyncapi.document import Document
from sagas_framework.asyncapi.system_map.model import Flow
from sagas_framework.asyncapi.system_map.reading import system_map
from sagas_framework.vocabulary.text import printable_line


def to_text(documents: Sequence[Document]) -> str:
    """A table for each pair of services: the messages, their replies and titles. All have the same columns. Arrows of
    events are dotted."""
    found = system_map(documents)
    tables = [(flow, [tuple(map(printable_line, row)) for row in _rows(flow)]) for flow in found.flows]
    columns = list(zip(*(row for _, rows in tables for row in rows), strict=True))
    widths = [max(map(len, column)) for column in columns]
    lines = [found.summary]
    for flow, rows in tables:
        lines += ["", *map(printable_line, _heading(flow))]
        lines += ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n".join(lines) + "\n"


def _heading(flow: Flow) -> Iterator[str]:
    if flow.are_events:
        yield " ..> ".join(flow.ends)
        yield f"  events through {flow.queue}"
        return
    yield " -> ".join(flow.ends)
    answered = f", answered to {flow.reply_queue}" if flow.reply_queue else ""
    yield f"  through {flow.queue}{answered}"


def _rows(flow: Flow) -> Iterator[tuple[str, str, str]]:
    for message in flow.messages:
        answers = flow.answered(message) if flow.are_events else message.answers or "no answer"
        yield f"    {message.name}", answers, message.title
        for dispute in message.disputes:
            yield f"    ⚠ {dispute}", "", ""
