"""Documents kept in a directory, and whether they still say what the code says."""

import re
from pathlib import Path

import pytest

from sagas_framework.asyncapi.keeping import keep, of_no_service, stale
from sagas_framework.asyncapi.source import load
from sagas_framework.errors import ConfigurationError

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


def test_a_kept_file_that_is_no_text_is_stale(tmp_path: Path) -> None:
    keep(DOCUMENTS, tmp_path)
    (tmp_path / "bank.yaml").write_bytes(b"\xff\xfe")
    assert stale(DOCUMENTS, tmp_path) == [tmp_path / "bank.yaml"]


def test_what_is_kept_of_a_service_that_is_not_named_any_more_is_found(tmp_path: Path) -> None:
    assert of_no_service(DOCUMENTS, tmp_path / "none") == []
    keep(DOCUMENTS, tmp_path)
    (tmp_path / "readme.md").touch()
    assert of_no_service(DOCUMENTS, tmp_path) == []
    assert of_no_service({"bank": DOCUMENTS["bank"]}, tmp_path) == [tmp_path / "kitchen.yaml"]


def test_where_nothing_can_be_kept_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "to nowhere").symlink_to(tmp_path / "nowhere" / "at all")
    (tmp_path / "kitchen.yaml").mkdir()
    for directory, said in (
        (tmp_path / "file" / "docs", f"{tmp_path}/file/docs cannot be made: Not a directory"),
        (tmp_path / "to nowhere", f"{tmp_path}/to nowhere cannot be made: File exists"),
        (tmp_path, f"{tmp_path}/kitchen.yaml cannot be written: Is a directory"),
    ):
        with pytest.raises(ConfigurationError, match=f"^{re.escape(said)}$"):
            keep(DOCUMENTS, directory)
