"""The readable trace of a saga, told from its history.

❗️ begin saga

✔️ book plane ticket
❌ book hotel room (no available hotel rooms)

❗️ step failed: reverting

✔️ cancel plane ticket booking

❌ end saga (no available hotel rooms)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

from sagas_framework.definition.graph import Definition
from sagas_framework.definition.structure import ChildStep
from sagas_framework.operations.process_trace import EVENT_HANDLED, process_trace
from sagas_framework.operations.views import HistoryEntry, SagaDetails, StepView
from sagas_framework.operations.words import AGAIN, DONE, FAILED, NOTE, WAITING, clock, in_words, one_line, reason_of

_SENT = ("command_sent", "compensation_sent")
_LEFT_TO_WORKER = ("operator_retry", "cancelled", "resumed")
_ENDED = ("succeeded", "failed")


def readable_trace(saga: SagaDetails, known: Definition | None = None) -> str:
    """One line for everything that mattered; compensations are called by their own names if the saga is known."""
    if any(entry.event == EVENT_HANDLED for entry in saga.history):
        return process_trace(saga.history)
    story = _Story(saga, undo_names(known) if known else {})
    for index, entry in enumerate(saga.history):
        tell = _TELLERS.get(entry.event)
        if tell is not None:
            tell(story, entry, index)
    story.close()
    return story.text()


def undo_names(definition: Definition) -> dict[str, str]:
    """What each step's compensation is called: by its command, or by its function."""
    names = {}
    for name, node in definition.nodes.items():
        if isinstance(node.step, ChildStep) and node.compensation is node.step.undo:
            continue  # the framework has made up that command's name
        command = node.undo_command
        called = command.name if command else getattr(node.compensation, "__name__", "")
        if command or called.isidentifier():
            names[name] = in_words(called)
    return names


@dataclass
class _Story:
    """Sections of lines. Each remark (❗️) and the end stand for themselves."""

    saga: SagaDetails
    undo: Mapping[str, str]
    sections: list[list[str]] = field(default_factory=list)
    turning: str | None = None  # "step failed: reverting", told only when its siblings have come to their ends
    reason: str = ""
    asked: dict[str, int] = field(default_factory=dict)  # step -> line of this section that says that it waits
    unanswered: set[str] = field(default_factory=set)  # steps whose compensation nobody waits for
    alone: bool = True

    @cached_property
    def children(self) -> frozenset[str]:
        return frozenset(step.name for step in self.saga.steps if step.child is not None)

    def line(self, sign: str, text: str, reason: str = "") -> None:
        if self.alone:
            self.sections.append([])
            self.asked.clear()
            self.alone = False
        self.sections[-1].append(f"{sign} {text} ({reason})" if reason else f"{sign} {text}")

    def section(self, sign: str, text: str, reason: str = "") -> None:
        self.alone = True
        self.line(sign, text, reason)
        self.alone = True

    def turn(self) -> None:
        if self.turning is not None:
            self.section(NOTE, self.turning)
            self.turning = None

    def waits(self, step: str, told: str, what: str = "") -> None:
        self.line(WAITING, what or in_words(step), told)
        self.asked[step] = len(self.sections[-1]) - 1

    def undo_of(self, step: str | None) -> str:
        return self.undo.get(step or "") or f"undo {in_words(step or '')}"

    def later(self, entry: HistoryEntry, index: int) -> HistoryEntry | None:
        """The next that happened to the same step."""
        return next((line for line in self.saga.history[index + 1 :] if line.step == entry.step), None)

    def close(self) -> None:
        """Where an unfinished saga stands now."""
        self.turn()
        if self.saga.status in _ENDED:
            return
        if self.saga.paused:
            return
        for step in self.saga.steps:
            if step.name not in self.asked:  # that line says already that it waits
                self._waiting_for(step)

    def _waiting_for(self, step: StepView) -> None:
        if step.stuck or step.phase not in ("acting", "undoing"):
            return
        if step.retry_at is not None:
            told = f"next try at {step.retry_at:%H:%M:%S} UTC"
        elif step.waits_for_signal:
            told = "waiting for the signal"
        elif step.until is not None:
            told = f"sleeping until {clock(step.until)}"
        else:
            told = f"waiting for its child saga {step.child_id}" if step.child_id else "waiting for the reply"
        self.line(WAITING, self.undo_of(step.name) if step.phase == "undoing" else in_words(step.name), told)

    def text(self) -> str:
        return "\n\n".join("\n".join(section) for section in self.sections)


