"""The fluent form of a saga. What it makes is a class like any other: the same steps, the same definition.

SubmitExam = (
    SagaBuilder("SubmitExam", response_queue="exam_service.replies", data=SagaContext)
    .step("count_attempt")
    .invoke_participant(count_attempt, who_and_what)
    .with_compensation(forget_attempt, who_and_what)
    .on_reply(remember_attempt)
    .step("create_exam")
    .local(create_exam)
    .commit(hand_out)
)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import new_class
from typing import Any, Generic, Self, TypeVar, cast, overload

from sagas_framework.definition.retry import RetryPolicy
from sagas_framework.definition.saga import Saga, Unfinished, refuse_unfinished
from sagas_framework.definition.steps import (
    AsyncStep,
    Element,
    LocalFunction,
    ReplyFunction,
    StepContext,
    StepFunction,
    StepKind,
    SyncStep,
    refuse_no_command,
    send,
)
from sagas_framework.definition.structure import When, choice, include, when
from sagas_framework.errors import (
    AlreadyCommitted,
    AlreadyDefined,
    BranchAfterElse,
    DefinitionError,
    EmptyChoice,
    EmptySaga,
    EmptyStep,
    NamelessStep,
    NoParticipant,
    StepOfAnotherSaga,
)
from sagas_framework.vocabulary.command import Command, Failure, PayloadType, ResponseType

Data = TypeVar("Data")
Reply = TypeVar("Reply")

Part = Element[Data] | type[Saga[Any]]
"""An element of the class form, or a saga whose steps are included in place."""


class Chain(Unfinished, Generic[Data]):
    """A saga in the making, and what may come next at any place of it."""

    def __init__(self, draft: _Draft[Data]) -> None:
        self._draft = draft

    def step(
        self, name: str | None = None, *, kind: StepKind | None = None, retry: RetryPolicy | None = None
    ) -> StepBuilder[Data, Any]:
        """Begins a step. Without a name it is called like its command or its function."""
        return self._draft.add(StepBuilder(self._draft, name, kind, retry or RetryPolicy()))

    def choice(self, name: str | None = None) -> ChoiceBuilder[Data]:
        """Begins a choice: `.if_then(condition, ThisSaga).if_then(other, ThatSaga).else_then(TheOtherSaga)`."""
        return self._draft.add(ChoiceBuilder(self._draft, name))

    def add(self, *parts: Part[Data]) -> Chain[Data]:
        """What the class form has: `parallel(...)`, `child_saga(...)`, `WaitForSignal(...)`, a saga to include."""
        for part in parts:
            self._draft.add(self._draft.element(part))
        return Chain(self._draft)

    def commit(
        self,
        on_success: LocalFunction[Data] | None = None,
        *,
        on_failure: Callable[[Data, Failure, StepContext], Data | None] | None = None,
        on_compensation_failure: Callable[[Data, Failure, StepContext], None] | None = None,
    ) -> type[Saga[Data]]:
        """The saga. `on_success` is called when its last step has succeeded; see the hooks of `Saga` for the others."""
        hooks = {
            "on_saga_success": on_success,
            "on_saga_failure": on_failure,
            "on_compensation_failure": on_compensation_failure,
        }
        return self._draft.commit({name: staticmethod(hook) for name, hook in hooks.items() if hook is not None})

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of saga {self._draft.name!r}>"


class SagaBuilder(Chain[Data]):
    """Begins a saga in the fluent form: `SagaBuilder(name, response_queue=..., data=SagaContext).step(...)...commit()`.

    `data` is a dataclass, whose callbacks mypy then checks, or SagaContext. A saga that is only included in others
    needs no `response_queue`.
    """

    def __init__(
        self,
        name: str,
        *,
        data: type[Data],
        response_queue: str | None = None,
        deadline_seconds: float | None = None,
        ask_again_after_seconds: float | None = None,
        give_up_after_seconds: float | None = None,
    ) -> None:
        settings = {
            "name": name,
            "response_queue": response_queue,
            "deadline_seconds": deadline_seconds,
            "ask_again_after_seconds": ask_again_after_seconds,
            "give_up_after_seconds": give_up_after_seconds,
        }
        super().__init__(_Draft(name, data, settings))


class StepBuilder(Chain[Data], Generic[Data, Reply]):
    """A step, until the next one is begun. `Reply` is what its command is answered with."""

    def __init__(self, draft: _Draft[Data], name: str | None, kind: StepKind | None, retry: RetryPolicy) -> None:
        super().__init__(draft)
        self._name = name
        self._said: dict[str, Any] = {"kind": kind, "retry": retry}  # by the names that the class form has for it

    def invoke_participant(
        self,
        command: Command[PayloadType, ResponseType],
        payload: StepFunction[Data, PayloadType],
        *,
        awaited: bool = True,
        ask_again_after_seconds: float | None = None,
        give_up_after_seconds: float | None = None,
    ) -> StepBuilder[Data, ResponseType]:
        """The step sends this command, with what `payload(data, step)` returns; see AsyncStep for the rest."""
        refuse_no_command(command, self._name)
        self._say("action", payload, ".invoke_participant(...) or .local(...)")
        self._said |= {
            "command": command,
            "awaited": awaited,
            "ask_again_after_seconds": ask_again_after_seconds,
            "give_up_after_seconds": give_up_after_seconds,
        }
        return cast("StepBuilder[Data, ResponseType]", self)

    def local(self, function: LocalFunction[Data]) -> Self:
        """The step runs this function inside the orchestrator's own transaction."""
        return self._say("action", function, ".invoke_participant(...) or .local(...)")

    @overload
    def with_compensation(self, what: LocalFunction[Data]) -> Self: ...
    @overload
    def with_compensation(
        self,
        what: Command[PayloadType, Any],
        payload: StepFunction[Data, PayloadType],
        *,
        awaited: bool = True,
        retry: RetryPolicy | None = None,
    ) -> Self: ...
    def with_compensation(self, what: Any, payload: Any = None, **options: Any) -> Self:
        """What undoes the step: a function of our own, or a command and the function that makes its payload."""
        local = callable(what) and payload is None and not options
        if not local and not callable(payload):
            problem = ".with_compensation(...) takes a function, or a command and the function that makes its payload"
            raise DefinitionError(problem, saga=self._draft.name, step=self._name)
        return self._say("compensation", what if local else send(what, payload, **options), ".with_compensation(...)")

    def on_reply(self, callback: ReplyFunction[Data, Reply]) -> Self:
        """Called with the participant's reply; it may raise, which fails the step, or return new data."""
        return self._say_about_an_answer("on_success", callback, ".on_reply(...)")

    def on_error(self, callback: ReplyFunction[Data, Failure]) -> Self:
        """Called with the failure when the step has failed; it fails with and without this."""
        return self._say_about_an_answer("on_failure", callback, ".on_error(...)")

    def _say_about_an_answer(self, what: str, callback: Any, call: str) -> Self:
        if "command" not in self._said:
            problem = f"{call} waits for an answer, and the step asks nobody; call .invoke_participant(...) before it"
            raise NoParticipant(problem, saga=self._draft.name, step=self._name)
        return self._say(what, callback, call)

    def _say(self, what: str, value: Any, call: str) -> Self:
        self._draft.refuse_if_committed()
        if what in self._said:
            problem = f"{call} stands twice in one step; drop one of them, or begin another step with .step(...)"
            raise AlreadyDefined(problem, saga=self._draft.name, step=self._name)
        self._said[what] = value
        return self

    def built(self) -> Element[Data]:
        if "action" not in self._said and "compensation" not in self._said:
            problem = "it does nothing; go on with .invoke_participant(...), .local(...) or .with_compensation(...)"
            raise EmptyStep(problem, saga=self._draft.name, step=self._name)
        name = self._name or self._name_of_what_it_does()
        return AsyncStep(name, **self._said) if "command" in self._said else SyncStep(name, **self._said)

    def _name_of_what_it_does(self) -> str:
        if "command" in self._said:
            return str(self._said["command"].name.rpartition(".")[2])
        name = getattr(self._said.get("action"), "__name__", "")
        if not name.isidentifier():  # a lambda has none
            raise NamelessStep('what it does has no name either; say .step("name")', saga=self._draft.name)
        return str(name)


