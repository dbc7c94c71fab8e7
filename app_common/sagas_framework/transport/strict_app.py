"""A Celery app whose tasks are its own, one function for each.

Celery itself gives a task to every app of the process, so that one service's would be another's in a process that loads
both; and of two functions for one task it keeps the first, with a warning at most.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from celery import Celery

from sagas_framework.errors import ContradictoryMessages


class StrictApp(Celery):  # type: ignore[misc]  # Celery has no types
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._declared_at: dict[str, str] = {}

    def task(self, *args: Any, **options: Any) -> Any:
        options.setdefault("shared", False)
        if args:  # `@app.task` without brackets
            self._refuse_a_second(args[0], options)
            return super().task(*args, **options)
        declare = super().task(**options)

        def declare_once(function: Callable[..., Any]) -> Any:
            self._refuse_a_second(function, options)
            return declare(function)

        return declare_once

    def _refuse_a_second(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        name = options.get("name") or self.gen_task_name(function.__name__, function.__module__)
        code = inspect.unwrap(function).__code__
        place = f"{code.co_filename}:{code.co_firstlineno}"
        first = self._declared_at.setdefault(name, place)
        if first != place:
            raise ContradictoryMessages(
                f"the task {name!r} of the app {self.main!r} is done by two functions, at {first} and at {place}; "
                "Celery would call the first alone: keep one of them"
            )
