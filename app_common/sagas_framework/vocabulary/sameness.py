"""Whether a value that was read back from its JSON is the one that was written: the same values, of the same types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from functools import cache
from typing import Any

_MISSING: Any = object()
_PLAIN = frozenset({str, int, bool, float, type(None)})


@dataclass(frozen=True)
class Unlike:
    """The first place where the two part. It shows types only: values may be secret, and end in logs."""

    sent: Any
    read: Any
    path: tuple[str, ...] = ()

    def inside(self, part: object) -> Unlike:
        return Unlike(self.sent, self.read, (str(part), *self.path))

    def __str__(self) -> str:
        where = ".".join(self.path) or "payload"
        if self.read is _MISSING:
            return f"{where}: nobody would read it; the message does not declare it"
        sent, read = type(self.sent), type(self.read)
        read_as = f"another {read.__name__}" if sent is read else f"a {read.__name__}"
        if is_dataclass(sent) and is_dataclass(read):
            advice = 'give each class a field that says which it is: kind: Literal["..."] = "..."'
        else:
            advice = "send what its annotation declares, or declare a type that JSON does not take for another"
        return f"{where}: this {sent.__name__} would be read as {read_as}; {advice}"


def unlike(sent: Any, read: Any) -> Unlike | None:
    """None: they are the same. `==` would not do: it takes True for 1, and an enum's member for its value; and a
    dataclass may compare as it likes.

    Every payload that is sent comes through here. So the loops look at plain values themselves: most are, and a call
    for each would take longer than all the rest."""
    kind = type(sent)
    if kind is not type(read):
        return _unlike_mappings(sent, read) if isinstance(read, Mapping) else _unlike_types(sent, read)
    if kind is list or kind is tuple:
        return _unlike_items(sent, read)
    names = _names_of(kind)  # type: ignore[arg-type]  # mypy takes no class for hashable
    if names is not None:
        for name in names:
            one, other = getattr(sent, name), getattr(read, name)
            if type(one) not in _PLAIN or type(one) is not type(other) or one != other:
                found = unlike(one, other)
                if found is not None:
                    return found.inside(name)
        return None
    if kind is datetime:
        return None if _when(sent) == _when(read) else Unlike(sent, read)
    if issubclass(kind, (dict, Mapping)):
        return _unlike_mappings(sent, read)
    return None if sent == read else Unlike(sent, read)


def _unlike_items(sent: Sequence[Any], read: Sequence[Any]) -> Unlike | None:
    if len(sent) != len(read):
        return Unlike(sent, read)
    for place, one in enumerate(sent):
        other = read[place]
        if type(one) not in _PLAIN or type(one) is not type(other) or one != other:
            found = unlike(one, other)
            if found is not None:
                return found.inside(place)
    return None


@cache
def _names_of(kind: type[Any]) -> tuple[str, ...] | None:
    """The names of a dataclass's fields."""
    return tuple(field.name for field in fields(kind)) if is_dataclass(kind) else None


def _when(moment: datetime) -> tuple[Any, Any]:
    """In the hour that summer time repeats, Python holds moments of different zones for unequal, whatever they are."""
    return moment.utcoffset(), moment.replace(tzinfo=None)


def _unlike_mappings(sent: Any, read: Mapping[Any, Any]) -> Unlike | None:
    """The kind of mapping does not matter: a defaultdict is as good as a dictionary."""
    if not isinstance(sent, (dict, Mapping)):  # a dictionary is one, and this is how it is told faster
        return Unlike(sent, read)
    for key, one in sent.items():
        other = read.get(key, _MISSING)
        if type(one) not in _PLAIN or type(one) is not type(other) or one != other:
            found = unlike(one, other)
            if found is not None:
                return found.inside(key)
    return None


def _unlike_types(sent: Any, read: Any) -> Unlike | None:
    """A whole number may stand where a float is declared, and what only subclasses a plain value (a member of a StrEnum
    where a string is declared) is one. What holds other values must be of the very class: a subclass's own are lost."""
    plain = isinstance(sent, type(read)) and type(sent) is not bool and not isinstance(read, (list, tuple))
    if (plain and not is_dataclass(read)) or (type(sent) is int and type(read) is float):
        return None if sent == read else Unlike(sent, read)
    return Unlike(sent, read)
