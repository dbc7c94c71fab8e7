"""Commands and failures: what one service asks of another, and how a refusal reads."""

from __future__ import annotations

import traceback as tracebacks
from dataclasses import asdict, dataclass
from typing import Any

from sagas_framework.errors import DefinitionError
from sagas_framework.vocabulary import codec
from sagas_framework.vocabulary.text import storable

MAX_TRACEBACK_CHARACTERS = 20_000
MAX_MESSAGE_CHARACTERS = 2_000
MAX_NAME_CHARACTERS = 255


@dataclass(frozen=True)
class Command:
    """One message of a service's published language: its name, its queue, what it carries and what comes back."""

    name: str
    queue: str
    payload: type[Any]
    response: type[Any] | None = None
    title: str = ""
    summary: str = ""

    def __post_init__(self) -> None:
        if not self.name or not self.queue:
            raise DefinitionError(f"a command needs a name and a queue (got {self.name!r}, {self.queue!r})")
        for role, contract in (("payload", self.payload), ("response", self.response)):
            if contract is not None and not codec.is_contract(contract):
                raise DefinitionError(
                    f"command {self.name!r}: its {role} must be a dataclass, dict or SagaContext, not {contract!r}"
                )

    def encode_payload(self, value: Any) -> Any:
        return codec.encode(self.payload, value, f"payload of {self.name}")

    def decode_payload(self, value: Any) -> Any:
        return codec.decode(self.payload, value, f"payload of {self.name}")

    def encode_response(self, value: Any) -> Any:
        if self.response is None:
            return None
        return codec.encode(self.response, value, f"response of {self.name}")

    def decode_response(self, value: Any) -> Any:
        if self.response is None:
            return value
        return codec.decode(self.response, value, f"response of {self.name}")


@dataclass(frozen=True)
class Failure:
    """Why a step failed, in the form in which it travels: {type, message, module, traceback}."""

    type: str
    message: str
    module: str = ""
    traceback: str = ""

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        kind = type(error)
        text = "".join(tracebacks.format_exception(error))
        return cls(
            type=kind.__qualname__,
            message=storable(str(error)[:MAX_MESSAGE_CHARACTERS]),
            module=kind.__module__,
            traceback=storable(text[-MAX_TRACEBACK_CHARACTERS:]),
        )

    @classmethod
    def from_wire(cls, value: Any) -> Failure:
        """Reads a failure that another program wrote; a traceback that comes as a list of lines is accepted."""
        if not isinstance(value, dict):
            return cls(type="UnknownFailure", message=str(value)[:MAX_MESSAGE_CHARACTERS])
        trace = value.get("traceback") or ""
        if isinstance(trace, list):
            trace = "".join(str(line) for line in trace)
        return cls(
            type=str(value.get("type") or "UnknownFailure")[:MAX_NAME_CHARACTERS],
            message=str(value.get("message") or "")[:MAX_MESSAGE_CHARACTERS],
            module=str(value.get("module") or "")[:MAX_NAME_CHARACTERS],
            traceback=str(trace)[-MAX_TRACEBACK_CHARACTERS:],
        )

    def to_wire(self) -> dict[str, str]:
        return asdict(self)
