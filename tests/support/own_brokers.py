"""Brokers that a test may kill: a Redis on a unix socket, a RabbitMQ node of one's own."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local_stack import redis_server
from local_stack.health import free_port
from tests.support.missing import missing
from tests.support.servers import HOST

READY_SECONDS = 60.0
RABBITMQ_SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


class OwnBroker:
    """A broker as a child process. What it had confirmed is there again after `kill` and `start`."""

    url: str

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.directory / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                env=self.environment(),
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + READY_SECONDS
        while not self.answers():
            assert self._process.poll() is None, (self.directory / "broker.log").read_text()[-2000:]
            assert time.monotonic() < deadline, "the broker does not answer"
            time.sleep(0.05)

    @property
    def process_id(self) -> int:
        assert self._process is not None, "the broker is not running"
        return self._process.pid

    def kill(self) -> None:
        """SIGKILL to the broker and whatever it has started."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def answers(self) -> bool:
        raise NotImplementedError


class OwnRedis(OwnBroker):
    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.url = f"redis+socket://{redis_server.socket_path(directory)}"

    def command(self) -> list[str]:
        return redis_server.command(redis_server.find_executable(), self.directory)

    def answers(self) -> bool:
        return redis_server.answers(redis_server.socket_path(self.directory))


class OwnRedisOnTcp(OwnRedis):
    """The same server behind a port, as one that is shared by several machines."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._port = free_port(HOST)
        self.url = f"redis://{HOST}:{self._port}/0"

    def command(self) -> list[str]:
        return [*super().command(), "--port", str(self._port)]


class OwnRabbitMQ(OwnBroker):
    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.port = free_port(HOST)
        self._distribution_port = free_port(HOST)
        self.url = f"amqp://guest:guest@{HOST}:{self.port}//"
        (directory / "rabbitmq.conf").write_text(f"listeners.tcp.1 = {HOST}:{self.port}\n")
        (directory / "enabled_plugins").write_text("[].")

    def command(self) -> list[str]:
        return [str(RABBITMQ_SERVER)]

    def environment(self) -> dict[str, str]:
        here = self.directory
        return {
            **os.environ,
            "HOME": str(here),
            "RABBITMQ_NODENAME": f"saga-test-{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_MNESIA_BASE": str(here / "mnesia"),
            "RABBITMQ_LOG_BASE": str(here / "log"),
            "RABBITMQ_LOGS": str(here / "log" / "node.log"),
            "RABBITMQ_CONFIG_FILE": str(here / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(here / "enabled_plugins"),
            "RABBITMQ_CONF_ENV_FILE": str(here / "none"),
        }

    def answers(self) -> bool:
        """Whether it speaks AMQP: the port is open a little earlier than that."""
        try:
            with socket.create_connection((HOST, self.port), timeout=1.0) as connection:
                connection.settimeout(2.0)
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                return len(connection.recv(8)) > 0
        except OSError:
            return False


KINDS: dict[str, type[OwnBroker]] = {"redis": OwnRedis, "redis-tcp": OwnRedisOnTcp, "rabbitmq": OwnRabbitMQ}


@contextmanager
def own_broker(kind: str) -> Iterator[OwnBroker]:
    """A broker of that kind, started, in a directory whose path is short enough for a socket."""
    if kind == "rabbitmq" and not RABBITMQ_SERVER.exists():
        missing("no RabbitMQ is installed here whose node a test could start and kill")
    directory = Path(tempfile.mkdtemp(prefix="sagas-"))
    broker = KINDS[kind](directory)
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()
        shutil.rmtree(directory, ignore_errors=True)
