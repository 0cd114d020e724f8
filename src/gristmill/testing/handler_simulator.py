"""Run a size policy against a made-up handler in virtual time: thousands of batches in milliseconds.

Answers, before anything is deployed, what an ``Adaptive`` would do with a
handler whose batch of *n* items takes ``S(n)`` seconds: how fast it would be,
how often it would miss a target latency, how soon the cap stands still.

>>> import random
>>> from gristmill.model.sizing import Adaptive
>>> handler = noisy(affine(fixed=0.005, item=0.0001), random.Random(1))
>>> simulate(Adaptive().controller(), handler, batches=500).throughput > 8_500
True

No event loop, no clock and no handler of yours takes part; one slot is modelled.
"""

from __future__ import annotations

import math
import random
import statistics
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from gristmill.errors import ConfigurationError
from gristmill.model.histogram import SECONDS_BOUNDS, Histogram, HistogramRecorder
from gristmill.model.linger import FixedWait, Wait

Cost: TypeAlias = Callable[[int, int], float]
"""What a batch costs: ``cost(size, index)`` seconds, for batch number *index* from 0."""

_MEDIAN_OF = 5  # caps that settled_after takes the median of, so that a probe does not count
_EXCUSED = 0.05  # share of later caps that may stray


class Sizer(Protocol):
    """What is simulated: ``SizeController``, or a policy of your own."""

    cap: int

    def record(self, size: int, seconds: float, *, full: bool, failed: bool = False) -> None:
        """Learn from a batch."""
        ...


def affine(*, fixed: float, item: float) -> Cost:
    """Return ``S(n) = fixed + item * n``, in seconds."""
    return lambda size, _index: fixed + item * size


def cliff(base: Cost, *, at: int, factor: float) -> Cost:
    """Return *base*, multiplied by *factor* for batches of more than *at* items."""
    return lambda size, index: base(size, index) * (factor if size > at else 1.0)


def changing(before: Cost, after: Cost, *, at: int) -> Cost:
    """Return *before* up to batch number *at*, and *after* from there on."""
    return lambda size, index: (before if index < at else after)(size, index)


def drifting(base: Cost, *, per_batch: float) -> Cost:
    """Return *base*, slower by the share *per_batch* with each batch (0.001: 0.1 %)."""
    return lambda size, index: base(size, index) * (1.0 + per_batch) ** index


def noisy(base: Cost, chance: random.Random, *, sigma: float = 0.1) -> Cost:
    """Return *base* with lognormal noise: *sigma* 0.1 is about 10 % more or less."""
    return lambda size, index: base(size, index) * math.exp(chance.gauss(0.0, sigma))


