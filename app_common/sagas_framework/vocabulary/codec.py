"""Payloads to JSON values and back, checked against the dataclass that the message declares.

Sending is strict: what does not match, has a field too many, or would not be read as what it is, is refused before it
leaves. Receiving checks every declared field just as strictly, but tolerates unknown ones, so that senders can move
first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import is_dataclass
from functools import cache
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from sagas_framework.errors import PayloadRefused
from sagas_framework.vocabulary import json_text
from sagas_framework.vocabulary.context import SagaContext
from sagas_framework.vocabulary.sameness import unlike
from sagas_framework.vocabulary.text import holds_nul

MAX_BODY_BYTES = 1024 * 1024
MAX_PAYLOAD_BYTES = MAX_BODY_BYTES - 64 * 1024  # what surrounds a payload in a body is small
MAX_DEPTH = 64  # so many lists and objects may stand round anything in a body
MAX_PAYLOAD_DEPTH = MAX_DEPTH - 2  # a payload stands in the list of arguments, and that in the body


def is_contract(contract: Any) -> bool:
    """Whether it says what a message, or a saga's data, looks like."""
    return isinstance(contract, type) and (
        is_dataclass(contract) or contract is dict or issubclass(contract, SagaContext)
    )


@cache
def adapter_of(contract: Any) -> TypeAdapter[Any]:
    return TypeAdapter(contract)


def encode(contract: Any, value: Any, what: str) -> Any:
    """The JSON value of a payload; `what` names the message in the error."""
    try:
        raw = adapter_of(contract).dump_json(value, warnings=False, by_alias=True)
    except PydanticSerializationError as error:
        raise PayloadRefused(what, str(error)) from None
    if len(raw) > MAX_PAYLOAD_BYTES:
        raise PayloadRefused(what, f"it is {len(raw)} bytes long; at most {MAX_PAYLOAD_BYTES} are sent")
    if holds_nul(raw.decode()):
        raise PayloadRefused(what, "it contains NUL characters, which no database text can hold")
    _refuse_what_would_be_misread(contract, raw, value, what)
    try:
        encoded = json_text.loads(raw)
    except ValueError as error:
        raise PayloadRefused(what, f"it would not be JSON: {error}") from error
    if _may_be_too_deep(raw) and too_deep(encoded, MAX_PAYLOAD_DEPTH):
        raise PayloadRefused(what, f"it is nested more than {MAX_PAYLOAD_DEPTH} levels deep")
    return encoded


def encode_undeclared(value: Any, what: str) -> Any:
    """The JSON value of what is declared elsewhere and checked there: a dataclass, or a dictionary of JSON's own
    values, of which none may quietly turn into another."""
    if is_dataclass(value) and not isinstance(value, type):
        return encode(type(value), value, what)
    if isinstance(value, Mapping):
        return encode(SagaContext, SagaContext(value), what)
    raise PayloadRefused(what, f"it must be a dataclass or a dictionary, not a {type(value).__name__}")


def decode(contract: Any, value: Any, what: str) -> Any:
    """The typed payload of a JSON value that came from outside."""
    return _validate(contract, json_text.dumps(value), what, extra="ignore")


def names_in(contract: Any, value: Any) -> Collection[str]:
    """The fields that a decoded payload may have, as JSON calls them."""
    fields: dict[str, Any] = adapter_of(contract).dump_python(value, warnings=False, by_alias=True)
    return fields


def _refuse_what_would_be_misread(contract: Any, raw: bytes, value: Any, what: str) -> None:
    if contract is object:  # declared elsewhere: what reads it will say what it is
        return
    if isinstance(value, dict) and is_dataclass(contract):
        # It stands for its own JSON: there is nothing else to be like.
        _validate(contract, raw, what, extra="forbid")
        return
    found = unlike(value, _validate(contract, raw, what, extra="ignore"))  # as `decode` will read it
    if found is not None:
        raise PayloadRefused(what, str(found))


def _validate(contract: Any, raw: bytes | str, what: str, extra: Literal["forbid", "ignore"]) -> Any:
    try:
        return adapter_of(contract).validate_json(raw, strict=True, extra=extra)
    except ValidationError as error:
        # From None: pydantic's own error shows the values, which may be secret; and tracebacks are sent and logged.
        raise PayloadRefused(what, problems_of(error)) from None


def problems_of(error: ValidationError) -> str:
    """What is wrong where, without the values."""
    return "; ".join(
        f"{'.'.join(str(part) for part in problem['loc']) or 'payload'}: {problem['msg']}"
        for problem in error.errors(include_url=False, include_input=False)
    )


def _may_be_too_deep(raw: bytes) -> bool:
    """What is short, as most is, need not be searched."""
    return len(raw) > 2 * MAX_PAYLOAD_DEPTH and raw.count(b"[") + raw.count(b"{") > MAX_PAYLOAD_DEPTH


def too_deep(value: Any, limit: int) -> bool:
    """Whether anything in it stands in more lists and objects than these."""
    layer = [value]
    for _ in range(limit + 1):
        layer = [
            child
            for item in layer
            if isinstance(item, (dict, list))
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not layer:
            return False
    return True
