"""Threads whose errors a test sees."""

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
