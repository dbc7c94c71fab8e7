"""What stands in for the framework's parts in the tests of the services."""

from typing import Any, Protocol

from sagas_framework import HandlerContext

SAGA_ID = "01920000-0000-7000-8000-000000000001"


class StepMaker(Protocol):
    def __call__(self, attempt: int = 1, reply: dict[str, Any] | None = None) -> HandlerContext: ...
