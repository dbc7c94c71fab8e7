"""What no JSON could carry: found at start, where it would fail later, message by message."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from itertools import permutations
from typing import Any

from pydantic import TypeAdapter
from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError

from sagas_framework.errors import UnusableContract, in_one_line
from sagas_framework.vocabulary import codec
from sagas_framework.vocabulary.annotations import annotation_in

Schema = dict[str, Any]
"""A pydantic core schema, or a part of one."""

_BROKEN = (PydanticUserError, NameError, TypeError)
_NO_SCHEMAS = ("metadata", "serialization", "default", "config")
_ARRAYS = ("list", "set", "frozenset")
_VALUES: dict[str, tuple[type[Any], ...]] = {"str": (str,), "int": (int,), "float": (int, float)}


def refuse_unusable(contract: Any, what: str) -> None:
    """A type that JSON does not know, a forward reference that leads nowhere, a union of which one member would always
    be read as another."""
    problem = _problem_of(contract)
    if problem is not None:
        raise UnusableContract(f"{what}: {problem}")


def _problem_of(contract: Any) -> str | None:
    try:
        adapter = codec.adapter_of(contract)
        adapter.rebuild()  # names that were not there yet when it was made
        adapter.json_schema()
    except _BROKEN as error:
        return f"{_to_blame(contract, error)} cannot travel as JSON: {in_one_line(error)}"
    parts = list(nodes_of(contract))
    shared = {node["ref"]: node for _, node in parts if "ref" in node}
    for path, node in parts:
        if node["type"] == "generator":  # it would be checked only where somebody iterates
            return f"{path} would be read lazily, unchecked; declare a list[...] or a tuple[..., ...]"
        if node["type"] == "union":
            members = [choice[0] if isinstance(choice, tuple) else choice for choice in node["choices"]]
            for one, other in permutations(members, 2):
                if _is_read_as(one, other, shared):
                    return (
                        f"{path} is {_called(one, shared)} or {_called(other, shared)}, and their JSON is the same: "
                        "the one would be read as the other. Declare only one of them; or, of two classes, give each "
                        'a field that says which it is, kind: Literal["..."] = "..."'
                    )
    return None


def _to_blame(contract: Any, error: Exception) -> str:
    """The class and the field, as far as they can be told."""
    if is_dataclass(contract) and isinstance(contract, type):
        for field in fields(contract):
            if isinstance(error, PydanticUndefinedAnnotation):
                annotation = field.type
                broken = isinstance(annotation, str) and str(error.name) in annotation
            else:
                annotation = annotation_in(field.type, vars(sys.modules[contract.__module__]))
                broken = not _has_schema(annotation)
            if broken:
                return _to_blame(annotation, error) if is_dataclass(annotation) else f"{_name(contract)}.{field.name}"
    return _name(contract)


def _has_schema(annotation: Any) -> bool:
    try:
        TypeAdapter(annotation).json_schema()
    except _BROKEN:
        return False
    return True


def _name(contract: Any) -> str:
    return getattr(contract, "__qualname__", None) or repr(contract)


# ---- pydantic's own schema ------------------------------------------------------------------------------------------


def nodes_of(contract: Any) -> Iterator[tuple[str, Schema]]:
    """Every part of the contract's core schema, with the class and field that it is of."""
    return _nodes(codec.adapter_of(contract).core_schema, _name(contract))


def _nodes(part: Any, path: str) -> Iterator[tuple[str, Schema]]:
    if isinstance(part, dict):
        if part.get("type") == "dataclass" or part.get("type") == "typed-dict":
            path = _name(part["cls"])
        elif part.get("type") == "dataclass-field":
            path = f"{path}.{part['name']}"
        if isinstance(part.get("type"), str):
            yield path, part
        for key, inner in part.items():
            if key not in _NO_SCHEMAS:
                yield from _nodes(inner, path)
    elif isinstance(part, (list, tuple)):
        for inner in part:
            yield from _nodes(inner, path)


def _is_read_as(one: Schema, other: Schema, shared: Mapping[str, Schema]) -> bool:
    """Whether this member of a union is always read as that one: its JSON looks the same and its values do not, or
    it is an enum beside what takes every value of the enum's type."""
    looks, other_looks = _form(one, shared), _form(other, shared)
    if one["type"] == "enum" and list(other_looks) == ["type"]:
        return any(isinstance(member.value, _VALUES.get(other["type"], ())) for member in one["members"])
    return bool(looks == other_looks and _form(one, shared, exact=True) != _form(other, shared, exact=True))


def _form(node: Any, shared: Mapping[str, Schema], within: tuple[str, ...] = (), *, exact: bool = False) -> Any:
    """How its JSON looks, whatever class is made of it (`exact`: and of which)."""
    if isinstance(node, (list, tuple)):
        return [_form(inner, shared, within, exact=exact) for inner in node]
    if not isinstance(node, dict):
        return node
    kind = node.get("type")
    if kind == "definition-ref":
        ref = node["schema_ref"]
        return "itself" if ref in within else _form(shared[ref], shared, (*within, ref), exact=exact)
    if kind == "default":
        return _form(node["schema"], shared, within, exact=exact)
    made = {"of": node.get("cls", kind)} if exact else {}
    if kind == "dataclass":
        listed = {field["name"]: field["schema"] for field in node["schema"]["fields"]}
        return made | {"fields": {name: _form(inner, shared, within, exact=exact) for name, inner in listed.items()}}
    if kind in _ARRAYS or (kind == "tuple" and node.get("variadic_item_index") == 0 and len(node["items_schema"]) == 1):
        items, length = node.get("items_schema"), (node.get("min_length"), node.get("max_length"))
        form = _form(items[0] if isinstance(items, list) else items, shared, within, exact=exact)
        return made | {"items": form, "length": length}
    return {key: _form(value, shared, within, exact=exact) for key, value in node.items() if key not in _NO_SCHEMAS}


def _called(node: Schema, shared: Mapping[str, Schema]) -> str:
    node = shared[node["schema_ref"]] if node["type"] == "definition-ref" else node
    return _name(node["cls"]) if "cls" in node else str(node["type"])
