"""Documents kept in a directory, and whether they still say what the code says."""

from pathlib import Path

from sagas_framework.asyncapi.keeping import keep, stale
from sagas_framework.asyncapi.source import load

DOCUMENTS = {name: {"asyncapi": "3.0.0", "info": {"title": name}} for name in ("kitchen", "bank")}


def test_what_was_kept_is_read_again_and_not_stale(tmp_path: Path) -> None:
    directory = tmp_path / "docs" / "asyncapi"
    assert keep(DOCUMENTS, directory) == [directory / "kitchen.yaml", directory / "bank.yaml"]
    assert load(str(directory / "kitchen.yaml")) == DOCUMENTS["kitchen"]
    assert stale(DOCUMENTS, directory) == []
    assert keep(DOCUMENTS, directory) == []


def test_what_has_changed_or_is_missing_is_stale_until_it_is_kept(tmp_path: Path) -> None:
    keep(DOCUMENTS, tmp_path)
    (tmp_path / "bank.yaml").unlink()
    changed = DOCUMENTS | {"kitchen": {"asyncapi": "3.0.0", "info": {"title": "Galley"}}}
    outdated = [tmp_path / "kitchen.yaml", tmp_path / "bank.yaml"]
    assert stale(changed, tmp_path) == outdated
    assert keep(changed, tmp_path) == outdated
    assert stale(changed, tmp_path) == []


def test_looking_writes_nothing(tmp_path: Path) -> None:
    assert len(stale(DOCUMENTS, tmp_path / "none")) == 2
    assert not (tmp_path / "none").exists()
