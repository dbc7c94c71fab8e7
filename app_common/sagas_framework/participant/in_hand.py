"""The commands that this process is doing at this moment, so that no duplicate of one holds a thread as well."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager


class InHand:
    """Danger: a duplicate that is not done is acknowledged, and gone. Why that loses nothing:

    A duplicate that was *asked again* while the first one is being done is let go at once. The first one is not
    acknowledged yet: it answers, or it is given back, or this process dies and the broker delivers it again. Should
    even that answer be lost, then whatever is awaited is asked once more.

    A duplicate that is *redelivered* may be the first one itself, whose connection was lost under its handler. The
    one being done can then neither acknowledge nor give back any more; what nobody asks for again (a command without
    a reply queue, or of an orchestrator that never asks twice) would be lost with it if it came to no end. So the
    redelivered one is not let go: it waits, then it is done, and mostly finds the answer in memory. Only one waits
    for each command: a later one relieves it, having come on a connection that is at least as young. (All Redis
    deliveries of one message share one tag, and letting one of them go forgets all. That takes a handler that
    outlasts the visibility timeout twice, and then loses only if the process dies as well.)
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._waiting: dict[Hashable, object | None] = {}  # of each command being done: who waits for its end

    @contextmanager
    def hold(self, command: Hashable, redelivered: bool) -> Iterator[bool]:
        """Gives whether the caller is to do the command; if not, it is somebody else's and can be acknowledged."""
        if not self._take(command, redelivered):
            yield False
            return
        try:
            yield True
        finally:
            with self._condition:
                del self._waiting[command]
                self._condition.notify_all()

    def _take(self, command: Hashable, redelivered: bool) -> bool:
        with self._condition:
            if command in self._waiting and redelivered:
                me = self._waiting[command] = object()
                self._condition.notify_all()
                self._condition.wait_for(lambda: self._waiting.get(command) is not me)
            if command in self._waiting:
                return False
            self._waiting[command] = None
            return True
