"""Size policies from elsewhere, to compare ``Adaptive`` with in the simulator."""

from __future__ import annotations

import math


class AdditiveIncrease:
    """AIMD: one item more after a full batch in time, a tenth fewer after a late one.

    Args:
        target_latency: Seconds a batch may take.
        max_size: The cap is never higher.
    """

    __slots__ = ("_max_size", "_target_latency", "cap")

    def __init__(self, *, target_latency: float, max_size: int = 10_000) -> None:
        self._target_latency = target_latency
        self._max_size = max_size
        self.cap = 1

    def record(self, size: int, seconds: float, *, full: bool, failed: bool = False) -> None:
        """Move the cap; *failed* batches count as late."""
        if failed or seconds > self._target_latency:
            self.cap = max(1, int(0.9 * size))
        elif full:
            self.cap = min(self._max_size, self.cap + 1)


class LatencyGradient:
    """The Gradient2 limiter's formula, with batch size in the place of concurrency.

    ``cap * clamp(1.5 * long / short) + sqrt(cap)``, smoothed by a fifth: it takes
    longer batches for a sign of queueing, although larger ones must be longer.

    Args:
        max_size: The cap is never higher.
    """

    __slots__ = ("_long", "_max_size", "_size", "cap")

    def __init__(self, *, max_size: int = 10_000) -> None:
        self._max_size = max_size
        self._size = 20.0
        self._long = 0.0
        self.cap = 20

    def record(self, size: int, seconds: float, *, full: bool, failed: bool = False) -> None:  # noqa: ARG002 - every Sizer takes the size
        """Move the cap after a full batch."""
        if failed or not full or seconds <= 0:
            return
        self._long += (seconds - self._long) / 300.0 if self._long else seconds
        gradient = min(1.0, max(0.5, 1.5 * self._long / seconds))
        wanted = self._size * gradient + math.sqrt(self._size)
        self._size = min(float(self._max_size), max(1.0, 0.8 * self._size + 0.2 * wanted))
        self.cap = int(self._size)
