"""JSON Schema of message classes, in the dialect of AsyncAPI 3 (draft 7), with what is shared lifted into components.

The schemas are pydantic's, of the same adapters that decode: what a document says is what a handler accepts.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from pydantic import TypeAdapter

from sagas_framework.asyncapi.document import Schema, schema_ref
from sagas_framework.asyncapi.names import cleaned
from sagas_framework.errors import DefinitionError
from sagas_framework.vocabulary import codec
from sagas_framework.vocabulary.json_schema import ExactJsonSchema
from sagas_framework.vocabulary.usable import nodes_of


class Schemas:
    """`called` names the classes of messages; the classes within them keep their own names.

    Of several that would have one name, the first in `called` has it. No class is given a name in `taken`.
    """

    def __init__(self, called: Mapping[Any, str], taken: Iterable[str] = ()) -> None:
        found, whole = TypeAdapter.json_schemas(
            [(contract, "validation", codec.adapter_of(contract)) for contract in called],
            ref_template="{model}",
            schema_generator=ExactJsonSchema,
        )
        self._found = {contract: schema for (contract, _), schema in found.items()}
        tops = {schema["$ref"]: called[contract] for contract, schema in self._found.items() if "$ref" in schema}
        definitions: Mapping[str, Schema] = whole.get("$defs", {})
        self._names = _component_names(definitions, tops, taken)
        documented = {key: field_docs(cls) for ref, cls in _dataclasses_in(called).items() for key in _keys_of(ref)}
        self.components = {
            self._names[key]: {
                **self._in_dialect(_described(schema, documented.get(key, {}))),
                "title": self._names[key],
            }
            for key, schema in definitions.items()
        }

    def of(self, contract: Any) -> Schema:
        schema: Schema = self._in_dialect(self._found[contract])
        return schema

    def _in_dialect(self, schema: Any) -> Any:
        """Tuples as draft 7 writes them, references into the components, no titles that only repeat a field's name."""
        if isinstance(schema, list):
            return [self._in_dialect(item) for item in schema]
        if not isinstance(schema, dict):
            return schema
        kept = {key: value for key, value in schema.items() if key not in ("title", "discriminator", "$ref")}
        converted = {
            key: value
            if key in ("default", "const", "enum", "examples", "required")
            else self._of_fields(value)
            if key in ("properties", "patternProperties")
            else self._in_dialect(value)
            for key, value in kept.items()
        }
        if "prefixItems" in converted:
            rest = converted.pop("items", False)
            converted |= {"items": converted.pop("prefixItems"), "additionalItems": rest}
        if "$ref" not in schema:
            return converted
        # What stands beside a reference is not read in draft 7.
        reference = schema_ref(self._names[schema["$ref"]])
        return {**converted, "allOf": [reference]} if converted else reference

    def _of_fields(self, properties: Mapping[str, Any]) -> dict[str, Any]:
        if "$ref" in properties:
            raise DefinitionError(
                "a field called '$ref' cannot be in an AsyncAPI document: who reads it takes the field for a "
                f"reference; give it another alias (it stands beside {sorted(properties.keys() - {'$ref'})})"
            )
        return {name: self._in_dialect(schema) for name, schema in properties.items()}


def _component_names(
    definitions: Mapping[str, Schema], tops: Mapping[str, str], taken: Iterable[str]
) -> dict[str, str]:
    """A name for each definition: pydantic gives classes of one name long ones, `package__module__Class`."""
    names: dict[str, str] = {}
    used = {"", *taken}
    for key in [*tops, *(key for key in definitions if key not in tops)]:
        own = _own_name(key, cleaned(str(definitions[key].get("title", ""))))
        module = key.removesuffix(own).removesuffix("__").rpartition("__")[2].removesuffix("_message")
        long = pascal_case(key)
        numbered = (f"{long}{number}" for number in itertools.count(2))
        candidates = itertools.chain((cleaned(tops.get(key, own)), pascal_case(module) + own, long), numbered)
        names[key] = next(name for name in candidates if name not in used)
        used.add(names[key])
    return names


def _own_name(key: str, class_name: str) -> str:
    """Of `package__module__Class` the class; a class may have such lines in its own name (`Wrap_dict_str__int__`)."""
    return class_name if class_name and key.endswith(f"__{class_name}") else key


def _keys_of(ref: str) -> Iterator[str]:
    """What pydantic calls `package.module.Class:12345`: `Class`, and the long name where there are several of that."""
    long = re.sub(r":\d+", "", ref)
    for name in (re.sub(r"[^.,[\]]+\.", "", long), long):
        yield cleaned(name).replace(".", "__")


def pascal_case(text: str) -> str:
    """`restaurant_service.create_ticket` -> `RestaurantServiceCreateTicket`"""
    words = "".join(character if character.isalnum() else " " for character in text).split()
    return "".join(word[:1].upper() + word[1:] for word in words)


# ---- what the source says of a field --------------------------------------------------------------------------


def _dataclasses_in(contracts: Iterable[Any]) -> dict[str, type[Any]]:
    """By what pydantic refers to them with: an alias that is nothing but a class goes by the alias's name."""
    parts = (node for contract in contracts for _, node in nodes_of(contract))
    return {part["ref"]: part["cls"] for part in parts if part["type"] == "dataclass" and "ref" in part}


def _described(schema: Schema, docs: Mapping[str, str]) -> Schema:
    if not docs:
        return schema
    properties = {
        name: {"description": docs[name], **field} if name in docs else field
        for name, field in schema.get("properties", {}).items()
    }
    return {**schema, "properties": properties}


def field_docs(cls: type[Any]) -> dict[str, str]:
    """The texts below a class's fields, and those of its bases:  amount: int  \"\"\"In whole units.\"\"\"."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        found |= _own_field_docs(base)
    return found


def _own_field_docs(cls: type[Any]) -> dict[str, str]:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    except (OSError, TypeError, SyntaxError):  # made at run time: there is no source
        return {}
    definition = tree.body[0]
    body = definition.body if isinstance(definition, ast.ClassDef) else []
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    }
