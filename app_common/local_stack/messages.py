"""What the local stack prints, and the errors that it ends with."""

import os
import threading
from itertools import cycle
from typing import TextIO

PREFIX_WIDTH = 19
COLOURS = cycle(("36", "33", "35", "34", "32", "96"))
BOLD, RED = "1", "31"


class StackError(Exception):
    """Something that ends the stack; its text is one line that says what happened and what to do."""


class TookTooLong(StackError):
    """Something did not happen in time."""


class StopRequested(Exception):
    """Ctrl-C, or a signal that asks the stack to stop."""


class Console:
    """Lines of many processes on one terminal, each behind the name of the process."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._in_colour = stream.isatty() and "NO_COLOR" not in os.environ
        self._lock = threading.Lock()
        self._colours: dict[str, str] = {"stack": BOLD}

    def say(self, text: str) -> None:
        """A line of the stack itself."""
        self.line("stack", text)

    def complain(self, text: str) -> None:
        self.line("stack", self._painted(text, RED))

    def line(self, name: str, text: str) -> None:
        with self._lock:
            colour = self._colours.setdefault(name, next(COLOURS))
            prefix = self._painted(f"{name:<{PREFIX_WIDTH}}|", colour)
            self._write(f"{prefix} {text}\n")

    def plain(self, text: str) -> None:
        """Text that stands for itself, such as a trace."""
        with self._lock:
            self._write(text + "\n")

    def _write(self, text: str) -> None:
        # A closed terminal or pipe must not keep the stack from stopping its children.
        try:
            self._stream.write(text)
            self._stream.flush()
        except (BrokenPipeError, ValueError):
            self._in_colour = False

    def _painted(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._in_colour else text
