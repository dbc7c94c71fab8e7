"""Arguments that several commands share."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import click

from sagas_framework.errors import UnknownSaga
from sagas_framework.operations import Operations
from sagas_framework.vocabulary import json_text
from sagas_framework.vocabulary.identity import is_saga_id

SHORTEST_PREFIX = 8
_SECONDS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400}

NUMBER = click.IntRange(1, 2**63 - 1)
"""Of a row; no database holds a larger one."""


def age(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """`90`, `90s`, `5m`, `2h`, `1d`: a number of seconds."""
    if value is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", value.strip().lower())
    if found is None or found[2] not in _SECONDS:
        raise click.BadParameter(f"{value!r} is not a duration; write for example 90s, 5m, 2h or 1d")
    return float(found[1]) * _SECONDS[found[2]]


def json_value(context: click.Context, parameter: click.Parameter, value: str) -> Any:
    try:
        return json_text.loads(value)
    except ValueError as error:
        raise click.BadParameter(f"it is not JSON: {error}") from error


def reason_option(*, required: bool) -> Callable[[Any], Any]:
    """A reason that says something: it stands in the saga's history."""

    def not_blank(context: click.Context, parameter: click.Parameter, value: str | None) -> str:
        text = (value or "").strip()
        if required and not text:
            raise click.BadParameter("say why: it stands in the history for those who come after you")
        return text

    what = "Why; it stands in the history."
    return click.option("--reason", metavar="TEXT", required=required, callback=not_blank, help=what)


saga_argument = click.argument("saga", metavar="ID")


def full_id(operations: Operations, text: str) -> str:
    """The id that was meant: whole, or its beginning."""
    asked = text.strip().lower()
    if is_saga_id(asked):
        return asked
    if len(asked) < SHORTEST_PREFIX:
        raise click.UsageError(
            f"{text!r} is too short: give the whole id or at least its first {SHORTEST_PREFIX} characters"
        )
    found = operations.ids_beginning_with(asked)
    if not found:
        raise UnknownSaga(text)
    if len(found) > 1:
        candidates = ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")
        raise click.ClickException(f"several sagas begin with {text!r}: {candidates}; give more characters")
    return found[0]
