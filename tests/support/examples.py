"""An example as whoever reads its README meets it: the one command, and what it prints."""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
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
def own_surroundings() -> Iterator[tuple[dict[str, str], Path]]:
    """An environment in which nobody has chosen anything yet, and the folder where its temporary files lie."""
    chosen = {key: value for key, value in os.environ.items() if not key.endswith(OWN_CHOICES)}
    # Not pytest's tmp_path: its long names would not fit into the address of a unix socket.
    with tempfile.TemporaryDirectory(prefix="x-") as directory:
        yield {**chosen, "PYTHONPATH": f"{CHECKOUT}:{CHECKOUT / 'app_common'}", "TMPDIR": directory}, Path(directory)


def as_arguments(command: str) -> list[str]:
    """What a README writes for the checkout's environment, for the one in which the tests run."""
    program, *arguments = shlex.split(command)
    assert program == ".venv/bin/python", command
    return [sys.executable, *arguments]


@contextmanager
def started(example: str, extra: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """The README's command as a process; nothing of it may be left afterwards."""
    command, _ = as_printed(example)
    with own_surroundings() as (environment, directory):
        with subprocess.Popen(
            as_arguments(command),
            cwd=CHECKOUT,
            env={**environment, **(extra or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()
        assert list(directory.iterdir()) == []


def run_example(example: str, extra: Mapping[str, str] | None = None) -> str:
    """What the README's command prints."""
    with started(example, extra) as process:
        output, complaints = process.communicate()
    assert process.returncode == 0, complaints + output
    assert "Traceback" not in complaints
    return output
