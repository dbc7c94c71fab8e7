"""Child processes: started, listened to, and stopped for certain."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType

from local_stack import tether
from local_stack.messages import Console, StackError, StopRequested, TookTooLong

TAIL_LINES = 25
POLL_SECONDS = 0.05


class Child:
    """One child process. A thread of its own reads its output, so that it never blocks on a full pipe."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], ready_line: str | None) -> None:
        self.name = name
        self.process = process
        self.is_ready = ready_line is None
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._ready_line = ready_line
        self._reader: threading.Thread | None = None

    @property
    def exit_code(self) -> int | None:
        return self.process.poll()

    def listen(self, show: Callable[[str], None] | None) -> None:
        """Shows the child's lines once it is ready; what came before is kept for the case that it fails."""
        self._reader = threading.Thread(target=self._read, args=(show,), name=f"log of {self.name}", daemon=True)
        self._reader.start()

    def _read(self, show: Callable[[str], None] | None) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for raw in output:
                line = raw.decode(errors="replace").rstrip()
                if not line:
                    continue
                self.tail.append(line)
                if self.is_ready and show is not None:
                    show(line)
                if self._ready_line is not None and line.endswith(self._ready_line):
                    self.is_ready = True

    def last_lines(self) -> list[str]:
        if self._reader is not None:
            self._reader.join(timeout=1.0)  # a child that died has said all it will say
        return list(self.tail)


class Supervisor:
    """All children of one stack. Restarts nothing: what dies ends the stack, in so many words."""

    def __init__(self, console: Console, directory: Path, environment: Mapping[str, str]) -> None:
        self._console = console
        self._directory = directory
        self._environment = dict(environment)
        self._children: dict[str, Child] = {}
        self._stop_signal: int | None = None
        self._hurried = False

    def stop_on_signals(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        # Only a mark: an exception raised here could hit between the start of a child and its entry in the
        # list.
        self._hurried = self._stop_signal is not None
        self._stop_signal = number

    def start(
        self, name: str, command: Sequence[str], *, ready_line: str | None = None, show_output: bool = True
    ) -> Child:
        """`ready_line`: the child is ready when a line of its output ends like this."""
        child = self._start(name, command, ready_line, subprocess.PIPE)
        child.listen((lambda line: self._console.line(name, line)) if show_output else None)
        return child

    def _start(self, name: str, command: Sequence[str], ready_line: str | None, output: int | None) -> Child:
        process = subprocess.Popen(
            [sys.executable, "-I", tether.__file__, str(os.getpid()), *command],
            cwd=self._directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=None if output is None else subprocess.STDOUT,
            # Ctrl-C reaches a whole session; the children must be stopped in order instead, Redis after its
            # users.
            start_new_session=True,
        )
        child = Child(name, process, ready_line)
        self._children[name] = child
        return child

    def check(self) -> None:
        """Raises when the stack is asked to stop or when a child has died."""
        if self._stop_signal is not None:
            raise StopRequested
        for child in self._children.values():
            if child.exit_code is not None:
                raise self.failure(child)

    def failure(self, child: Child) -> StackError:
        self.show_tail(child)
        return StackError(f"{child.name} ended by itself, {described(child.exit_code)}; see its last lines above")

    def show_tail(self, child: Child) -> None:
        for line in child.last_lines():
            self._console.line(child.name, line)

    def wait_until(self, condition: Callable[[], bool], timeout_seconds: float, what: str) -> None:
        deadline = time.monotonic() + timeout_seconds
        while True:
            self.check()
            if condition():
                return
            if time.monotonic() > deadline:
                raise TookTooLong(f"waited {timeout_seconds:.0f} s in vain for {what}")
            time.sleep(POLL_SECONDS)

    def run_to_the_end(self, commands: Mapping[str, Sequence[str]], timeout_seconds: float) -> None:
        """Starts short-lived commands side by side and waits until each has ended well."""
        started = [self.start(name, command, show_output=False) for name, command in commands.items()]
        self._wait_for_the_end_of(started, timeout_seconds)

    def run_in_front(self, name: str, command: Sequence[str], timeout_seconds: float) -> None:
        """Like `run_to_the_end`, for a command whose output is what one wants to see: it goes where ours goes."""
        self._wait_for_the_end_of([self._start(name, command, None, None)], timeout_seconds)

    def _wait_for_the_end_of(self, started: Sequence[Child], timeout_seconds: float) -> None:
        for child in started:
            del self._children[child.name]  # these are meant to end
        deadline = time.monotonic() + timeout_seconds
        try:
            while any(child.exit_code is None for child in started):
                self.check()
                if time.monotonic() > deadline:
                    raise TookTooLong(
                        f"waited {timeout_seconds:.0f} s in vain for {', '.join(child.name for child in started)}"
                    )
                time.sleep(POLL_SECONDS)
        finally:
            for child in started:
                if child.exit_code is None:
                    child.process.kill()
                child.process.wait()
        for child in started:
            if child.exit_code != 0:
                raise self.failure(child)

    def stop(self, names: Sequence[str], grace_seconds: float) -> None:
        """Warm first (SIGTERM), then by force. A second Ctrl-C skips the grace."""
        alive = [self._children[name] for name in names if name in self._children]
        for child in alive:
            if child.exit_code is None:
                child.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + grace_seconds
        while any(child.exit_code is None for child in alive) and time.monotonic() < deadline:
            if self._hurried:
                break
            time.sleep(POLL_SECONDS)
        for child in alive:
            if child.exit_code is None:
                self._console.complain(f"{child.name} did not stop within {grace_seconds:.0f} s and is killed")
                child.process.kill()
            child.process.wait()
            del self._children[child.name]

    @property
    def names(self) -> list[str]:
        return list(self._children)


def described(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"killed by {signal.Signals(-exit_code).name}"
    return f"exit code {exit_code}"
