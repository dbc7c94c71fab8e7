"""The readable trace of a process manager's saga: the events that it has handled, and what each of them has led to.

❗️ begin saga

❗️ user registered (user_id=17)
✔️ send verification mail (sent)

❌ send verification mail (no such mailbox): waits for the operator

❗️ user verified (user_id=17)
✔️ registration completed (published)

✔️ end saga
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from sagas_framework.operations.views import HistoryEntry
from sagas_framework.operations.words import AGAIN, DONE, FAILED, NOTE, clock, in_words, one_line, reason_of

EVENT_HANDLED = "event_handled"
_BEGIN_A_SECTION = ("started", EVENT_HANDLED, "command_failed", "command_resent", "command_discarded", "ended")


def process_trace(history: Iterable[HistoryEntry]) -> str:
    lines: list[str] = []
    for entry in history:
        told = _told(entry.event, entry.detail or {})
        if told is not None:
            lines += [""] if lines and entry.event in _BEGIN_A_SECTION else []
            lines.append(told)
    return "\n".join(lines)


def _told(event: str, detail: Mapping[str, Any]) -> str | None:
    if event == "started":
        return f"{NOTE} begin saga"
    if event == EVENT_HANDLED:
        return f"{NOTE} {_name(detail, 'event')} ({one_line(str(detail.get('aggregate')))})"
    if event == "command_sent":
        return f"{DONE} {_name(detail, 'command')} ({_when(detail.get('due_at'))})"
    if event == "event_published":
        return f"{DONE} {_name(detail, 'event')} (published)"
    if event == "command_failed":
        return f"{FAILED} {_name(detail, 'command')}{_why(reason_of(detail.get('failure')))}: waits for the operator"
    if event == "command_resent":
        return f"{AGAIN} {_name(detail, 'command')} resent by an operator{_why(detail.get('reason'))}"
    if event == "command_discarded":
        return f"{NOTE} {_name(detail, 'command')} discarded by an operator{_why(detail.get('reason'))}"
    return f"{DONE} end saga" if event == "ended" else None


def _name(detail: Mapping[str, Any], what: str) -> str:
    return in_words(one_line(str(detail.get(what))))


def _why(reason: str | None) -> str:
    return f" ({one_line(reason)})" if reason else ""


def _when(due_at: float | None) -> str:
    return "sent" if due_at is None else f"to be sent at {clock(datetime.fromtimestamp(due_at, UTC))}"
