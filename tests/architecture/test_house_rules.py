"""The rules of the house that no ready-made tool checks."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_stack.plan import CHECKOUT, SERVICES

# Guides, with some room: what is longer has grown a second subject.
MAX_MODULE_LINES = 330
MAX_FUNCTION_LINES = 50

SOURCES = ("app_common", "examples", *SERVICES)


def modules() -> list[Path]:
    """All code but the migrations: what was released is never changed again, however long it is."""
    found = (path for source in SOURCES for path in (CHECKOUT / source).rglob("*.py"))
    return sorted(path for path in found if path.parent.name != "versions")


def relative(path: Path) -> str:
    return path.relative_to(CHECKOUT).as_posix()


@pytest.mark.parametrize("path", modules(), ids=relative)
def test_a_module_is_short_and_so_are_its_functions(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= MAX_MODULE_LINES
    for function in functions(ast.parse(text)):
        assert function.end_lineno is not None
        lines = function.end_lineno - function.lineno + 1
        assert lines <= MAX_FUNCTION_LINES, f"{function.name} in line {function.lineno} has {lines} lines"


@pytest.mark.parametrize("path", modules(), ids=relative)
def test_no_error_is_swallowed(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"a bare except in line {node.lineno}"
            is_broad = isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException")
            does_nothing = all(isinstance(statement, ast.Pass) for statement in node.body)
            assert not (is_broad and does_nothing), f"an error vanishes in line {node.lineno}"


def test_every_package_of_the_framework_says_what_belongs_in_it() -> None:
    for path in sorted((CHECKOUT / "app_common" / "sagas_framework").rglob("__init__.py")):
        assert ast.get_docstring(ast.parse(path.read_text())), relative(path)


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
