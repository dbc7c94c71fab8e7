"""Data of a saga for those who want no dataclass: a mapping of names to JSON values, with attribute access."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from math import isfinite
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from sagas_framework.errors import NotInContext


class SagaContext(MutableMapping[str, Any]):
    """`SagaContext(user="Ada")`: then `context["user"]` and `context.user` are the same, to read and to write.

    It is stored as JSON, so its values are what JSON knows: strings, numbers, true and false, None, lists, and
    dictionaries of these. Names that a mapping uses itself (`items`, `get` and so on) are reached in brackets only.
    """

    def __init__(self, *mapping: Any, **values: Any) -> None:
        object.__setattr__(self, "_values", dict(*mapping, **values))

    # ---- as a mapping ---------------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            raise NotInContext(name, self._values) from None

    def __setitem__(self, name: str, value: Any) -> None:
        self._values[name] = value

    def __delitem__(self, name: str) -> None:
        self[name]
        del self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    # ---- by attributes --------------------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:  # called for what is no method
        if name == "_values":  # a copy in the making has none yet
            raise AttributeError(name)
        return self[name]

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_") or hasattr(type(self), name):
            raise AttributeError(f"{name!r} is what a mapping uses itself; write context[{name!r}] = ...")
        self[name] = value

    def __delattr__(self, name: str) -> None:
        del self[name]

    def __repr__(self) -> str:
        return f"SagaContext({self._values!r})"

    # ---- as JSON --------------------------------------------------------------------------------------------------

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        values = core_schema.dict_schema(core_schema.str_schema(), core_schema.any_schema())
        written = core_schema.plain_serializer_function_ser_schema(json_values)
        return core_schema.no_info_after_validator_function(cls, values, serialization=written)


def json_values(context: SagaContext) -> dict[str, Any]:
    values = dict(context)
    _refuse_what_json_does_not_know("", values)
    return values


def _refuse_what_json_does_not_know(where: str, value: Any) -> None:
    """It would come back as something else: a date as a string."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if not isinstance(name, str):
                raise TypeError(f"{where or 'it'} has the key {name!r}; JSON knows only strings as keys")
            _refuse_what_json_does_not_know(f"{where}.{name}" if where else name, inner)
    elif isinstance(value, (list, tuple)):
        for number, inner in enumerate(value):
            _refuse_what_json_does_not_know(f"{where}.{number}", inner)
    elif not isinstance(value, (str, int, float, type(None))) or (isinstance(value, float) and not isfinite(value)):
        raise TypeError(
            f"{where} is {value!r}, which JSON does not know; "
            "put a string or a number there, or describe the data with a dataclass"
        )
