"""A Redis of one's own: the embedded server on a unix socket, stopped and deleted afterwards."""

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from local_stack import redis_server

START_SECONDS = 10.0


@contextlib.contextmanager
def embedded_redis() -> Iterator[str]:
    """The broker URL. Raises StackError where no server is to be found."""
    executable = redis_server.find_executable()
    state = Path(tempfile.mkdtemp(prefix="sagas-", dir="/tmp"))  # a unix socket's path must be short
    process = subprocess.Popen(redis_server.command(executable, state), cwd=state, stdout=subprocess.DEVNULL)
    try:
        _wait_until_it_answers(process, redis_server.socket_path(state))
        yield f"redis+socket://{redis_server.socket_path(state)}"
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(state, ignore_errors=True)


def _wait_until_it_answers(process: subprocess.Popen[bytes], socket: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not redis_server.answers(socket):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the embedded Redis did not answer on {socket} (exit status {process.poll()})")
        time.sleep(0.02)
