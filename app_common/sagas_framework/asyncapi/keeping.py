"""Published documents kept in a directory, and whether they still say what the code says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sagas_framework.asyncapi.document import Document, to_yaml

SUFFIX = ".yaml"


def keep(documents: Mapping[str, Document], directory: Path) -> list[Path]:
    """Writes each document to `<directory>/<source>.yaml`; gives those that have changed."""
    directory.mkdir(parents=True, exist_ok=True)
    changed = stale(documents, directory)
    for name, document in documents.items():
        _path(directory, name).write_text(to_yaml(document), encoding="utf-8")
    return changed


def stale(documents: Mapping[str, Document], directory: Path) -> list[Path]:
    """The kept documents that are missing, or say something else."""
    return [
        _path(directory, name) for name, document in documents.items() if _kept(directory, name) != to_yaml(document)
    ]


def _kept(directory: Path, name: str) -> str | None:
    path = _path(directory, name)
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _path(directory: Path, name: str) -> Path:
    return directory / (name + SUFFIX)
