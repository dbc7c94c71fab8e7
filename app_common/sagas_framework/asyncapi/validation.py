"""Whether a document is one of AsyncAPI and holds together: its keys, references, schemas and examples, and
asyncapi-python's own rules."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from sagas_framework.asyncapi.document import VERSION, Document, to_yaml
from sagas_framework.asyncapi.references import pointer, references, resolved
from sagas_framework.asyncapi.shape import misshapen
from sagas_framework.errors import ConfigurationError, in_one_line

Place = tuple[str | int, ...]

MAX_TEXT = 300  # characters: a message of jsonschema holds the whole value that it is about
_DOCUMENT = "urn:document"
_FORMATS = ("date", "email", "ipv4", "ipv6", "regex", "uuid")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


class Severity(StrEnum):
    """In the order in which they are told; asyncapi-python's words."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True)
class Problem:
    """What is wrong where, and which of the validators said so."""

    severity: Severity
    where: str
    what: str
    said_by: str

    def __str__(self) -> str:
        return f"{self.severity:<8} {self.where}: {self.what} ({self.said_by})"


def problems(document: Document) -> list[Problem]:
    """All that is wrong, errors first. What builds on something broken is not looked at before that is mended."""
    try:
        import asyncapi_python_codegen  # noqa: F401
        import jsonschema  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "validating documents needs an extra: pip install 'sagas-framework[asyncapi-tools]'"
        ) from error
    if found := list(_misshapen(document)):
        return found
    found = list(_broken_references(document)) or list(_bad_schemas(document)) or list(_bad_examples(document))
    if not any(problem.said_by == "references" for problem in found):
        found += _broken_rules(document)
    return sorted(found, key=lambda problem: list(Severity).index(problem.severity))


def _misshapen(document: Document) -> Iterator[Problem]:
    for place, what in misshapen(document):
        yield Problem(Severity.ERROR, pointer(*place), _short(what), f"AsyncAPI {VERSION}")


def _broken_references(document: Document) -> Iterator[Problem]:
    for place, reference in references(document):
        try:
            resolved(document, {"$ref": reference})
        except ConfigurationError as error:
            yield Problem(Severity.ERROR, pointer(*place), str(error), "references")


# ---- schemas and examples ----------------------------------------------------------------------------------------


def _messages(document: Document) -> Iterator[tuple[str, Place, Mapping[str, Any]]]:
    """Each message once, with its name and its place: most are components, some stand in a channel."""
    channels = _part(document, "channels")
    # What stands beside a `$ref` is nobody's: it may be anything.
    in_channels = [("channels", name, "messages") for name, channel in channels.items() if "$ref" not in channel]
    for place in (("components", "messages"), *in_channels):
        for name, message in _part(document, *place).items():
            if "$ref" not in message:
                yield name, (*place, name), message


def _part(document: Document, *steps: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = document
    for step in steps:
        found = found.get(step, {})
    return found


def _schemas(document: Document) -> Iterator[tuple[Place, Any]]:
    """The outermost schemas: what is inside them is looked at with them."""
    for name, schema in _part(document, "components", "schemas").items():
        yield ("components", "schemas", name), schema
    for _, place, message in _messages(document):
        for part in ("payload", "headers"):
            if part in message:
                yield (*place, part), message[part]


def _bad_schemas(document: Document) -> Iterator[Problem]:
    from jsonschema import Draft7Validator

    rules = Draft7Validator(Draft7Validator.META_SCHEMA, format_checker=Draft7Validator.FORMAT_CHECKER)
    for place, schema in _schemas(document):
        for error in rules.iter_errors(schema):
            yield Problem(Severity.ERROR, pointer(*place, *error.path), _short(error.message), "jsonschema")


def _bad_examples(document: Document) -> Iterator[Problem]:
    check = _Examples(document)
    for name, place, message in _messages(document):
        for number, example in enumerate(message.get("examples", ()), 1):
            for part in ("payload", "headers"):
                if part in example and part in message:
                    yield from check((*place, part), example[part], f"{name} example {number} {part}")
    for place, schema in _schemas(document):
        for inner, examples in _examples_in(schema, place):
            for number, example in enumerate(examples, 1):
                yield from check(inner, example, f"{pointer(*inner)} example {number}")


def _examples_in(schema: Any, place: Place) -> Iterator[tuple[Place, list[Any]]]:
    if isinstance(schema, Mapping):
        if isinstance(schema.get("examples"), list):
            yield place, schema["examples"]
        for key, value in schema.items():
            if key not in ("const", "enum", "default", "examples") or place[-1] == "properties":
                yield from _examples_in(value, (*place, key))
    elif isinstance(schema, list):
        for index, value in enumerate(schema):
            yield from _examples_in(value, (*place, index))


class _Examples:
    """Checks values against schemas that stand in the document and may refer to all of it."""

    def __init__(self, document: Document) -> None:
        from jsonschema import FormatChecker
        from referencing import Registry
        from referencing.jsonschema import DRAFT7

        self._registry: Any = Registry().with_resource(_DOCUMENT, DRAFT7.create_resource(document))
        self._formats = FormatChecker(_FORMATS)
        self._formats.checks("date-time", raises=ValueError)(_is_moment)  # jsonschema needs one more library for that

    def __call__(self, place: Place, value: Any, where: str) -> Iterator[Problem]:
        from jsonschema import Draft7Validator
        from jsonschema.exceptions import best_match
        from referencing.exceptions import Unresolvable

        schema = {"$ref": _DOCUMENT + pointer(*place)}
        validator = Draft7Validator(schema, registry=self._registry, format_checker=self._formats)
        try:
            for error in validator.iter_errors(value):
                closest = best_match([error])
                inside = closest.json_path.removeprefix("$")
                yield Problem(Severity.ERROR, where + inside, _short(closest.message), "jsonschema")
        except (Unresolvable, RecursionError) as error:  # an `$id` that moves its references, an `allOf` of itself
            yield Problem(Severity.ERROR, where, f"it cannot be checked: {in_one_line(error)}", "jsonschema")


def _is_moment(value: object) -> bool:
    """RFC 3339: a moment without its offset from UTC is none."""
    return not isinstance(value, str) or (bool(_MOMENT.fullmatch(value)) and bool(datetime.fromisoformat(value)))


def _short(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "..."


# ---- asyncapi-python ---------------------------------------------------------------------------------------------


def _broken_rules(document: Document) -> Iterator[Problem]:
    """What asyncapi-python says. It reads files only, and keeps each in mind by its path for as long as the process
    lives: so the name of ours follows from what is in it."""
    from asyncapi_python_codegen.parser import extract_all_operations
    from asyncapi_python_codegen.validation import validate_spec

    text = to_yaml(document)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{hashlib.sha256(text.encode()).hexdigest()}.yaml"
        path.write_text(text, encoding="utf-8")
        operations = None
        try:
            operations = extract_all_operations(path, validate=False)  # where it validates, it prints as well
        except (ValueError, RuntimeError) as error:
            yield Problem(Severity.ERROR, "#/operations", in_one_line(error), "asyncapi-python")
        for issue in validate_spec(document, operations, path, fail_on_error=False):
            what = issue.message + (f"; {issue.suggestion}" if issue.suggestion else "")
            yield Problem(Severity(issue.severity.value), issue.path, _short(what), "asyncapi-python")
