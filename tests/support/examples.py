"""An example as whoever reads its README meets it: the one command, and what it prints."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local_stack.plan import CHECKOUT

OWN_CHOICES = ("CELERY_BROKER", "_DATABASE_URL", "_PORT")


def as_printed(example: str) -> tuple[str, str]:
    """The command that the README names, and what it says that the command prints: its first two blocks."""
    readme = (CHECKOUT / "examples" / example / "README.md").read_text()
    command, output = re.findall(r"^```\w*\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)[:2]
    return command.strip(), output


@contextmanager
def started(example: str) -> Iterator[subprocess.Popen[str]]:
    """The README's command as a process, in a temporary folder of its own: nothing may be left in it afterwards."""
    program, *arguments = as_printed(example)[0].split()
    assert program == ".venv/bin/python", program
    chosen = {key: value for key, value in os.environ.items() if not key.endswith(OWN_CHOICES)}
    # Not pytest's tmp_path: its long names would not fit into the address of a unix socket.
    with tempfile.TemporaryDirectory(prefix="x-") as directory:
        with subprocess.Popen(
            [sys.executable, *arguments],
            cwd=CHECKOUT,
            env={**chosen, "PYTHONPATH": f"{CHECKOUT}:{CHECKOUT / 'app_common'}", "TMPDIR": directory},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()
        assert list(Path(directory).iterdir()) == []


def run_example(example: str) -> str:
    """What the README's command prints."""
    with started(example) as process:
        output, complaints = process.communicate()
    assert process.returncode == 0, complaints
    assert "Traceback" not in complaints
    return output
