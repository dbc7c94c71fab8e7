"""An example as whoever reads its README meets it: the one command, and what it prints."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from local_stack.plan import CHECKOUT

OWN_CHOICES = ("CELERY_BROKER", "_DATABASE_URL", "_PORT")


def as_printed(example: str) -> tuple[str, str]:
    """The command that the README names, and what it says that the command prints: its first two blocks."""
    readme = (CHECKOUT / "examples" / example / "README.md").read_text()
    command, output = re.findall(r"^```\w*\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)[:2]
    return command.strip(), output


def run_example(example: str) -> str:
    """What the README's command prints; nothing of it is left afterwards."""
    command, _ = as_printed(example)
    program, *arguments = command.split()
    assert program == ".venv/bin/python", command
    chosen = {key: value for key, value in os.environ.items() if not key.endswith(OWN_CHOICES)}
    # Not pytest's tmp_path: its long names would not fit into the address of a unix socket.
    with tempfile.TemporaryDirectory(prefix="x-") as directory:
        result = subprocess.run(
            [sys.executable, *arguments],
            cwd=CHECKOUT,
            env={**chosen, "PYTHONPATH": f"{CHECKOUT}:{CHECKOUT / 'app_common'}", "TMPDIR": directory},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        assert "Traceback" not in result.stderr
        assert list(Path(directory).iterdir()) == []
    return result.stdout
