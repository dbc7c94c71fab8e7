"""A saga played by hand: each reply, signal and hour that passes is said, and all the rest is the world's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagas_framework import AsyncStep, Failure, SagaStatus, SyncStep, send
from sagas_framework.definition.compiler import compile_saga
from sagas_framework.engine.protocol import Call, Input, Record, Start, Tick, Unhandled, UserCode
from sagas_framework.engine.state import Phase
from tests.unit.engine.definitions import DO, TIMING, UNDO, nothing, saga_of
from tests.unit.engine.world import REFUSED, SUCCEEDS, TRANSIENT, World, never


def remote(name: str, **more: Any) -> AsyncStep:
    """Done and undone by a participant."""
    return AsyncStep(name, DO, action=nothing, **{"compensation": send(UNDO, nothing)} | more)


def local(name: str, **more: Any) -> SyncStep:
    return SyncStep(name, action=nothing, **{"compensation": nothing} | more)


class Play(World):
    """`returns`: what a step's function returns, where that matters; `told` is the history's events by step."""

    def __init__(self, *steps: Any, returns: Mapping[str, Any] | None = None, **body: Any) -> None:
        super().__init__(compile_saga(saga_of(*steps, **body), TIMING))
        self.returns = dict(returns or {})
        self.raising: set[tuple[str, UserCode]] = set()
        self.transient = False  # what those calls raise
        self.told: list[tuple[str, str | None]] = []

    def start(self) -> None:
        self.play(Start(self.now))

    def play(self, entry: Input) -> None:
        effects = self.give(entry, self.raises)
        self.told += [(effect.event, effect.step) for effect in effects if isinstance(effect, Record)]

    def succeed(self, *steps: str) -> None:
        for step in steps:
            self._answer(step, SUCCEEDS)

    def refuse(self, *steps: str) -> None:
        for step in steps:
            self._answer(step, REFUSED)

    def put_off(self, step: str) -> None:
        self._answer(step, TRANSIENT)

    def poison(self, step: str) -> None:
        """The answer is there, and no process survives it."""
        sent = self._sent(step)
        self.deliver_command(sent, SUCCEEDS)
        self.play(Unhandled(self.now, sent.message_id, Failure("ReplyKillsItsWorker", "")))

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.play(Tick(self.now))

    def status(self) -> SagaStatus:
        return self.state.status

    def is_asked(self) -> set[str]:
        """The steps whose participants are asked now."""
        return {name for name, step in self.state.steps.items() if step.awaited}

    def phase(self, name: str) -> Phase:
        return self.state.steps[name].phase if name in self.state.steps else Phase.WAITING

    def phases(self, *names: str) -> list[Phase]:
        return [self.phase(name) for name in names]

    def events(self, event: str) -> list[str | None]:
        return [step for what, step in self.told if what == event]

    def _answer(self, step: str, outcome: Any) -> None:
        self.deliver_command(self._sent(step), outcome)
        effects = self.deliver_reply(*self.replies[-1], redelivered=False, raises=self.raises)
        self.told += [(effect.event, effect.step) for effect in effects if isinstance(effect, Record)]

    def _sent(self, step: str) -> Any:
        awaited = self.state.steps[step].awaited
        assert awaited is not None, f"{step} awaits nothing: {self.state.steps[step]}"
        return next(sent for sent in self.commands if sent.message_id == awaited.message_id)

    def raises(self, call: Call) -> bool:
        return (call.step or "", call.code) in self.raising if self.raising else never(call)

    def _is_transient(self, call: Call) -> bool:
        return self.transient

    def _value(self, call: Call) -> Any:
        if call.code is UserCode.ACTION and call.step in self.returns:
            return self.returns[call.step]
        return super()._value(call)