# ---- what each event adds ----------------------------------------------------------------------------------------


def _failure(entry: HistoryEntry) -> str:
    return reason_of((entry.detail or {}).get("failure"))


def _said(entry: HistoryEntry) -> str:
    return one_line(str((entry.detail or {}).get("reason") or ""))


def _name(entry: HistoryEntry) -> str:
    return in_words(entry.step or "")


def _tried(entry: HistoryEntry) -> str:
    return f"attempt {entry.attempt}" if (entry.attempt or 1) > 1 else ""


def _begun(story: _Story, entry: HistoryEntry, index: int) -> None:
    because_of = entry.detail or {}
    event = in_words(one_line(str(because_of.get("event") or "")))
    story.section(NOTE, "begin saga", f"{event}, {one_line(str(because_of.get('aggregate')))}" if event else "")


def _step_done(story: _Story, entry: HistoryEntry, index: int) -> None:
    story.line(DONE, _name(entry), _tried(entry))


def _replied(story: _Story, entry: HistoryEntry, index: int) -> None:
    """A step with an on_success callback is done (or not) when that has run, which the history says next."""
    later = story.later(entry, index)
    if later is None or later.event not in ("step_done", "step_failed", "needs_attention"):
        _step_done(story, entry, index)


def _sent(story: _Story, entry: HistoryEntry, index: int) -> None:
    if (entry.detail or {}).get("awaited") is False:
        story.line(DONE, _name(entry), "sent, no answer expected")


def _chosen(story: _Story, entry: HistoryEntry, index: int) -> None:
    story.line(DONE, _name(entry), one_line(str((entry.detail or {}).get("chosen") or "")))


def _waits_for_signal(story: _Story, entry: HistoryEntry, index: int) -> None:
    story.waits(entry.step or "", "waiting for the signal")


def _sleeps(story: _Story, entry: HistoryEntry, index: int) -> None:
    until = datetime.fromtimestamp((entry.detail or {}).get("until", 0), UTC)
    story.waits(entry.step or "", f"sleeping until {clock(until)}")


def _signalled(story: _Story, entry: HistoryEntry, index: int) -> None:
    if (entry.detail or {}).get("early"):
        story.line(DONE, f"signal {_name(entry)}", "it came early and is kept")


def _step_failed(story: _Story, entry: HistoryEntry, index: int) -> None:
    story.line(FAILED, _name(entry), _failure(entry))


def _tries_again(story: _Story, entry: HistoryEntry, index: int) -> None:
    story.line(AGAIN, _name(entry), _failure(entry))


def _asked_again(story: _Story, entry: HistoryEntry, index: int) -> None:
    if entry.step in story.children:
        return  # it answers at its own end; until then its parent asks, and that means nothing
    asks = (entry.detail or {}).get("asks", 1)
    before = story.saga.history[:index]
    sent = next((line for line in reversed(before) if line.step == entry.step and line.event in _SENT), None)
    if sent is not None and asks == 1 and any(line.at == sent.at and line.event in _LEFT_TO_WORKER for line in before):
        return  # an operator's process sends nothing itself: that was the first time
    step = entry.step or ""
    what = story.undo_of(step) if sent is not None and sent.event == "compensation_sent" else _name(entry)
    told = f"no reply yet, asked again {asks} times" if asks > 1 else "no reply yet, asked again"
    if step in story.asked and not story.alone:
        story.sections[-1][story.asked[step]] = f"{WAITING} {what} ({told})"
        return
    story.waits(step, told, what)


