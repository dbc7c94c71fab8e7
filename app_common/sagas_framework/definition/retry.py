"""How often something is tried again, and how long it waits in between."""

from __future__ import annotations

from dataclasses import dataclass

from sagas_framework.definition.values import is_finite
from sagas_framework.errors import DefinitionError

_LONGEST_EXPONENT = 64
MAX_FACTOR = 1000.0
"""To the power of the longest exponent it is still a number."""


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential backoff without chance in it, so that a run can be repeated exactly.

    `max_attempts=None` tries for ever.
    """

    max_attempts: int | None = 5
    initial_delay_seconds: float = 0.5
    factor: float = 2.0
    max_delay_seconds: float = 60.0

    def __post_init__(self) -> None:
        if self.max_attempts is not None and (not isinstance(self.max_attempts, int) or self.max_attempts < 1):
            raise DefinitionError(f"RetryPolicy: max_attempts is {self.max_attempts}; the first try counts as one")
        if not all(map(is_finite, (self.initial_delay_seconds, self.factor, self.max_delay_seconds))):
            raise DefinitionError("RetryPolicy: delays and factor must be finite numbers")
        if self.factor > MAX_FACTOR:
            raise DefinitionError(f"RetryPolicy: factor is {self.factor}; at most {MAX_FACTOR:g}")
        if self.initial_delay_seconds < 0 or self.factor < 1 or self.max_delay_seconds < 0:
            raise DefinitionError("RetryPolicy: delays must not be negative and the factor at least 1")

    def allows_another_after(self, attempts: int) -> bool:
        return self.max_attempts is None or attempts < self.max_attempts

    def delay_seconds_after(self, attempts: int) -> float:
        exponent = min(max(attempts - 1, 0), _LONGEST_EXPONENT)
        return min(self.initial_delay_seconds * self.factor**exponent, self.max_delay_seconds)
