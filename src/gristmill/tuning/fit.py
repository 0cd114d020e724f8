"""What a batch costs, from the median times of several sizes: a line, and where it stops to hold."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

Point: TypeAlias = tuple[int, float]
"""A size, and the median seconds of its batches."""

_ROUNDS = 8  # of reweighting; the weights stand still long before
_TINY = 1e-12  # seconds an item costs at least, as in the cost model of Adaptive
_FEWEST = 3  # sizes before one that tell what to expect of it
_STEEP = 1.5  # times what the smaller sizes foretell


@dataclass(frozen=True, slots=True)
class Cost:
    """``seconds = fixed_cost + item_cost * size``.

    Attributes:
        fixed_cost: Seconds a batch costs whatever its size, at least 0.
        item_cost: Seconds each item adds, above 0.
    """

    fixed_cost: float
    item_cost: float

    def expected(self, size: float) -> float:
        """Return the seconds a batch of *size* takes."""
        return self.fixed_cost + self.item_cost * size

    def fixed_share(self, size: float) -> float:
        """Return the share of such a batch that is fixed cost."""
        return self.fixed_cost / self.expected(size)


@dataclass(frozen=True, slots=True)
class Cliff:
    """Where batches become far slower than smaller ones foretell.

    Attributes:
        last_good: The largest size before.
        first_bad: The first size that is too slow.
        factor: How many times the expected time that takes.
    """

    last_good: int
    first_bad: int
    factor: float


def fit(points: Sequence[Point]) -> Cost:
    """Return the line through *points* that is least wrong, as a share of the time.

    Least squares, each size weighed by the inverse square of the time expected
    of it, since noise grows with it (reweighted until that stands still): the
    model of ``gristmill.model.cost``, for times that are all there at once.
    Where it would cost less than nothing to begin a batch, the fixed cost is 0.

    Args:
        points: Two or more, of different sizes, with times above 0.
    """
    expected = [seconds for _, seconds in points]
    found = Cost(0.0, _TINY)
    for _ in range(_ROUNDS):
        found = _weighted(points, [1.0 / each**2 for each in expected])
        expected = [found.expected(size) for size, _ in points]
    return found


def _weighted(points: Sequence[Point], weights: Sequence[float]) -> Cost:
    total = sum(weights)
    mean_size = sum(w * n for w, (n, _) in zip(weights, points, strict=True)) / total
    mean_seconds = sum(w * s for w, (_, s) in zip(weights, points, strict=True)) / total
    size_size = sum(w * (n - mean_size) ** 2 for w, (n, _) in zip(weights, points, strict=True))
    size_seconds = sum(
        w * (n - mean_size) * (s - mean_seconds) for w, (n, s) in zip(weights, points, strict=True)
    )
    item_cost = max(size_seconds / size_size, _TINY)
    fixed_cost = mean_seconds - item_cost * mean_size
    if fixed_cost < 0.0:
        return Cost(0.0, _through_origin(points, weights))
    return Cost(fixed_cost, item_cost)


def _through_origin(points: Sequence[Point], weights: Sequence[float]) -> float:
    above = sum(w * n * s for w, (n, s) in zip(weights, points, strict=True))
    return max(above / sum(w * n * n for w, (n, _) in zip(weights, points, strict=True)), _TINY)


def find_cliff(points: Sequence[Point]) -> Cliff | None:
    """Return where the times of *points* leave what the sizes before foretell; None where they do not.

    A size is over the edge if it takes half as much again as the line through
    all smaller ones says, and costs more an item than the size before it: a
    bend beyond which larger batches still pay is none. The next size must agree,
    where there is one: one slow size between good ones is an accident.

    Args:
        points: In the order of their sizes.
    """
    for index in range(_FEWEST, len(points)):
        before = fit(points[:index])
        last_good, good_seconds = points[index - 1]
        if all(
            seconds > _STEEP * before.expected(size) and seconds / size > good_seconds / last_good
            for size, seconds in points[index : index + 2]
        ):
            first_bad, seconds = points[index]
            return Cliff(last_good, first_bad, seconds / before.expected(first_bad))
    return None


def misfit(cost: Cost, points: Sequence[Point]) -> float:
    """Return how far *points* are from the line at most, as a share of the time it says."""
    return max(abs(seconds / cost.expected(size) - 1.0) for size, seconds in points)


def noise(runs: Sequence[Sequence[float]]) -> float:
    """Return the relative standard deviation of *runs*, a list of seconds for each size.

    From the median of absolute deviations, so that a few slow runs do not count.
    """
    deviations = [
        abs(seconds / middle - 1.0)
        for each in runs
        for middle in [statistics.median(each)]
        for seconds in each
    ]
    return 1.4826 * statistics.median(deviations)
