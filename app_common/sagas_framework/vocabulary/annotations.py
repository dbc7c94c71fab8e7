"""What annotations say that are written as strings, as far as it can be told now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_type_hints


def annotation_in(annotation: Any, names: Mapping[str, Any]) -> Any:
    """What an annotation is where these names are known; Any, which says nothing, where what it names cannot be looked
    up: it is imported for type checkers only, or stands in a function. Each by itself: the others are still good."""

    def bearer() -> None: ...

    bearer.__annotations__ = {"it": annotation}
    try:
        return get_type_hints(bearer, dict(names), include_extras=True)["it"]
    except (NameError, TypeError, AttributeError, SyntaxError):
        return Any
