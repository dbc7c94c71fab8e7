"""The set-up script before anything of ours can be imported: what is missing is one line that says what to do."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from local_stack.plan import CHECKOUT

OLD_PYTHON = """\
#!/bin/sh
[ "$1" = --version ] && echo "Python 3.9.2" && exit 0
exit 1
"""
PYTHON_WITHOUT_VENV = f"""\
#!/bin/sh
case "$2" in *ensurepip*) exit 1 ;; esac
exec {sys.executable} "$@"
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    checkout = tmp_path / "a checkout"  # with a space, as people have them
    (checkout / "tools").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "tools/set_up.sh"):
        shutil.copy(CHECKOUT / name, checkout / name)
    # What the set-up ends with has tests of its own.
    (checkout / "tools" / "asyncapi_page").mkdir()
    (checkout / "tools" / "asyncapi_page" / "install.sh").touch()
    return checkout


def make(checkout: Path, target: str, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    # Without what a `make test` around this test has put there.
    environ = {key: value for key, value in os.environ.items() if not key.startswith("MAKE") and key != "MFLAGS"}
    command = ["make", "--silent", target, f"PYTHON={python}"]
    return subprocess.run(command, cwd=checkout, env=environ, capture_output=True, text=True, check=False)


def fake_python(tmp_path: Path, script: str) -> str:
    path = tmp_path / "python-that-is-not-enough"
    path.write_text(script)
    path.chmod(0o755)
    return str(path)


def test_an_old_python_is_named_with_what_is_needed(checkout: Path, tmp_path: Path) -> None:
    result = make(checkout, "set-up", fake_python(tmp_path, OLD_PYTHON))
    assert result.returncode != 0
    assert result.stderr.splitlines()[0] == (
        "set-up: Python 3.9.2 is too old; Python 3.11 or later is needed: make PYTHON=python3.11"
    )
    assert not (checkout / ".venv").exists()


def test_a_python_without_venv_says_what_to_install(checkout: Path, tmp_path: Path) -> None:
    result = make(checkout, "set-up", fake_python(tmp_path, PYTHON_WITHOUT_VENV))
    assert result.returncode != 0
    assert "apt install python3-venv" in result.stderr.splitlines()[0]


def test_no_python_at_all_says_what_to_install(checkout: Path) -> None:
    result = make(checkout, "set-up", "no-such-python")
    assert result.returncode != 0
    assert result.stderr.splitlines()[0].startswith("set-up: there is no no-such-python here; install Python 3.11")


def test_an_environment_that_is_up_to_date_is_left_alone(checkout: Path) -> None:
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "bin" / "python").symlink_to(sys.executable)
    files = ("pyproject.toml", "constraints.txt", "tools/set_up.sh")
    content = b"".join((checkout / name).read_bytes() for name in files)
    checksum = subprocess.run(["cksum"], input=content, capture_output=True, check=True).stdout.decode().strip()
    (checkout / ".venv" / ".ready-dev").write_text(f"{checkout} with {sys.executable} {checksum}\n")
    for target in ("set-up", "set-up-dev"):  # what the tests need holds all that the demo needs
        result = make(checkout, target)
        assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_make_alone_lists_what_can_be_made(checkout: Path) -> None:
    result = make(checkout, "help")
    for target in ("demo", "smoke", "test", "check", "clean"):
        assert f"make {target}" in result.stdout


def test_every_library_is_pinned_by_name_and_version_only() -> None:
    lines = [line for line in (CHECKOUT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert lines
    for line in lines:
        name, _, version = line.partition("==")
        assert name.replace("-", "").replace("_", "").replace(".", "").isalnum(), line
        assert version and "/" not in version and "@" not in version, line
