"""Whether a value that was read back from its JSON is the one that was written: the same values, of the same types."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from functools import cache
from itertools import count
from operator import attrgetter
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
    dataclass may compare as it likes."""
    kind = type(sent)
    if kind is not type(read):
        return _unlike_mappings(sent, read) if isinstance(read, Mapping) else _unlike_types(sent, read)
    if kind is list or kind is tuple:
        return _first(count(), sent, read) if len(sent) == len(read) else Unlike(sent, read)
    parts = _parts_of(kind)  # type: ignore[arg-type]  # mypy takes no class for hashable
    if parts is not None:
        names, values = parts
        return _first(names, values(sent), values(read))
    if kind is datetime:
        return None if _when(sent) == _when(read) else Unlike(sent, read)
    if issubclass(kind, (dict, Mapping)):
        return _unlike_mappings(sent, read)
    return None if sent == read else Unlike(sent, read)


def _first(names: Iterable[object], sent: Iterable[Any], read: Iterable[Any]) -> Unlike | None:
    for name, one, other in zip(names, sent, read, strict=False):
        kind = type(one)
        if kind in _PLAIN and kind is type(other) and one == other:  # most are: a call less for each
            continue
        found = unlike(one, other)
        if found is not None:
            return found.inside(name)
    return None


@cache
def _parts_of(kind: type[Any]) -> tuple[tuple[str, ...], Callable[[Any], Iterable[Any]]] | None:
    """The names of a dataclass's fields, and how to get at their values."""
    if not is_dataclass(kind):
        return None
    names = tuple(field.name for field in fields(kind))
    values = attrgetter(*names) if len(names) > 1 else lambda value: [getattr(value, name) for name in names]
    return names, values


def _when(moment: datetime) -> tuple[Any, Any]:
    """In the hour that summer time repeats, Python holds moments of different zones for unequal, whatever they are."""
    return moment.utcoffset(), moment.replace(tzinfo=None)


def _unlike_mappings(sent: Any, read: Mapping[Any, Any]) -> Unlike | None:
    """The kind of mapping does not matter: a defaultdict is as good as a dictionary."""
    if not isinstance(sent, (dict, Mapping)):  # a dictionary is one, and this is how it is told faster
        return Unlike(sent, read)
    return _first(sent, sent.values(), [read.get(key, _MISSING) for key in sent])


def _unlike_types(sent: Any, read: Any) -> Unlike | None:
    """A whole number may stand where a float is declared, and what only subclasses a plain value (a member of a StrEnum
    where a string is declared) is one. What holds other values must be of the very class: a subclass's own are lost."""
    plain = isinstance(sent, type(read)) and type(sent) is not bool and not isinstance(read, (list, tuple))
    if (plain and not is_dataclass(read)) or (type(sent) is int and type(read) is float):
        return None if sent == read else Unlike(sent, read)
    return Unlike(sent, read)
