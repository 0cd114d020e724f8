"""Waits between tries at a store that is away."""

from __future__ import annotations

from collections.abc import Callable

from gristmill.model.retry import Retry

_WAITS = Retry(attempts=1, base=0.1, cap=5.0)


class Backoff:
    """How long to wait before the next try; grows with each failure, with full jitter.

    Args:
        chance: A new random number, 0 <= x < 1, at each call.

    Attributes:
        failures: Since the last success.
    """

    def __init__(self, chance: Callable[[], float]) -> None:
        self._chance = chance
        self.failures = 0

    @property
    def is_failing(self) -> bool:
        """Whether the last try failed."""
        return self.failures > 0

    def failed(self) -> float:
        """Note a failure, and return the seconds to wait: a tenth at least of what they may be."""
        self.failures += 1
        return _WAITS.delay(self.failures, 0.1 + 0.9 * self._chance())

    def succeeded(self) -> None:
        """Note a success."""
        self.failures = 0
