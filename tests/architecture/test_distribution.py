"""What is published: the framework, all of it and nothing else."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from local_stack.plan import CHECKOUT

PACKAGE = CHECKOUT / "app_common" / "sagas_framework"
NOT_SOURCE = ("__pycache__",)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    # Without isolation: the build backend is in the environment, and no package index is asked.
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(directory)]
    result = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    (wheel,) = directory.glob("*.whl")
    return wheel


def test_the_wheel_holds_the_framework_and_nothing_else(wheel: Path) -> None:
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    expected = {
        f"sagas_framework/{path.relative_to(PACKAGE).as_posix()}"
        for path in PACKAGE.rglob("*")
        if path.is_file() and not set(path.parts) & set(NOT_SOURCE)
    }
    assert packed == expected
    assert "sagas_framework/py.typed" in packed


def test_whoever_installs_the_wheel_alone_can_import_it(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import sagas_framework; from sagas_framework import Saga; "
        f"assert sagas_framework.__file__.startswith({str(tmp_path)!r}), sagas_framework.__file__"
    )
    result = subprocess.run(
        [sys.executable, "-I", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", ["celery", "kombu"])
def test_no_version_is_allowed_whose_inside_nobody_tested(name: str) -> None:
    """The workers lean on what Celery and Kombu do not document: the floor is the minor that was tested."""
    allowed = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    (requirement,) = [entry for entry in allowed if re.match(rf"{name}\b", entry)]
    constraints = (CHECKOUT / "constraints.txt").read_text(encoding="utf-8")
    tested = re.search(rf"^{name}==(\d+)\.(\d+)\.", constraints, re.MULTILINE)
    assert tested is not None
    major, minor = tested.groups()
    assert requirement.endswith(f">={major}.{minor},<{int(major) + 1}")


def test_no_committed_file_names_a_machine_or_a_package_index() -> None:
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if tracked.returncode != 0:
        pytest.skip("not a git checkout")
    suspicious = ("files.pythonhosted" + ".org", "pypi" + ".org/simple", "/home" + "/", "/root" + "/", "/opt" + "/pypi")
    for name in filter(None, tracked.stdout.split("\0")):
        path = CHECKOUT / name
        if not path.is_file() or path.suffix in (".png", ".ico", ".woff2"):
            continue
        text = path.read_text(encoding="utf-8")
        found = [word for word in suspicious if word in text]
        assert not found, f"{name} names {found}"
