"""A throw-away checkout whose services are stubs: real Celery workers and a real page, but no sagas.

What is tested with it is the local stack alone: starting, refusing, stopping, and that no process is left.
"""

import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import psutil

from local_stack.plan import CHECKOUT, SERVICES, docs_variable

DEADLINE_SECONDS = 60.0

WORKER = """\
import os
from celery import Celery
app = Celery("{service}", broker=os.environ["CELERY_BROKER"])
app.conf.update(worker_pool="solo", task_default_queue="{service}.commands", broker_connection_retry_on_startup=True)
"""
PREPARATION = "print('prepared')\n"
PAGE = """\
import os
from http.server import BaseHTTPRequestHandler, HTTPServer
class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
HTTPServer(("127.0.0.1", int(os.environ["ORDER_SERVICE_PORT"])), Page).serve_forever()
"""


# What the command `sagas` is here: as many servers as it is given ports.
DOCS = """\
import sys, threading
from http.server import BaseHTTPRequestHandler, HTTPServer
class Docs(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
ports = [int(argument.rpartition(":")[2]) for argument in sys.argv if "_service:" in argument]
for port in ports:
    threading.Thread(target=HTTPServer(("127.0.0.1", port), Docs).serve_forever).start()
"""


class Stub:
    def __init__(self, checkout: Path) -> None:
        self.checkout = checkout

    def write(self, path: str, text: str) -> None:
        (self.checkout / path).write_text(text)

    @contextmanager
    def stack(self, port: int, **environment: str) -> Iterator["RunningStack"]:
        log = self.checkout / f"output-{port}"
        with log.open("wb") as output:
            process = self._start(port, environment, output)
        stack = RunningStack(psutil.Process(process.pid), process, log)
        try:
            yield stack
        finally:
            for child in stack.seen:
                if child.is_running():
                    child.kill()
            process.kill()
            process.wait()

    def _start(self, port: int, environment: dict[str, str], output: BinaryIO) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "local_stack"],
            cwd=self.checkout,
            env={
                "PATH": "/usr/bin:/bin",
                "PYTHONPATH": f"{self.checkout}:{self.checkout / 'app_common'}",
                "ORDER_SERVICE_PORT": str(port),
                **{docs_variable(service): str(free_port()) for service in SERVICES},
                **environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


class RunningStack:
    def __init__(self, ps: psutil.Process, process: subprocess.Popen[bytes], log: Path) -> None:
        self._ps = ps
        self._process = process
        self._log = log
        self.seen: set[psutil.Process] = set()

    @property
    def output(self) -> str:
        return self._log.read_text()

    def wait_until_serving(self) -> None:
        self.wait_for(lambda: "Ctrl-C stops everything" in self.output)
        self.seen.update(self._ps.children(recursive=True))

    def wait_for(self, condition: Callable[[], bool]) -> None:
        wait_for(lambda: condition() or self._process.poll() is not None)
        assert condition(), self.output

    def child(self, part_of_command: str) -> psutil.Process:
        (child,) = (child for child in self.seen if part_of_command in " ".join(child.cmdline()))
        return child

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def exit_code(self) -> int:
        return self._process.wait(DEADLINE_SECONDS)

    def left_behind(self) -> list[psutil.Process]:
        return psutil.wait_procs(list(self.seen), timeout=DEADLINE_SECONDS)[1]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@contextmanager
def stub_checkout() -> Iterator[Stub]:
    # Not pytest's tmp_path: its long names would not fit into the address of a unix socket.
    checkout = Path(tempfile.mkdtemp(prefix="stack-"))
    try:
        shutil.copytree(CHECKOUT / "app_common" / "local_stack", checkout / "app_common" / "local_stack")
        stub = Stub(checkout)
        for service in SERVICES:
            (checkout / service).mkdir()
            stub.write(f"{service}/__init__.py", "")
            stub.write(f"{service}/worker.py", WORKER.format(service=service))
            stub.write(f"{service}/prepare_database.py", PREPARATION)
        stub.write("order_service/web.py", PAGE)
        (checkout / "app_common" / "sagas_framework" / "cli").mkdir(parents=True)
        stub.write("app_common/sagas_framework/__init__.py", "")
        stub.write("app_common/sagas_framework/cli/__main__.py", DOCS)
        yield stub
    finally:
        shutil.rmtree(checkout)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        assert isinstance(port, int)
        return port
