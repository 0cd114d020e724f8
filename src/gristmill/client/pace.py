"""When the next item may go, for a rate that the user gives. Pure."""

from __future__ import annotations

import math

from gristmill.errors import ConfigurationError

_SLACK = 0.01
"""Seconds that an item may be early: a timer for every item would cost more than the item."""


class Pace:
    """Spreads items evenly over time (the generic cell rate algorithm, ITU-T I.371).

    Args:
        rate: Items a second.
        now: The time, in seconds of any clock; the same one later.

    Raises:
        ConfigurationError: The rate is none.
    """

    def __init__(self, rate: float, now: float) -> None:
        if not 0 < rate < math.inf:
            raise ConfigurationError(f"rate is items a second, above 0, not {rate!r}")
        self._gap = 1 / rate
        self._due = now

    def wait(self, now: float) -> float:
        """Let one item go, and return the seconds to wait before it does."""
        self._due = max(self._due, now)
        early = self._due - now
        self._due += self._gap
        return early if early > _SLACK else 0.0
