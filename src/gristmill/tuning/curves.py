"""Axes and curves, for the terminal and for pictures alike: where ticks are, where a curve has points."""

from __future__ import annotations

import math

_NICE = (1.0, 1.2, 1.6, 2.0, 2.4, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)


def curve_sizes(smallest: int, largest: int, points: int) -> list[float]:
    """Return *points* sizes from *smallest* to *largest*, even on a logarithmic axis.

    >>> [round(each) for each in curve_sizes(1, 100, 3)]
    [1, 10, 100]
    """
    step = math.log(largest / smallest) / (points - 1)
    return [smallest * math.exp(step * index) for index in range(points)]


def nice_top(largest: float) -> float:
    """Return a round number at or a little above *largest*, which is above 0.

    >>> nice_top(46_500), nice_top(0.9)
    (50000.0, 1.0)
    """
    power = 10.0 ** math.floor(math.log10(largest))
    return next(power * each for each in _NICE if power * each >= largest * (1 - 1e-9))


def log_ticks(low: float, high: float, least: int = 2) -> list[float]:
    """Return round numbers within *low* and *high*, above 0: powers of ten, or more of them for *least*.

    >>> log_ticks(0.004, 0.3)
    [0.01, 0.1]
    >>> log_ticks(0.004, 0.012)
    [0.005, 0.01]
    """
    for steps in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9)):
        found = [
            step * 10.0**power
            for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
            for step in steps
            if low <= step * 10.0**power <= high
        ]
        if len(found) >= least:
            return [float(f"{each:.3g}") for each in found]
    return [low, high]
