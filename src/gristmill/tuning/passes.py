"""Which size runs next, so that all sizes meet the same machine and the time is kept. Reads no clock.

First every size runs once to warm up, smallest first, and sizes for which there
would be no time are left out. Then passes over all sizes follow, each in an order of
its own: a machine that gets slower or busier does so to all sizes alike.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from gristmill.errors import ConfigurationError
from gristmill.tuning.ladder import FEWEST, chosen
from gristmill.tuning.words import duration, items

FEWEST_RUNS = 3
"""Runs of each size that are wanted even where the budget turns out too small."""
_PATIENCE = 2.0  # times the budget after which even those are given up
_COLD = 2  # runs of the smallest size to warm up: the first pays for imports and connections


@dataclass(frozen=True, slots=True)
class Turn:
    """A batch to run now.

    Attributes:
        size: Its items.
        counts: Whether it is measured; else it warms up.
    """

    size: int
    counts: bool


class Passes:
    """Gives the turns of one measurement, one after the other.

    Args:
        sizes: What to try, in items.
        seconds: The budget.
        repeats: Runs of each size at most.
        chance: Shuffles each pass.

    Attributes:
        sizes: Those that are run; shrinks while warming up.
        left_out: Those for which there was no time.

    Raises:
        ConfigurationError: An argument makes no sense.
    """

    def __init__(self, sizes: Sequence[int], *, seconds: float, repeats: int, chance: random.Random) -> None:
        if not 0 < seconds < math.inf:
            raise ConfigurationError(f"the time to measure is seconds above 0, got {seconds!r}")
        if repeats < 1:
            raise ConfigurationError(f"repeats are at least 1, got {repeats!r}")
        self.sizes = list(chosen(sizes))
        self.left_out: list[int] = []
        self.seconds = seconds
        self._repeats = repeats
        self._chance = chance
        self._is_warming = True
        self._cold = _COLD
        self._latest: dict[int, float] = {}
        self._done = 0  # whole passes
        self._pass: list[int] = []  # what is left of this one, from its end

    def next(self, elapsed: float) -> Turn | None:
        """Return what to run *elapsed* seconds after the start; None at the end.

        Raises:
            ConfigurationError: Not even two sizes can be measured in the time; the message says in which.
        """
        if self._is_warming:
            turn = self._warm_up(elapsed)
            if turn is not None:
                return turn
            self._is_warming = False
        if not self._pass:
            if not self._may_pass(elapsed):
                return None
            self._pass = self.sizes.copy()
            self._chance.shuffle(self._pass)
        if elapsed > _PATIENCE * self.seconds:
            return None
        return Turn(self._pass[-1], counts=True)

    def ended(self, turn: Turn, seconds: float) -> None:
        """Note that *turn* took *seconds*."""
        self._latest[turn.size] = seconds
        if not turn.counts:
            self._cold = max(0, self._cold - 1)
            return
        self._pass.pop()
        if not self._pass:
            self._done += 1

    @property
    def _runs(self) -> int:
        return min(FEWEST_RUNS, self._repeats)

    def _warm_up(self, elapsed: float) -> Turn | None:
        if self._cold:
            return Turn(self.sizes[0], counts=False)
        warm = len(self._latest)
        # The last one may have taken longer than was thought.
        while warm > FEWEST and elapsed + self._runs * self._cost(self.sizes[:warm]) > self.seconds:
            warm -= 1
            self._cut(warm)
        if warm == len(self.sizes):
            return None
        guess = self._guess(warm)
        if elapsed + guess + self._runs * (self._cost(self.sizes[:warm]) + guess) <= self.seconds:
            return Turn(self.sizes[warm], counts=False)
        if warm < FEWEST:
            raise ConfigurationError(self._too_slow())
        self._cut(warm)
        return None

    def _cut(self, kept: int) -> None:
        self.left_out = self.sizes[kept:] + self.left_out
        del self.sizes[kept:]

    def _guess(self, index: int) -> float:
        """Return what the size at *index* takes if it goes on as the two sizes before it."""
        before = self.sizes[:index][-2:]
        last = self._latest[before[-1]]
        if len(before) < FEWEST:
            return last
        slope = (last - self._latest[before[0]]) / (before[1] - before[0])
        return last + max(0.0, slope) * (self.sizes[index] - before[1])

    def _cost(self, sizes: Sequence[int]) -> float:
        return sum(self._latest[size] for size in sizes)

    def _may_pass(self, elapsed: float) -> bool:
        if self._done < self._runs:
            return True
        return self._done < self._repeats and elapsed + self._cost(self.sizes) <= self.seconds

    def _too_slow(self) -> str:
        size = self.sizes[0]
        takes = self._latest[size]
        needed = math.ceil(1.25 * takes * (_COLD + 1 + FEWEST * self._runs))
        return (
            f"a batch of {items(size)} takes {duration(takes)}: "
            f"too slow to measure two sizes in {self.seconds:g} s; give it --seconds {needed}"
        )