def _turns_round(story: _Story, entry: HistoryEntry, index: int) -> None:
    before = story.saga.history[index - 1].event if index else ""
    story.reason = _failure(entry)
    if before == "cancelled":
        story.turning = f"cancelled by an operator ({story.reason}): reverting"
    elif before == "deadline_passed":
        story.turning = "deadline passed: reverting"
    elif entry.step is None:
        story.turning = "undone by the saga whose step this is: reverting"
    else:
        story.turning = "step failed: reverting"


def _goes_forward(story: _Story, entry: HistoryEntry, index: int) -> None:
    story.turning = None
    story.section(NOTE, f"{_name(entry)} succeeded after all: going on")


def _undo_sent(story: _Story, entry: HistoryEntry, index: int) -> None:
    story.turn()
    if (entry.detail or {}).get("awaited") is False:
        story.unanswered.add(entry.step or "")


def _undone(story: _Story, entry: HistoryEntry, index: int) -> None:
    story.turn()
    reason = "sent, no answer expected" if entry.step in story.unanswered else _tried(entry)
    story.line(DONE, story.undo_of(entry.step), reason)


def _undo_failed(story: _Story, entry: HistoryEntry, index: int) -> None:
    story.turn()
    later = story.later(entry, index)
    if later is None or later.event != "needs_attention":
        story.line(AGAIN, story.undo_of(entry.step), _failure(entry))


def _stuck(story: _Story, entry: HistoryEntry, index: int) -> None:
    story.turn()
    hook = (entry.detail or {}).get("hook")
    before = [line.event for line in story.saga.history[:index] if line.step == entry.step]
    undoing = bool(before) and before[-1] == "compensation_failed"
    what = str(hook) if hook else story.undo_of(entry.step) if undoing else _name(entry)
    story.line(FAILED, what, _failure(entry))
    story.section(NOTE, f"{what} needs an operator")


def _callback_failed(story: _Story, entry: HistoryEntry, index: int) -> None:
    where = f" of {_name(entry)}" if entry.step else ""
    story.line(FAILED, f"{(entry.detail or {}).get('hook', 'callback')}{where}", _failure(entry))


def _overdue(story: _Story, entry: HistoryEntry, index: int) -> None:
    later = story.saga.history[index + 1 : index + 2]
    if not later or later[0].event != "compensating":
        story.section(NOTE, "deadline passed after the point of no return: it needs an operator")


def _by_operator(done: str) -> Callable[[_Story, HistoryEntry, int], None]:
    def tell(story: _Story, entry: HistoryEntry, index: int) -> None:
        story.turn()
        story.section(NOTE, f"{done} by an operator", _said(entry))

    return tell


def _succeeded(story: _Story, entry: HistoryEntry, index: int) -> None:
    story.section(NOTE, "all steps succeeded")
    story.section(DONE, "end saga", "success")


def _failed(story: _Story, entry: HistoryEntry, index: int) -> None:
    story.turn()
    story.section(FAILED, "end saga", story.reason)


_TELLERS: Mapping[str, Callable[[_Story, HistoryEntry, int], None]] = {
    "started": _begun,
    "reply_received": _replied,
    "command_sent": _sent,
    "choice_made": _chosen,
    "waiting_for_signal": _waits_for_signal,
    "signal_received": _signalled,
    "sleeping": _sleeps,
    "step_done": _step_done,
    "step_failed": _step_failed,
    "gave_up": _step_failed,
    "retry_scheduled": _tries_again,
    "asked_again": _asked_again,
    "compensating": _turns_round,
    "going_forward": _goes_forward,
    "compensation_sent": _undo_sent,
    "compensation_done": _undone,
    "compensation_failed": _undo_failed,
    "needs_attention": _stuck,
    "callback_failed": _callback_failed,
    "deadline_passed": _overdue,
    "operator_retry": _by_operator("retried"),
    "message_requeued": _by_operator("kept message requeued"),
    "message_discarded": _by_operator("kept message discarded"),
    "paused": _by_operator("paused"),
    "resumed": _by_operator("resumed"),
    "succeeded": _succeeded,
    "failed": _failed,
}