class ChoiceBuilder(Chain[Data]):
    """A choice, until the next step is begun."""

    def __init__(self, draft: _Draft[Data], name: str | None) -> None:
        super().__init__(draft)
        self._name = name
        self._branches: list[When[Data]] = []
        self._otherwise: list[Element[Data]] | None = None

    def if_then(self, condition: StepFunction[Data, bool], *then: Part[Data], label: str | None = None) -> Self:
        """If the condition holds, and none before it did, the steps of these sagas; see `when`."""
        self._draft.refuse_if_committed()
        if self._otherwise is not None:
            problem = ".if_then(...) after .else_then(...) would never be asked; write .else_then(...) last"
            raise BranchAfterElse(problem, saga=self._draft.name, step=self._name)
        self._branches.append(when(condition, *map(self._draft.element, then), label=label))
        return self

    def else_then(self, *then: Part[Data]) -> Self:
        """The steps of these sagas if no condition holds. Without it nothing is done then."""
        self._draft.refuse_if_committed()
        if self._otherwise is not None:
            problem = ".else_then(...) stands twice in one choice; put all of it into one"
            raise AlreadyDefined(problem, saga=self._draft.name, step=self._name)
        self._otherwise = [self._draft.element(part) for part in then]
        return self

    def built(self) -> Element[Data]:
        if not self._branches:
            problem = "it has nothing to choose from; give it at least one .if_then(condition, Saga)"
            raise EmptyChoice(problem, saga=self._draft.name, step=self._name)
        return choice(*self._branches, otherwise=self._otherwise or (), name=self._name)


