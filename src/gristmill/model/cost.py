"""What a batch costs: ``seconds = fixed_cost + item_cost * size``, learnt from batches as they end."""

from __future__ import annotations

import math

_MEMORY = 0.98  # each batch weighs 2 % less with every later one: about the last fifty count
_TINY = 1e-12  # seconds an item costs at least; keeps every ratio finite
_FASTEST = 1e-9  # seconds a batch is taken to last at least, where a clock tick says 0
_SPREAD = 0.05  # sizes whose standard deviation is below this share of their mean tell no slope


class CostModel:
    """Exponentially weighted least squares of batch seconds on batch sizes.

    Five running sums, kept as weighted means and centred products so that no
    large numbers are subtracted. Samples weigh by the inverse square of the
    expected time, since noise grows with it. O(1) a sample.

    Attributes:
        fixed_cost: Seconds a batch costs whatever its size, at least 0.
        item_cost: Seconds each item adds, above 0.
        sigma: Standard deviation of measured over expected time, less 1: 0.1
            means batches take 10 % more or less than expected.
        samples: Batches that were counted.
    """

    __slots__ = (
        "_cold", "_mean_seconds", "_mean_size", "_size_seconds", "_size_size", "_variance", "_weight",
        "fixed_cost", "item_cost", "samples",
    )  # fmt: skip

    def __init__(self) -> None:
        self.fixed_cost = 0.0
        self.item_cost = _TINY
        self.samples = 0
        self._cold = True
        self._weight = 0.0
        self._mean_size = 0.0
        self._mean_seconds = 0.0
        self._size_size = 0.0
        self._size_seconds = 0.0
        self._variance = 0.0

    @property
    def sigma(self) -> float:
        """Relative standard deviation of the batch time around what is expected."""
        return math.sqrt(self._variance)

    @property
    def is_identifiable(self) -> bool:
        """Whether the sizes differed enough to tell fixed cost from item cost."""
        spread = self._size_size
        return self.samples > 1 and spread > self._weight * (_SPREAD * self._mean_size) ** 2

    def expected(self, size: int) -> float:
        """Return the seconds a batch of *size* is expected to take."""
        return self.fixed_cost + self.item_cost * size

    def record(self, size: int, seconds: float) -> None:
        """Count a batch of *size* that took *seconds*.

        The first batch is dropped: it pays for imports, connections and caches.
        So is what no clock should say: NaN, infinite or negative.
        """
        if size < 1 or not 0 <= seconds < math.inf:
            return
        if self._cold:
            self._cold = False
            return
        expected = max(_FASTEST, self.expected(size) if self.samples else seconds)
        self.samples += 1
        error = seconds / expected - 1.0
        share = max(1.0 - _MEMORY, 1.0 / self.samples)
        self._variance += share * (min(error * error, 4.0) - self._variance)
        self._learn(size, seconds, 1.0 / (expected * expected))
        self._fit()

    def _learn(self, size: int, seconds: float, weight: float) -> None:
        self._weight = _MEMORY * self._weight + weight
        pull = weight / self._weight
        off = size - self._mean_size
        self._mean_size += pull * off
        self._mean_seconds += pull * (seconds - self._mean_seconds)
        self._size_size = _MEMORY * self._size_size + weight * off * (size - self._mean_size)
        self._size_seconds = _MEMORY * self._size_seconds + weight * off * (seconds - self._mean_seconds)

    def _fit(self) -> None:
        slope = self._size_seconds / self._size_size if self.is_identifiable else self.item_cost
        slope = max(slope, _TINY)
        fixed = self._mean_seconds - slope * self._mean_size
        if fixed < 0.0:  # all of it is item cost
            fixed, slope = 0.0, max(self._mean_seconds / self._mean_size, _TINY)
        self.fixed_cost, self.item_cost = fixed, slope
