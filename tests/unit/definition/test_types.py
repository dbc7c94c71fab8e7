"""A message file is the only description of a message: type checkers see it in steps, sagas and handlers."""

import re
import subprocess
import sys
from pathlib import Path

from local_stack.plan import CHECKOUT

USES = Path(__file__).with_name("seen_by_mypy.py")
EXPECTED = re.compile(r"  # type: ignore\[(.+)\]$")
REFUSED = re.compile(r"^[^:]+:(\d+): error: .*\[([a-z-]+)\]$", re.MULTILINE)


def test_mypy_refuses_what_contradicts_a_message_or_the_saga_s_data_and_nothing_else(tmp_path: Path) -> None:
    lines = USES.read_text(encoding="utf-8").splitlines()
    expected = {
        (number, code)
        for number, line in enumerate(lines, 1)
        if (ignored := EXPECTED.search(line))
        for code in ignored[1].split(", ")
    }
    copy = tmp_path / USES.name
    copy.write_text("\n".join(EXPECTED.sub("", line) for line in lines) + "\n", encoding="utf-8")
    said = what_mypy_says_of(copy)
    assert {(int(number), code) for number, code in REFUSED.findall(said)} == expected, said


def what_mypy_says_of(path: Path) -> str:
    # The configuration and the cache are those of `make check`: after it, little is left to do.
    command = [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", str(path)]
    result = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert result.returncode == 1, result.stdout + result.stderr
    return result.stdout
