"""Queues as a whole: their limits over all machines, how they stand, and the dead items in them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from gristmill.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLimits:
    """Limits of one queue, over all machines.

    Attributes:
        rate: Items that may be claimed a second; None is unlimited.
        burst: Items that may be claimed at once after a quiet time; *rate*'s second by default.
        concurrency: Leases that may be held at once; None is unlimited.
    """

    rate: float | None = None
    burst: float | None = None
    concurrency: int | None = None

    def __post_init__(self) -> None:
        """Refuse limits that would stop the queue for good."""
        for name in ("rate", "burst"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ConfigurationError(f"{name} is a number of items above 0, or None, not {value!r}")
        if self.burst is not None and self.rate is None:
            raise ConfigurationError("burst needs a rate")
        if self.concurrency is not None and self.concurrency < 1:
            raise ConfigurationError(f"concurrency is 1 or more, or None, not {self.concurrency!r}")

    @property
    def largest_burst(self) -> float:
        """Items that may be claimed at once after a quiet time; inf without a rate."""
        if self.rate is None:
            return math.inf
        return max(1.0, self.rate) if self.burst is None else self.burst


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """How much of a queue's rate is left, as a store keeps it.

    Attributes:
        tokens: Items that may be claimed; below 0 while a large chunk is being paid off.
        at: When that was so.
    """

    tokens: float
    at: float

    def refilled(self, limits: QueueLimits, now: float) -> Bucket:
        """Return what is left at *now*."""
        if limits.rate is None:
            return Bucket(tokens=math.inf, at=now)
        gained = max(0.0, now - self.at) * limits.rate
        return Bucket(tokens=min(limits.largest_burst, self.tokens + gained), at=now)

    def admits(self, items: int, limits: QueueLimits) -> bool:
        """Tell whether a chunk of *items* may be claimed: it fits, or the burst is full."""
        return self.tokens >= min(items, limits.largest_burst)

    def admits_in(self, items: int, limits: QueueLimits) -> float:
        """Return the seconds after which ``admits`` is true."""
        if limits.rate is None:
            return 0.0
        return max(0.0, (min(items, limits.largest_burst) - self.tokens) / limits.rate)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStatus:
    """How a queue stands.

    Attributes:
        name: The handler's name.
        is_paused: Whether nothing is claimed from it.
        ready: Items that are due.
        scheduled: Items that are not due yet, retries included.
        blocked: Items behind others of their ordering key.
        running: Items that are leased.
        dead: Items that failed for good and can be redriven.
        oldest_age: Seconds that the oldest due item has been due; 0 without one.
    """

    name: str
    is_paused: bool
    ready: int
    scheduled: int
    blocked: int
    running: int
    dead: int
    oldest_age: float


class BreakerState(StrEnum):
    """What a circuit breaker lets through: everything, nothing, one batch to see whether it succeeds."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerStatus:
    """How the circuit breaker of a queue stands in this process.

    Attributes:
        queue: The handler's name.
        state: What it lets through.
        openings: How often it opened after it had been closed.
    """

    queue: str
    state: BreakerState
    openings: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadFilter:
    """Which dead items; each None matches all.

    Attributes:
        queue: Of this queue.
        job: Of this job.
        code: That died of this code.
        before: That died before this time of the epoch.
    """

    queue: str | None = None
    job: str | None = None
    code: str | None = None
    before: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadGroup:
    """Dead items of one queue and code: how many, since when, until when, and what one was told."""

    queue: str
    code: str
    items: int
    first_at: float
    last_at: float
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hindrance:
    """What slows all queues of a store down, or will soon stop them.

    Attributes:
        who: Whose doing it is, or what: the same as long as it lasts.
        text: What it is and what to do, for people.
    """

    who: str
    text: str
