"""The class form of a saga: typed data, a reply queue and a list of steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Generic, TypeVar, get_args, get_origin

from sagas_framework.definition.steps import Element, StepContext
from sagas_framework.errors import DefinitionError, UncommittedSaga
from sagas_framework.vocabulary.codec import is_contract
from sagas_framework.vocabulary.command import Failure

Data = TypeVar("Data")


class Saga(Generic[Data]):
    """Subclass it with the dataclass of its data: `class CreateOrderSaga(Saga[CreateOrderData])`.

    The hooks run in the transaction that ends the saga (or that finds a compensation exhausted). A hook of the end
    that raises stops the saga in needs_attention; the operator's retry runs it again. That on_compensation_failure
    raised is only written in the history: the saga needs attention already.
    """

    name: ClassVar[str]
    response_queue: ClassVar[str]
    steps: Sequence[Element[Data]]  # they are the class's, like the rest, but a ClassVar cannot speak of Data
    deadline_seconds: ClassVar[float | None] = None
    ask_again_after_seconds: ClassVar[float | None] = None
    give_up_after_seconds: ClassVar[float | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.name = cls.__dict__.get("name", cls.__name__)

    def on_saga_success(self, data: Data, step: StepContext) -> Data | None:
        """Called once, when the last step has succeeded. It may return new data."""
        return None

    def on_saga_failure(self, data: Data, failure: Failure, step: StepContext) -> Data | None:
        """Called once, when everything that was done has been undone. `step.step` is the step that failed. It may
        return new data."""
        return None

    def on_compensation_failure(self, data: Data, failure: Failure, step: StepContext) -> None:
        """Called when a compensation's retry policy is exhausted; the saga then needs attention."""


class Unfinished:
    """A saga that is being written in the fluent form; its `commit` makes the saga."""


def refuse_unfinished(saga: Any) -> None:
    if isinstance(saga, Unfinished):
        problem = f"{saga!r} is no saga before its commit; end the chain with .commit() and use what it returns"
        raise UncommittedSaga(problem)


def data_type_of(saga: type[Saga[Any]]) -> type[Any]:
    """The type that stands in the brackets of `Saga[...]`."""
    refuse_unfinished(saga)
    for base in saga.__mro__:
        for parent in getattr(base, "__orig_bases__", ()):
            if get_origin(parent) is not Saga:
                continue
            declared = get_args(parent)[0]
            contract: Any = get_origin(declared) or declared  # dict[str, Any] is a dict
            if isinstance(contract, type):
                if not is_contract(contract):
                    problem = f"its data must be a dataclass, dict or SagaContext, not {contract!r}"
                    raise DefinitionError(problem, saga=saga.name)
                data_type: type[Any] = contract
                return data_type
    raise DefinitionError(
        "it does not say what its data is; write `class MySaga(Saga[MyData])` with a dataclass", saga=saga.__name__
    )
