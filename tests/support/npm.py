"""Tools of npm that tests ask. They are pinned in tests/npm and lie in .local/tools; where there is no npm,
tests skip."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local_stack.plan import CHECKOUT
from tests.support.missing import missing_of_npm

HOME = CHECKOUT / "tests" / "npm"
MODULES = CHECKOUT / ".local" / "tools" / "node_modules"


def module(name: str) -> Path:
    """The folder of a package; or the test skips."""
    path = MODULES / name
    if not path.is_dir():
        missing_of_npm(f"{name} is not installed (sh {HOME.relative_to(CHECKOUT)}/install.sh)")
    return path


def answer_of(script: str, question: Any, needs: str) -> Any:
    """What a script in tests/npm writes to standard output when it reads the question from standard input, in JSON."""
    module(needs)
    node = shutil.which("node")
    if node is None:
        missing_of_npm("no node on the PATH")
    environment: Mapping[str, str] = {"NODE_PATH": str(MODULES)}
    done = subprocess.run(
        [node, str(HOME / script)], input=json.dumps(question), env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
