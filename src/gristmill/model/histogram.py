"""Counts of values in fixed buckets: a recorder for the hot path and its frozen snapshot."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from gristmill.errors import ConfigurationError

SIZE_BOUNDS: tuple[float, ...] = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
"""Bucket bounds for batch sizes, in items."""

SECONDS_BOUNDS: tuple[float, ...] = (
    0.0001, 0.00025, 0.0005,
    0.001, 0.0025, 0.005,
    0.01, 0.025, 0.05,
    0.1, 0.25, 0.5,
    1.0, 2.5, 5.0,
    10.0, 30.0, 60.0,
)  # fmt: skip
"""Bucket bounds for durations and waits, in seconds: 0.1 ms to 1 minute."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """What a recorder had counted at one moment.

    Attributes:
        bounds: Upper bounds of the buckets, ascending.
        counts: One count per bucket, not cumulative: ``counts[i]`` values were
            above ``bounds[i - 1]`` and at most ``bounds[i]``. One more entry than
            *bounds*: the last counts what is above every bound.
        total: The sum of all values.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float

    @property
    def count(self) -> int:
        """How many values were recorded."""
        return sum(self.counts)

    @property
    def mean(self) -> float:
        """The mean of all values; NaN when there are none."""
        return self.total / self.count if self.count else math.nan

    def quantile(self, q: float) -> float:
        """Estimate the value below which a share *q* (0 to 1) of the values lies.

        Linear inside the bucket, whose lowest value is taken to be the bound
        below it, or 0. What lies above the highest bound is given as that
        bound, so a result equal to ``bounds[-1]`` means "that or more". NaN
        when nothing was recorded.

        Raises:
            ConfigurationError: *q* is not between 0 and 1.
        """
        if not 0 <= q <= 1:
            raise ConfigurationError(f"a quantile is between 0 and 1, got {q!r}")
        if not self.count:
            return math.nan
        rank = q * self.count
        below, seen = 0.0, 0
        for bound, count in zip(self.bounds, self.counts, strict=False):
            if count and seen + count >= rank:
                return below + (bound - below) * max(0.0, rank - seen) / count
            below, seen = bound, seen + count
        return self.bounds[-1]


class HistogramRecorder:
    """Counts values into buckets; not for use from several threads at once.

    Args:
        bounds: Upper bounds of the buckets, finite, at least one, ascending
            without equals.

    Raises:
        ConfigurationError: *bounds* are not that.
    """

    __slots__ = ("_bounds", "_counts", "_total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        if not self._bounds or not all(map(math.isfinite, self._bounds)):
            raise ConfigurationError(f"bounds must be finite numbers, at least one: {self._bounds}")
        if any(low >= high for low, high in pairwise(self._bounds)):
            raise ConfigurationError(f"bounds must ascend: {self._bounds}")
        self._counts = [0] * (len(self._bounds) + 1)
        self._total = 0.0

    def record(self, value: float, times: int = 1) -> None:
        """Count one finite *value*, as often as *times* says."""
        self._counts[bisect_left(self._bounds, value)] += times
        self._total += value * times

    def record_sorted_ages(self, times: Sequence[float], now: float) -> None:
        """Count the age ``now - time`` of each of *times*, as ``record`` would one by one.

        Steps proportional to the buckets between the newest and the oldest and
        to the logarithm of the number of *times*, plus one sum in C.

        Args:
            times: Finite clock readings in ascending order; may be empty.
            now: A reading of the same clock.
        """
        if not times:
            return

        def negative_age(time: float) -> float:
            # Exactly -(now - time), and ascending: rounding keeps both true, whereas
            # comparing `time` with `now - bound` would round differently from `record`.
            return time - now

        newest = bisect_left(self._bounds, now - times[-1])
        oldest = bisect_left(self._bounds, now - times[0])
        older = len(times)
        for bucket in range(newest, oldest):
            first = bisect_left(times, -self._bounds[bucket], 0, older, key=negative_age)
            self._counts[bucket] += older - first
            older = first
        self._counts[oldest] += older
        self._total += len(times) * now - math.fsum(times)

    def snapshot(self) -> Histogram:
        """Return what was counted so far; later values do not change it."""
        return Histogram(self._bounds, tuple(self._counts), self._total)

    def __repr__(self) -> str:
        """Show how much was counted."""
        return f"HistogramRecorder(count={sum(self._counts)}, total={self._total!r})"
