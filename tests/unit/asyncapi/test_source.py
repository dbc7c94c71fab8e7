"""Where documents come from: files and modules, and one line for whatever is none."""

import importlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

from local_stack.plan import CHECKOUT
from sagas_framework import create_participant
from sagas_framework.asyncapi import Specification
from sagas_framework.asyncapi.source import MAX_FILE_BYTES, load, specification_of
from sagas_framework.cli import target
from sagas_framework.errors import ConfigurationError

DOCUMENT = {"asyncapi": "3.0.0", "info": {"title": "A", "version": "1"}}


def write(path: Path, content: str | bytes) -> str:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


@pytest.mark.parametrize("name", ["a.json", "a.yaml", "a.yml"])
def test_a_document_is_read_from_a_file_whatever_its_suffix(tmp_path: Path, name: str) -> None:
    assert load(write(tmp_path / name, json.dumps(DOCUMENT))) == DOCUMENT


def test_a_document_is_read_as_it_was_written(tmp_path: Path) -> None:
    with_tail = "asyncapi: 3.0.0\ninfo: {title: Über, version: '1'}\n"
    assert load(write(tmp_path / "a.yaml", with_tail))["info"] == {"title": "Über", "version": "1"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is no document of AsyncAPI 3"),
        ("[1, 2]", "is no document of AsyncAPI 3"),
        ("just words", "is no document of AsyncAPI 3"),
        ("asyncapi: 2.6.0", "is no document of AsyncAPI 3"),
        ("openapi: 3.0.0", "is no document of AsyncAPI 3"),
        ("{asyncapi: 3.0.0", "is no YAML: while parsing"),
        ("a: b: c", "is no YAML: mapping values are not allowed here"),
        (b"\xff\xfe\x00\xd8", "is no YAML: "),
        ("asyncapi: 3.0.0\n---\nasyncapi: 3.0.0", "is no YAML: expected a single document"),
        ("asyncapi: 3.0.0\nx: !!python/object/apply:os.getcwd []", "is no YAML: could not determine a constructor"),
        ("asyncapi: 3.0.0\nx: &x [1]\ny: *x", "uses aliases"),
        ("a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]", "uses aliases"),
        ("asyncapi: 3.0.0\nx: " + "[" * 5_000, "is nested too deeply"),
    ],
)
def test_what_is_no_document_is_told_in_one_line(tmp_path: Path, content: str | bytes, said: str) -> None:
    path = write(tmp_path / "a.yaml", content)
    with pytest.raises(ConfigurationError, match=said) as refused:
        load(path)
    assert str(refused.value).startswith(path)
    assert "\n" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    for name, said in (("none.yaml", "No such file"), ("folder.yaml", "Is a directory")):
        with pytest.raises(ConfigurationError, match=f"{name} cannot be read: {said}"):
            load(str(tmp_path / name))


def test_a_file_too_large_for_a_document_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a.yaml").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(ConfigurationError, match=f"is larger than {MAX_FILE_BYTES} bytes"):
        load(str(tmp_path / "a.yaml"))


def importing(expected: str, **attributes: Any) -> Any:
    def import_module(name: str) -> Any:
        assert name == expected
        return SimpleNamespace(**attributes)

    return import_module


@pytest.mark.parametrize("name", ["kitchen", "kitchen.asyncapi_specification"])
def test_a_package_and_its_module_name_the_same_document(name: str) -> None:
    made = create_participant("kitchen", broker="memory://", database_url=None, queue="kitchen.commands")
    specification = Specification(made, title="Kitchen", version="1", description="")
    found = load(name, importing("kitchen.asyncapi_specification", specification=specification))
    assert found["info"]["title"] == "Kitchen"


@pytest.mark.parametrize("attributes", [{}, {"specification": {"asyncapi": "3.0.0"}}])
def test_a_module_without_a_specification_is_told_what_to_make(attributes: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"kitchen has no asyncapi_specification\.specification; make one"):
        specification_of("kitchen", importing("kitchen.asyncapi_specification", **attributes))


def package(folder: Path, content: str | None = None) -> str:
    name = f"package_{folder.name}"
    (folder / name).mkdir()
    (folder / name / "__init__.py").touch()
    if content is not None:
        (folder / name / "asyncapi_specification.py").write_text(content)
    return name


@pytest.mark.parametrize("import_module", [importlib.import_module, target.import_module])
def test_a_package_without_the_module_is_told_how_to_write_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, import_module: Any
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    name = package(tmp_path)
    with pytest.raises(ConfigurationError) as refused:
        load(name, import_module)
    assert str(refused.value) == (
        f"there is no module {name}.asyncapi_specification; write one that says specification = Specification(...), "
        "as in docs/howto/publish-contracts.md"
    )
    assert (CHECKOUT / "docs" / "howto" / "publish-contracts.md").is_file()


def test_an_import_that_fails_inside_of_the_module_is_told_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    for source in (package(tmp_path, "import nobody_has_this"), "nobody_has_this"):
        with pytest.raises(ModuleNotFoundError, match="No module named 'nobody_has_this'"):
            load(source)
        with pytest.raises(click.ClickException, match=r"cannot be imported: .* named 'nobody_has_this'"):
            load(source, target.import_module)
