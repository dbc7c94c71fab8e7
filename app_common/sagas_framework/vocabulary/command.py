"""Commands and failures: what one service asks of another, and how a no reads."""

from __future__ import annotations

import traceback as tracebacks
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Generic

from typing_extensions import TypeVar

from sagas_framework.errors import DefinitionError, Refusal, TransientError, said_by
from sagas_framework.vocabulary import codec
from sagas_framework.vocabulary.place import place_of_caller
from sagas_framework.vocabulary.text import storable

MAX_TRACEBACK_CHARACTERS = 20_000
MAX_MESSAGE_CHARACTERS = 2_000
MAX_NAME_CHARACTERS = 255

PayloadType = TypeVar("PayloadType")
ResponseType = TypeVar("ResponseType", default=None)


@dataclass(frozen=True)
class Command(Generic[PayloadType, ResponseType]):
    """One message of a service's published language: its name, its queue, what it carries and what comes back.

    `place` is where it was written, for errors to point at.
    """

    name: str
    queue: str
    payload: type[PayloadType]
    response: type[ResponseType] | None = None
    title: str = ""
    summary: str = ""
    place: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "place", place_of_caller())
        if not self.name or not self.queue:
            raise DefinitionError(f"a command needs a name and a queue (got {self.name!r}, {self.queue!r})")
        for role, contract in (("payload", self.payload), ("response", self.response)):
            if contract is not None and not codec.is_contract(contract):
                raise DefinitionError(
                    f"command {self.name!r}: its {role} must be a dataclass, dict or SagaContext, not {contract!r}"
                )

    def encode_payload(self, value: Any) -> Any:
        return codec.encode(self.payload, value, f"payload of {self.name}")

    def decode_payload(self, value: Any) -> PayloadType:
        payload: PayloadType = codec.decode(self.payload, value, f"payload of {self.name}")
        return payload

    def encode_response(self, value: Any) -> Any:
        if self.response is None:
            return None
        return codec.encode(self.response, value, f"response of {self.name}")

    def decode_response(self, value: Any) -> Any:
        if self.response is None:
            return value
        return codec.decode(self.response, value, f"response of {self.name}")


AnyCommand = Command[Any, Any]

Exceptions = tuple[type[Exception], ...]


class FailureKind(StrEnum):
    """What a failure means for whoever asked."""

    REFUSED = "refused"  # a decision: asking again would not change it
    TRANSIENT = "transient"  # not now
    ERROR = "error"  # a bug or a broken system


@dataclass(frozen=True)
class Failure:
    """Why a step failed. `kind` tells a refusal, which is business as usual, from an error that somebody should see."""

    type: str
    message: str
    module: str = ""
    traceback: str = ""
    kind: FailureKind = FailureKind.ERROR

    @classmethod
    def of(cls, error: BaseException, transient: Exceptions = ()) -> Failure:
        """`transient`: exceptions that mean "not now" besides TransientError."""
        raised = type(error)
        text = "".join(tracebacks.format_exception(error))
        return cls(
            type=raised.__qualname__,
            message=storable(said_by(error)[:MAX_MESSAGE_CHARACTERS]),
            module=raised.__module__,
            traceback=storable(text[-MAX_TRACEBACK_CHARACTERS:]),
            kind=_kind_of(error, transient),
        )

    @classmethod
    def from_wire(cls, value: Any, kind: FailureKind = FailureKind.ERROR) -> Failure:
        """Reads a failure that another program wrote; a traceback that comes as a list of lines is accepted.

        `kind` travels beside it, in our header.
        """
        if not isinstance(value, dict):
            return cls(type="UnknownFailure", message=str(value)[:MAX_MESSAGE_CHARACTERS], kind=kind)
        trace = value.get("traceback") or ""
        if isinstance(trace, list):
            trace = "".join(str(line) for line in trace)
        return cls(
            type=str(value.get("type") or "UnknownFailure")[:MAX_NAME_CHARACTERS],
            message=str(value.get("message") or "")[:MAX_MESSAGE_CHARACTERS],
            module=str(value.get("module") or "")[:MAX_NAME_CHARACTERS],
            traceback=str(trace)[-MAX_TRACEBACK_CHARACTERS:],
            kind=kind,
        )

    def to_wire(self) -> dict[str, str]:
        """The form in which it travels: {type, message, module, traceback}."""
        return {name: value for name, value in asdict(self).items() if name != "kind"}

    @classmethod
    def from_json(cls, value: Any) -> Failure:
        """Reads what `to_json` wrote; what was stored before failures had kinds is an error."""
        return cls.from_wire(value, FailureKind(value.get("kind", FailureKind.ERROR)))

    def to_json(self) -> dict[str, str]:
        """The form in which it is stored: as it travels, and its kind."""
        return {**self.to_wire(), "kind": self.kind.value}


def _kind_of(error: BaseException, transient: Exceptions) -> FailureKind:
    if isinstance(error, (TransientError, *transient)):
        return FailureKind.TRANSIENT
    return FailureKind.REFUSED if isinstance(error, Refusal) else FailureKind.ERROR