@dataclass(frozen=True, slots=True)
class Simulation:
    """What happened, batch by batch.

    Attributes:
        caps: The cap each batch was formed under.
        sizes: Items of each batch.
        durations: Seconds each batch took.
        elapsed: Seconds until the last batch ended, idle time included.
        latency: From arrival to answer of each item, in seconds. Empty for a
            saturated handler, whose items always wait.
    """

    caps: tuple[int, ...]
    sizes: tuple[int, ...]
    durations: tuple[float, ...]
    elapsed: float
    latency: Histogram

    @property
    def throughput(self) -> float:
        """Items answered a second."""
        return sum(self.sizes) / self.elapsed

    @property
    def busy(self) -> float:
        """Share of the time the handler was running."""
        return sum(self.durations) / self.elapsed

    @property
    def final_cap(self) -> int:
        """The median cap of the second half."""
        return statistics.median_low(self.caps[len(self.caps) // 2 :])

    def over_target(self, seconds: float) -> float:
        """Return the share of batches that took more than *seconds*."""
        return sum(duration > seconds for duration in self.durations) / len(self.durations)

    def settled_after(self, cap: float | None = None, *, tolerance: float = 0.15) -> int | None:
        """Return after how many batches the cap had come to stay, or None if it never did.

        Settled is: from that batch on, the running median of five caps (one
        probe of another size does not count) is within *tolerance* of *cap* for
        at least 95 % of the batches.

        Args:
            cap: The right cap, where it is known; else ``final_cap``.
            tolerance: The share the cap may be off.
        """
        right = self.final_cap if cap is None else cap
        strays = [abs(median - right) > tolerance * right for median in _running_medians(self.caps)]
        later = sum(strays)
        for index, stray in enumerate(strays):
            if not stray and later <= _EXCUSED * (len(strays) - index):
                return index
            later -= stray
        return None


def simulate(
    sizer: Sizer,
    cost: Cost,
    *,
    batches: int = 3_000,
    arrivals: float | None = None,
    wait: Wait | None = None,
    chance: random.Random | None = None,
    tick: float = 0.0,
) -> Simulation:
    """Run *batches* batches through one slot and return what happened.

    Args:
        sizer: Gives the cap of each batch and learns from it; it is changed.
        cost: What each batch costs, in seconds above 0.
        batches: How many batches to run, at least 1.
        arrivals: Items a second, as a Poisson process. None for a saturated
            handler: every batch is full.
        wait: How long an idle slot waits for more items; by default not at all.
            Given the fixed cost that ``sizer.model`` has learnt, if it has a
            model. Of no effect when saturated.
        chance: Where the arrival times come from; needed with *arrivals*.
        tick: Resolution of the clock that *sizer* sees, in seconds; 0.0156 is a
            coarse one.

    Raises:
        ConfigurationError: The arguments do not go together.
    """
    if batches < 1:
        raise ConfigurationError(f"batches must be at least 1, got {batches!r}")
    if arrivals is None:
        queue: _Saturated | _Poisson = _Saturated()
    elif chance is None or not 0 < arrivals < math.inf:
        raise ConfigurationError(
            "arrivals needs a number of items a second above 0, and chance=random.Random(seed)"
        )
    else:
        queue = _Poisson(arrivals, chance, FixedWait(0.0) if wait is None else wait)
    caps: list[int] = []
    sizes: list[int] = []
    durations: list[float] = []
    now = 0.0
    for index in range(batches):
        cap = sizer.cap
        start, size = queue.take(cap, now, _fixed_cost(sizer))
        duration = cost(size, index)
        now = start + duration
        queue.answer(size, now)
        sizer.record(
            size, _reading(now, tick) - _reading(start, tick) if tick else duration, full=size >= cap
        )
        caps.append(cap)
        sizes.append(size)
        durations.append(duration)
    return Simulation(tuple(caps), tuple(sizes), tuple(durations), now, queue.latency.snapshot())


class _Saturated:
    """Always as many items as the cap allows."""

    def __init__(self) -> None:
        self.latency = HistogramRecorder(SECONDS_BOUNDS)

    def take(self, cap: int, now: float, _fixed_cost: float) -> tuple[float, int]:
        return now, cap

    def answer(self, size: int, now: float) -> None:
        """Nobody in particular was waiting."""


class _Poisson:
    """Items that arrive at random, at a steady rate, and wait in order."""

    def __init__(self, rate: float, chance: random.Random, wait: Wait) -> None:
        self.latency = HistogramRecorder(SECONDS_BOUNDS)
        self._rate, self._chance, self._wait = rate, chance, wait
        self._waiting: deque[float] = deque()
        self._running: list[float] = []
        self._next = chance.expovariate(rate)

    def take(self, cap: int, now: float, fixed_cost: float) -> tuple[float, int]:
        """Return when the next batch starts and its size; the slot is free from *now*."""
        self._arrive_until(now)
        if not self._waiting:
            now = self._next
            self._arrive_until(now)
        while len(self._waiting) < cap:
            due = self._due_at(fixed_cost)
            if due <= now or due <= self._next:
                now = max(now, due)
                break
            now = self._next
            self._arrive_until(now)
        self._running = [self._waiting.popleft() for _ in range(min(cap, len(self._waiting)))]
        return now, len(self._running)

    def answer(self, size: int, now: float) -> None:
        """Note how long the *size* items of the running batch had been waiting."""
        self.latency.record_sorted_ages(self._running[:size], now)

    def _arrive_until(self, now: float) -> None:
        while self._next <= now:
            self._waiting.append(self._next)
            self._next += self._chance.expovariate(self._rate)

    def _due_at(self, fixed_cost: float) -> float:
        origin = self._waiting[0]
        arrived_sum = sum(time - origin for time in self._waiting)
        return origin + self._wait.due_at(
            count=len(self._waiting), arrived_sum=arrived_sum, oldest=0.0, fixed_cost=fixed_cost
        )


def _fixed_cost(sizer: Sizer) -> float:
    seconds = getattr(getattr(sizer, "model", None), "fixed_cost", 0.0)
    return float(seconds)


def _reading(now: float, tick: float) -> float:
    return math.floor(now / tick) * tick


def _running_medians(caps: tuple[int, ...]) -> list[float]:
    around = _MEDIAN_OF // 2
    return [
        statistics.median(caps[max(0, index - around) : index + around + 1]) for index in range(len(caps))
    ]
