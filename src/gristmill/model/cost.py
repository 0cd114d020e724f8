"""What a batch costs: ``seconds = fixed_cost + item_cost * size``, learnt from batches as they end."""

from __future__ import annotations

import math

_MEMORY = 0.99  # each batch weighs 1 % less with every later one: about the last hundred count
_KEPT = 0.1  # share of their weight the old batches keep when the handler has changed
_TINY = 1e-12  # seconds an item costs at least; keeps every ratio finite
_FINE = 1e-3  # seconds; batches shorter than this all weigh alike, and none overruns
_COARSE = 0.016  # the same, on a clock that was seen to read 0: some tick only every 15.6 ms
_SPREAD = 0.1  # sizes that vary by less than this share of their mean tell no slope
_LONGEST = 1e9  # seconds, a human life
_HASTE = 1 / 8  # pull of one batch on the recent bias
_DRIFT = 1.0  # recent bias, in standard deviations, that is no chance (four standard errors)
_SETTLED = 20  # batches before a bias is drift and not still learning
_OVERRUN = 4.0  # standard deviations above the expected time that no noise explains ...
_TWICE = 2.0  # ... if it is this many times the expected time too


def is_duration(seconds: float) -> bool:
    """Tell whether *seconds* can have passed: not NaN, negative, infinite or absurd."""
    return 0.0 <= seconds <= _LONGEST


class CostModel:
    """Exponentially weighted least squares of batch seconds on batch sizes.

    Five running sums, kept as weighted means and centred products so that no
    large numbers are subtracted, and two of squared errors. Batches weigh by
    the inverse square of the time expected of them, since noise grows with it.
    O(1) a batch.

    While the sizes were all alike the slope cannot be known: the whole time is
    then taken for item cost, so that twice the size is never expected to take
    less than it may.

    Attributes:
        fixed_cost: Seconds a batch costs whatever its size, at least 0; 0 while unknown.
        item_cost: Seconds each item adds, above 0.
        samples: Batches that were counted.
    """

    __slots__ = (
        "_bias", "_cold", "_errors", "_floor", "_known", "_mean_seconds", "_mean_size", "_shares",
        "_size_seconds", "_size_size", "_weight", "fixed_cost", "item_cost", "samples",
    )  # fmt: skip

    def __init__(self) -> None:
        self.fixed_cost = 0.0
        self.item_cost = _TINY
        self.samples = 0
        self._cold = True
        self._known = False
        self._floor = _FINE
        self._weight = self._mean_size = self._mean_seconds = 0.0
        self._size_size = self._size_seconds = 0.0
        self._errors = self._shares = self._bias = 0.0

    @property
    def sigma(self) -> float:
        """Standard deviation of the measured from the expected time, in seconds."""
        return math.sqrt(self._errors)

    @property
    def is_identifiable(self) -> bool:
        """Whether the sizes of late differed enough to tell fixed cost from item cost."""
        if self.samples <= 1 or not self._mean_seconds:
            return False
        return self._size_size > self._weight * (_SPREAD * self._mean_size) ** 2

    @property
    def fixed_cost_error(self) -> float:
        """Standard error of ``fixed_cost`` in seconds; infinite while it is not identifiable."""
        if not self.is_identifiable:
            return math.inf
        return math.sqrt(self._shares * (1.0 / self._weight + self._mean_size**2 / self._size_size))

    def expected(self, size: int) -> float:
        """Return the seconds a batch of *size* is expected to take."""
        return self.fixed_cost + self.item_cost * size

    def is_overrun(self, size: int, seconds: float) -> bool:
        """Tell whether *seconds* is more than noise explains for a batch of *size*."""
        if not self._mean_seconds:
            return False
        expected = max(self.expected(size), self._floor)
        return seconds > max(_TWICE * expected, expected + _OVERRUN * self.sigma)

    def record(self, size: int, seconds: float) -> None:
        """Count a batch of *size* that took *seconds*.

        The first batch is dropped: it pays for imports, connections and caches.
        So is what no clock should say: NaN, infinite or negative.
        """
        if size < 1 or not is_duration(seconds):
            return
        if self._cold:
            self._cold = False
            return
        expected = self.expected(size) if self.samples else seconds
        if not seconds:
            self._floor = _COARSE
        scale = max(expected, self._floor)
        self.samples += 1
        pull = max(1.0 - _MEMORY, 1.0 / self.samples)
        error = min(seconds - expected, 2.0 * scale)
        self._errors += pull * (error * error - self._errors)
        self._shares += pull * (error * error / (scale * scale) - self._shares)
        self._bias += _HASTE * (error / scale - self._bias)
        if self.samples > _SETTLED and self._bias**2 > _DRIFT**2 * self._shares:
            self.forget()
        self._add(size, seconds, 1.0 / (scale * scale))
        self._fit()

    def forget(self) -> None:
        """Let what comes next outweigh what was learnt: the handler has changed."""
        self._bias = 0.0
        self._weight *= _KEPT
        self._size_size *= _KEPT
        self._size_seconds *= _KEPT

    def _add(self, size: int, seconds: float, weight: float) -> None:
        self._weight = _MEMORY * self._weight + weight
        off = size - self._mean_size
        self._mean_size += off * weight / self._weight
        self._mean_seconds += (seconds - self._mean_seconds) * weight / self._weight
        self._size_size = _MEMORY * self._size_size + weight * off * (size - self._mean_size)
        self._size_seconds = _MEMORY * self._size_seconds + weight * off * (seconds - self._mean_seconds)

    def _fit(self) -> None:
        if self.is_identifiable:
            self._known = True
            self.item_cost = max(self._size_seconds / self._size_size, _TINY)
        if self._known:
            self.fixed_cost = self._mean_seconds - self.item_cost * self._mean_size
        if not self._known or self.fixed_cost < 0.0:
            self.fixed_cost = 0.0
            self.item_cost = max(self._mean_seconds / self._mean_size, _TINY)
