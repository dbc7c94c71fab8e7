"""Published documents kept in a directory, and whether they still say what the code says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sagas_framework.asyncapi.document import Document, to_yaml
from sagas_framework.errors import ConfigurationError

SUFFIX = ".yaml"


def keep(documents: Mapping[str, Document], directory: Path) -> list[Path]:
    """Writes what is stale to `<directory>/<source>.yaml`, and gives it."""
    with _told(directory, "made"):
        directory.mkdir(parents=True, exist_ok=True)
    changed = stale(documents, directory)
    for name, document in documents.items():
        path = _path(directory, name)
        if path in changed:
            with _told(path, "written"):
                path.write_text(to_yaml(document), encoding="utf-8")
    return changed


def stale(documents: Mapping[str, Document], directory: Path) -> list[Path]:
    """The kept documents that are missing, or say something else."""
    return [
        _path(directory, name) for name, document in documents.items() if _kept(directory, name) != to_yaml(document)
    ]


def of_no_service(documents: Mapping[str, Document], directory: Path) -> list[Path]:
    """The kept documents whose service is not named any more."""
    with _told(directory, "read"):
        return sorted(set(directory.glob(f"*{SUFFIX}")) - {_path(directory, name) for name in documents})


def _kept(directory: Path, name: str) -> str | None:
    path = _path(directory, name)
    with _told(path, "read"):  # what is no text says something else, too
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None


@contextmanager
def _told(path: Path, done: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be {done}: {error.strerror}") from error


def _path(directory: Path, name: str) -> Path:
    return directory / (name + SUFFIX)
