"""Threads whose errors a test sees."""

import time
from collections.abc import Callable
from threading import Thread


def in_threads(works: list[Callable[[], None]]) -> None:
    """Runs them side by side; what one of them raises, the test raises."""
    errors: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Waits for what another thread or the database is about to do."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.005)
