"""Where a document comes from: a file, or the module of a service."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from sagas_framework.asyncapi.document import Document
from sagas_framework.asyncapi.specification import Specification
from sagas_framework.errors import ConfigurationError, in_one_line

SUFFIXES = (".yaml", ".yml", ".json")
MAX_FILE_BYTES = 8 * 1024 * 1024
MODULE = "asyncapi_specification"
_ATTRIBUTE = "specification"
_HOWTO = "docs/howto/publish-contracts.md"


def load(source: str, import_module: Callable[[str], Any] = importlib.import_module) -> Document:
    """`source`: the path of a .yaml, .yml or .json file, or a service's package (`restaurant_service`) or module."""
    if source.endswith(SUFFIXES):
        return _read(Path(source))
    return specification_of(source, import_module).document()


def specification_of(name: str, import_module: Callable[[str], Any] = importlib.import_module) -> Specification:
    """The `specification` of a module, or of the `asyncapi_specification` in a package."""
    module = name if name.rpartition(".")[2] == MODULE else f"{name}.{MODULE}"
    try:
        found = getattr(import_module(module), _ATTRIBUTE, None)
    except Exception as error:
        if _is_lack_of(module, error):
            raise ConfigurationError(
                f"there is no module {module}; write one that says {_ATTRIBUTE} = Specification(...), as in {_HOWTO}"
            ) from error
        raise
    if not isinstance(found, Specification):
        raise ConfigurationError(f"{name} has no {MODULE}.{_ATTRIBUTE}; make one: {_ATTRIBUTE} = Specification(...)")
    return found


def _is_lack_of(module: str, error: Exception) -> bool:
    """Not of its package, or of what it imports itself. The command line's importer has a cause for what it says."""
    missing = error if isinstance(error, ModuleNotFoundError) else error.__cause__
    return isinstance(missing, ModuleNotFoundError) and missing.name == module


def _read(path: Path) -> Document:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ConfigurationError(f"{path} is larger than {MAX_FILE_BYTES} bytes: no document of a service is")
        # JSON is YAML, too. The safe loader makes nothing but lists, mappings and scalars.
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path} is no YAML: {in_one_line(error)}") from error
    except RecursionError as error:
        raise ConfigurationError(f"{path} is nested too deeply: no document of a service is") from error
    if not isinstance(document, dict) or not str(document.get("asyncapi", "")).startswith("3."):
        raise ConfigurationError(f"{path} is no document of AsyncAPI 3")
    return document


class _Loader(yaml.SafeLoader):
    """Without aliases: a few lines of them unfold into more than any memory holds."""

    def compose_node(self, parent: Any, index: int) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it uses aliases (*name); documents are read without them")
        return super().compose_node(parent, index)