Added = TypeVar("Added", bound=StepBuilder[Any, Any] | ChoiceBuilder[Any] | Element[Any])


@dataclass
class _Draft(Generic[Data]):
    """What all parts of a chain have in common."""

    name: str
    data: type[Data]
    settings: dict[str, Any]
    parts: list[StepBuilder[Data, Any] | ChoiceBuilder[Data] | Element[Data]] = field(default_factory=list)
    committed: bool = False

    def add(self, part: Added) -> Added:
        self.refuse_if_committed()
        self.parts.append(part)
        return part

    def element(self, part: Any) -> Any:
        if isinstance(part, StepBuilder) and part._draft is not self:
            problem = f"{part!r} cannot be a part of this saga too; commit that saga and include it, or write it here"
            raise StepOfAnotherSaga(problem, saga=self.name, step=part._name)
        refuse_unfinished(part)
        return include(part) if isinstance(part, type) else part

    def refuse_if_committed(self) -> None:
        if self.committed:
            problem = "it is committed, and nothing can be added to it; write .commit() last, and once"
            raise AlreadyCommitted(problem, saga=self.name)

    def commit(self, hooks: dict[str, Any]) -> type[Saga[Data]]:
        self.refuse_if_committed()
        if not self.parts:
            problem = "it has no steps; write at least one .step(...).invoke_participant(...) before .commit()"
            raise EmptySaga(problem, saga=self.name)
        steps = tuple(part.built() if isinstance(part, (StepBuilder, ChoiceBuilder)) else part for part in self.parts)
        body = {**self.settings, **hooks, "steps": steps, "__module__": __name__}
        saga: type[Saga[Data]] = new_class(self.name, (Saga[self.data],), exec_body=lambda space: space.update(body))  # type: ignore[name-defined]
        self.committed = True
        return saga
