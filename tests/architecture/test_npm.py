"""What is asked of npm is pinned, whole, and without addresses: each machine asks the registry it is set up with."""

import json
import re
from pathlib import Path

import pytest

from local_stack.plan import CHECKOUT

MOST_BYTES = 200_000
LOCKS = [
    path
    for folder in ("tests", "tools")
    for path in sorted((CHECKOUT / folder).rglob("package-lock.json"))
    if "node_modules" not in path.parts
]


@pytest.fixture(params=LOCKS, ids=lambda path: str(path.relative_to(CHECKOUT)))
def lock(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_a_lock_knows_the_content_of_each_package_and_no_address(lock: Path) -> None:
    packages = json.loads(lock.read_text())["packages"]
    installed = {name: package for name, package in packages.items() if name}
    assert installed
    assert all("integrity" in package and "resolved" not in package for package in installed.values())
    assert len(lock.read_bytes()) < MOST_BYTES


def test_what_is_asked_for_has_one_version_and_the_lock_is_of_it(lock: Path) -> None:
    asked = json.loads((lock.parent / "package.json").read_text())["dependencies"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in asked.values())
    assert json.loads(lock.read_text())["packages"][""]["dependencies"] == asked
