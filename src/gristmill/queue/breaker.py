"""A circuit breaker of one queue: when no batch is claimed, and when one is, to see whether it succeeds.

Where what a handler needs is away, each of its batches fails, and each failure
costs its items an attempt; soon all of them are dead with nothing wrong with
them. The breaker stops that.

The pattern and its words are those of Michael Nygard, Release It! (Pragmatic
Bookshelf, 2007 and 2018), "Stability Patterns". Pure: the caller brings the
time and the chance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from gristmill.errors import ConfigurationError
from gristmill.model.chunk import each_place
from gristmill.model.lease import Claim
from gristmill.model.queue import BreakerState
from gristmill.model.settling import Answers, Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """When a worker stops claiming from a queue whose batches all fail, and for how long.

    A batch fails here if no item of it succeeded and one at least failed with
    something that is tried again; failures for good say something of their
    items, and neither count nor reset. Each worker process has a breaker of its own.

    Attributes:
        batches: That must fail in a row.
        items: Different ones that must have failed in these batches: one that is tried again and again
            alone shows nothing.
        wait: The shortest cool-down, in seconds; the first is up to twice as long.
        max_wait: The longest. It doubles with each batch that fails after it, and the last half of it is
            chance.

    Raises:
        ConfigurationError: A number that cannot be counted or waited.
    """

    batches: int = 10
    items: int = 10
    wait: float = 1.0
    max_wait: float = 60.0

    def __post_init__(self) -> None:
        """Refuse what cannot work, with what would."""
        for name in ("batches", "items"):
            count: object = getattr(self, name)
            if not isinstance(count, int) or count < 1:
                raise ConfigurationError(f"{name} is a whole number, 1 or more, not {count!r}")
        if not 0 < self.wait <= self.max_wait < math.inf:
            raise ConfigurationError(
                "wait is seconds above 0 and max_wait is no less, "
                f"not {self.wait!r} and {self.max_wait!r}; breaker=None does without"
            )


class CircuitBreaker:
    """The breaker of one queue in one worker.

    *Closed*, batches are claimed. *Open*, none is until the cool-down is over. *Half open*, one is, the
    probe, and another where it takes longer than the longest cool-down: one that hangs must not hold up the
    queue. A success closes it, whichever batch it is of; a probe that fails opens it for longer.

    Args:
        limits: When and for how long it opens.
        chance: A new random number, 0 <= x < 1, at each call.

    Attributes:
        state: As of the last call.
        openings: How often it opened after it had been closed.
    """

    def __init__(self, limits: Breaker, chance: Callable[[], float]) -> None:
        self.state = BreakerState.CLOSED
        self.openings = 0
        self._limits = limits
        self._chance = chance
        self._batches = 0
        self._items: set[Hashable] = set()
        self._longest = 0.0
        self._until = 0.0
        self._era = 0
        self._probes = 0

    def delay(self, now: float) -> float:
        """Return the seconds until a batch may be claimed, 0 for at once; sooner if the probe ends.

        Args:
            now: Monotonic seconds.
        """
        if self.state is BreakerState.OPEN and now >= self._until:
            self._move(BreakerState.HALF_OPEN)
        if self.state is BreakerState.OPEN or self._probes:
            return max(0.0, self._until - now)
        return 0.0

    def claimed(self, now: float) -> int:
        """Note that a batch was claimed *now*; return its ticket. Half open, it is the probe."""
        if self.state is BreakerState.HALF_OPEN:
            self._probes += 1
            self._until = now + self._limits.max_wait
        return self._era

    def admits(self, ticket: int) -> bool:
        """Tell whether the batch of *ticket* may run: it opened after some were claimed."""
        return self.state is BreakerState.CLOSED or self._is_probe(ticket)

    def _is_probe(self, ticket: int) -> bool:
        return self.state is BreakerState.HALF_OPEN and ticket == self._era

    def succeeded(self) -> bool:
        """Note a batch of which an item succeeded; return whether that closed it."""
        self._batches = 0
        self._items.clear()
        if self.state is BreakerState.CLOSED:
            return False
        self._move(BreakerState.CLOSED)
        return True

    def failed(self, ticket: int, items: Iterable[Hashable], now: float) -> float | None:
        """Note a batch that failed.

        Args:
            ticket: The batch's.
            items: Names of its items, the same at each attempt; read as far as they matter.
            now: Monotonic seconds.

        Returns:
            The seconds for which that opened it, or None. While it is open, other
            batches than the probe tell nothing new.
        """
        if self.state is BreakerState.CLOSED:
            self._batches += 1
            for item in items:
                if len(self._items) >= self._limits.items:
                    break
                self._items.add(item)
            if self._batches < self._limits.batches or len(self._items) < self._limits.items:
                return None
            self.openings += 1
            self._longest = min(self._limits.max_wait, 2 * self._limits.wait)
        elif self._is_probe(ticket):
            self._longest = min(self._limits.max_wait, 2 * self._longest)
        else:
            return None
        return self._open(now)

    def _open(self, now: float) -> float:
        # Equal jitter (Marc Brooker, Exponential Backoff And Jitter, 2015): full jitter would send a probe
        # after next to nothing now and then, and each costs a batch an attempt.
        shortest = max(self._limits.wait, self._longest / 2)
        seconds = shortest + (self._longest - shortest) * self._chance()
        self._until = now + seconds
        self._move(BreakerState.OPEN)
        return seconds

    def hasten(self, now: float) -> None:
        """End the cool-down, so that the next batch is tried at once; how often it doubled is forgotten."""
        if self.state is BreakerState.OPEN:
            self._until = now
            self._longest = min(self._limits.max_wait, 2 * self._limits.wait)

    def ended(self, ticket: int) -> None:
        """Note that the batch of *ticket* is over; a probe that told nothing is followed by another."""
        if self._is_probe(ticket):
            self._probes -= 1

    def _move(self, state: BreakerState) -> None:
        self.state = state
        self._probes = 0
        self._era += 1


def has_succeeded(claim: Claim, answers: Sequence[Answers]) -> bool:
    """Tell whether any item of *claim* succeeded."""
    return sum(len(each.failures) for each in answers) < claim.items


def passing_failures(
    claim: Claim, answers: Sequence[Answers], policy: Policy
) -> Iterator[tuple[tuple[str, int], str]]:
    """Yield the name and the code of each item that failed with something that is tried again."""
    for chunk, answer in zip(claim.chunks, answers, strict=True):
        places = list(each_place(chunk.places))
        for index, failed in answer.failures.items():
            if policy.is_passing(failed):
                yield (chunk.job, places[index]), failed.code
