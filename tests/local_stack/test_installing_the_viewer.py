"""What draws the contracts, installed by the set-up: when npm is there, when it is not, and when it fails."""

import shutil
import subprocess
from pathlib import Path

import pytest

from local_stack.plan import BUNDLE, CHECKOUT

SCRIPT = Path("tools", "asyncapi_page", "install.sh")
NEEDED = ("sh", "cat", "cksum", "cp", "dirname", "mkdir", "rm")
NPM = """\
#!/bin/sh
echo called >>"$CALLS"
bundle=.local/asyncapi_page/node_modules/@asyncapi/react-component/browser/standalone
mkdir -p $bundle && echo bundle >$bundle/index.js
"""
FAILING_NPM = """\
#!/bin/sh
echo called >>"$CALLS"
echo "npm error code ENOTFOUND"
exit 1
"""


class Checkout:
    """The script in a checkout with a space in its name, and a machine that has this npm or none."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a checkout"
        self.commands = folder / "commands"
        self.calls = folder / "calls"
        shutil.copytree(CHECKOUT / SCRIPT.parent, self.root / SCRIPT.parent)
        self.commands.mkdir()
        for name in NEEDED:
            found = shutil.which(name)
            assert found is not None
            (self.commands / name).symlink_to(found)

    def has_npm(self, script: str) -> None:
        (self.commands / "npm").write_text(script)
        (self.commands / "npm").chmod(0o755)

    def install(self) -> list[str]:
        """What is said. It never fails: without a viewer the pages show text."""
        result = subprocess.run(
            ["sh", str(self.root / SCRIPT)],
            env={"PATH": str(self.commands), "CALLS": str(self.calls)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (result.returncode, result.stderr) == (0, "")
        return result.stdout.splitlines()

    @property
    def times_npm_ran(self) -> int:
        return len(self.calls.read_text().splitlines()) if self.calls.exists() else 0

    @property
    def is_installed(self) -> bool:
        return (self.root / BUNDLE).is_dir()


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_it_is_installed_once_and_without_a_word(checkout: Checkout) -> None:
    checkout.has_npm(NPM)
    assert checkout.install() == checkout.install() == []
    assert checkout.times_npm_ran == 1
    assert checkout.is_installed


def test_without_npm_one_line_is_said_once_and_npm_is_used_when_it_is_there(checkout: Checkout) -> None:
    (line,) = checkout.install()
    assert "there is no npm" in line and "public CDN" in line
    assert checkout.install() == []
    checkout.has_npm(NPM)
    assert checkout.install() == []
    assert checkout.is_installed


def test_an_npm_that_fails_is_one_line_that_names_its_log_and_is_not_tried_at_every_start(checkout: Checkout) -> None:
    checkout.has_npm(FAILING_NPM)
    (line,) = checkout.install()
    assert ".local/asyncapi_page/npm.log" in line and "public CDN" in line
    assert "ENOTFOUND" in (checkout.root / ".local" / "asyncapi_page" / "npm.log").read_text()
    assert checkout.install() == []
    assert checkout.times_npm_ran == 1
    assert not checkout.is_installed


def test_another_version_in_the_lock_is_installed_anew(checkout: Checkout) -> None:
    checkout.has_npm(NPM)
    checkout.install()
    lock = checkout.root / SCRIPT.parent / "package-lock.json"
    lock.write_text(lock.read_text().replace("3.2.1", "3.2.2"))
    assert checkout.install() == []
    assert checkout.times_npm_ran == 2
