"""Everything the framework raises on purpose, as one tree.

    SagasError
    ├── DefinitionError            a saga, step or command is declared wrongly; raised while it is built
    │   ├── EmptySaga              a saga without steps
    │   ├── EmptyStep              a step that does nothing
    │   ├── NamelessStep           a step that nothing gives a name
    │   ├── EmptyChoice            a choice without branches
    │   ├── BranchAfterElse        a branch that comes too late to be chosen
    │   ├── AlreadyDefined         the same said twice
    │   ├── ContradictoryMessages  one message, queue, class or handler of which two places say different things
    │   ├── UnusableContract       a class of payloads that no JSON could carry
    │   ├── NoParticipant          a callback for the answer of nobody
    │   ├── StepOfAnotherSaga      a step that belongs to another saga
    │   ├── AlreadyCommitted       a saga that is changed after its commit
    │   └── UncommittedSaga        a saga that is used before its commit
    ├── NotInContext               a name that a SagaContext does not hold
    ├── ConfigurationError         an environment variable or a piece of wiring is wrong; raised at start-up
    ├── PayloadRefused             a value does not match the dataclass that its message declares
    ├── Refusal                    raised by handlers and steps: "no, and asking again would not change it"
    ├── TransientError             raised by handlers: "not now, ask me again"
    ├── InsideAStep                a step's function waits for a saga, or signals one, while it holds its own
    ├── SessionIsLent              commit, rollback or close on the session that the framework handed out
    ├── TwoPhaseRefused            a session that commits in two phases was given to the framework
    ├── AnswerRefused              a later answer that no step waits for
    ├── UnknownSaga                no saga instance has this id
    ├── SagaFailed                 a saga that somebody waited for was rolled back; it has its data and the reason
    ├── WaitTimedOut               a saga that somebody waited for has not ended in time; it goes on
    ├── OperationRefused           an operator's act that this saga's state does not allow
    ├── UnknownMessage             no kept message has this number
    ├── MessageStays               a kept message that cannot be sent again as it was
    ├── NothingWaits               no event of the inbox, or message of the outbox, has this number
    ├── ActRefused                 an operator's act that what waits there does not allow
    └── PublishFailed              the broker did not confirm a message; what was to be sent is kept elsewhere

Each says what happened, where, and what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def in_one_line(error: BaseException) -> str:
    """The first line of what an error says, or its type where it says nothing."""
    return next(iter(said_by(error).splitlines()), "") or type(error).__name__


def said_by(error: BaseException) -> str:
    """Its text; somebody else's error may fail to have one."""
    try:
        return str(error)
    except Exception as failure:
        return f"(its text cannot be made: {type(failure).__name__})"


class SagasError(Exception):
    """Base of every error the framework raises on purpose."""


class DefinitionError(SagasError):
    """A saga, a step or a command is declared in a way that cannot work."""

    def __init__(self, problem: str, *, saga: str | None = None, step: str | None = None) -> None:
        self.saga = saga
        self.step = step
        where = ", ".join(f"{kind} {name!r}" for kind, name in (("saga", saga), ("step", step)) if name is not None)
        super().__init__(f"{where}: {problem}" if where else problem)


class EmptySaga(DefinitionError):
    """It has no steps."""


class EmptyStep(DefinitionError):
    """Neither does it anything, nor does it undo anything."""


class NamelessStep(DefinitionError):
    """It has no name, and what it does has none either."""


class EmptyChoice(DefinitionError):
    """There is nothing to choose from."""


class BranchAfterElse(DefinitionError):
    """A branch that comes after the one for all other cases."""


class AlreadyDefined(DefinitionError):
    """The same was said twice; which of the two is meant?"""


class ContradictoryMessages(DefinitionError):
    """Two places say different things of one message, queue, class or handler; which of the two is meant?"""


class UnusableContract(DefinitionError):
    """What a message is to carry has a field that cannot travel as JSON, or would come back as something else."""


class NoParticipant(DefinitionError):
    """A callback for an answer, on a step that asks nobody."""


class StepOfAnotherSaga(DefinitionError):
    """A step that belongs to another saga already."""


class AlreadyCommitted(DefinitionError):
    """The definition is complete; what is added now would be in no saga."""


class UncommittedSaga(DefinitionError):
    """The definition is not complete; there is no saga yet."""


class NotInContext(SagasError, KeyError, AttributeError):
    """A SagaContext holds nothing of this name."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(name)
        self.name = name
        self.known = tuple(known)

    def __str__(self) -> str:
        return f"the saga's context has no {self.name!r}; it has {', '.join(map(repr, self.known)) or 'nothing yet'}"


class ConfigurationError(SagasError):
    """The process is set up wrongly; one line that names the setting."""


class PayloadRefused(SagasError):
    """A value does not match what its message declares."""

    def __init__(self, what: str, problems: str) -> None:
        self.what = what
        self.problems = problems
        super().__init__(f"{what}: {problems}")


class Refusal(SagasError):
    """Raised by a handler, or by a step's own function, that says no as a decision of its business.

    Asking again would not change it. What else is raised is an error: a bug, or a system that is broken.
    """


class TransientError(SagasError):
    """Raised by a handler whose work may succeed when it is tried again a little later."""


class SessionIsLent(SagasError):
    """User code tried to end a transaction that is not its own."""

    def __init__(self, operation: str) -> None:
        self.operation = operation
        super().__init__(
            f"session.{operation}() is refused: this session is the transaction in which the framework also "
            "writes the saga's progress; both commit together when your function returns. Use session.flush() "
            "to get generated keys, and raise to undo."
        )


class TwoPhaseRefused(SagasError):
    """A session that commits in two phases was given to publish, start a saga or answer in."""

    def __init__(self) -> None:
        super().__init__(
            "this session was made with twophase=True: its commit is not the moment at which what is published, "
            "started or answered in it could be written. Use a session without it"
        )


class AnswerRefused(SagasError):
    """An answer that comes later, and that its step does not take: unknown, answered already, or taken back."""

    def __init__(self, token: str, reason: str) -> None:
        self.token = token
        self.reason = reason
        super().__init__(f"the answer is refused: {reason}")


class InsideAStep(SagasError):
    """A step's function called what would wait for the very transaction that it runs in."""

    def __init__(self, called: str, step: str) -> None:
        super().__init__(
            f"{called} is refused inside the function of step {step!r}: it would wait for what this transaction holds, "
            "and every saga of this worker with it. Make the other saga a step with child_saga(...), or start it with "
            "orchestrator.start(..., session=step.session) and do not wait for it"
        )


class UnknownSaga(SagasError):
    """No saga instance has this id."""

    def __init__(self, saga_id: str) -> None:
        self.saga_id = saga_id
        super().__init__(f"no saga has the id {saga_id!r}; `sagas list` shows the known ones")


class SagaFailed(SagasError):
    """A saga that was waited for was rolled back. `execution` is what it came to."""

    def __init__(self, saga: str, saga_id: str, step: str | None, reason: str, execution: Any) -> None:
        self.saga_id = saga_id
        self.execution = execution
        where = f" at step {step!r}" if step else ""
        super().__init__(f"{saga} {saga_id} failed{where}: {reason}; everything that it had done was undone")


class WaitTimedOut(SagasError):
    """A saga that was waited for has not ended in time. It goes on; it can be waited for again."""

    def __init__(self, saga_id: str, timeout_seconds: float, situation: str) -> None:
        self.saga_id = saga_id
        super().__init__(f"saga {saga_id} has not ended within {timeout_seconds:g} s: {situation}")


class OperationRefused(SagasError):
    """An operator's act that the saga's present state does not allow."""

    def __init__(self, saga_id: str, operation: str, reason: str) -> None:
        self.saga_id = saga_id
        self.operation = operation
        self.reason = reason
        super().__init__(f"{operation} of saga {saga_id} is refused: {reason}")


class UnknownMessage(SagasError):
    """No kept message has this number."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(f"no kept message has the number {number}; `sagas kept list` shows them")


class MessageStays(SagasError):
    """A kept message that cannot be sent again as it was."""

    def __init__(self, number: int, reason: str) -> None:
        self.number = number
        self.reason = reason
        super().__init__(f"kept message {number} cannot be requeued: {reason}")


class NothingWaits(SagasError):
    """No event of the inbox, or no message of the outbox, has this number."""

    def __init__(self, number: int, what: str, shown_by: str) -> None:
        self.number = number
        super().__init__(
            f"no {what} with the number {number} waits: it may have gone on meanwhile; `{shown_by}` shows what does"
        )


class ActRefused(SagasError):
    """An operator's act that what waits in the inbox or the outbox does not allow."""

    def __init__(self, operation: str, number: int, reason: str) -> None:
        self.operation = operation
        self.number = number
        self.reason = reason
        super().__init__(f"{operation} of {number} is refused: {reason}")


class PublishFailed(SagasError):
    """The broker did not take some messages, or did not say that it did."""

    def __init__(self, problem: str, message_ids: frozenset[str] = frozenset()) -> None:
        self.message_ids = message_ids
        super().__init__(problem)
