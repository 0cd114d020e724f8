"""How long an idle slot waits for more items; arithmetic on clock readings, reads no clock.

Both policies answer one question, ``due_at``: at which clock reading must the
batch go? Compare with ``now >= due_at(...)`` and never with a subtraction such
as ``now - oldest >= max_wait``: that rounds differently, so a timer firing
exactly on time would find nothing due.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

from gristmill.errors import ConfigurationError
from gristmill.model.numbers import is_number


@dataclass(frozen=True, slots=True)
class FixedWait:
    """Wait *max_wait* seconds from the oldest item, then go. 0 goes on the next loop turn."""

    max_wait: float

    def __post_init__(self) -> None:
        """Refuse what is no length of time."""
        _check_seconds("max_wait", self.max_wait)

    def due_at(self, *, count: int, arrived_sum: float, oldest: float, fixed_cost: float) -> float:  # noqa: ARG002 - one interface for every wait
        """Return the clock reading, in seconds, at which the batch must go.

        Only *oldest* counts here; see ``Linger.due_at`` for the arguments.
        """
        return oldest + self.max_wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Linger:
    """Wait while waiting is cheaper than one more batch: the rent-or-buy rule.

    The batch goes when the seconds its items have waited, summed, reach *cost*
    times the fixed cost of one batch; so never later than twice what a
    clairvoyant would pay for batches plus delay (Dooly, Goldman and Scott, "TCP
    acknowledgment delay", STOC 1998). A lone item waits ``cost`` times the
    fixed cost, two wait half as long each. While no fixed cost is learnt
    (``fixed_cost`` 0) nothing waits.

    Args:
        cost: How much a second of the handler's fixed cost is worth in seconds
            of waiting, at least 0. 0 is the lowest latency, 1 values both
            alike, more saves handler time.
        max_wait: The longest wait of any item, in seconds. The default, a tenth
            of a second, is about what a person does not notice; it only matters
            for handlers whose fixed cost is higher.
    """

    cost: float = 1.0
    max_wait: float = 0.1

    def __post_init__(self) -> None:
        """Refuse what is no weight and no length of time."""
        if not is_number(self.cost) or not 0 <= self.cost < math.inf:  # this way round refuses NaN too
            raise ConfigurationError(f"cost must be a finite number, 0 or more, got {self.cost!r}")
        _check_seconds("max_wait", self.max_wait)

    def due_at(self, *, count: int, arrived_sum: float, oldest: float, fixed_cost: float) -> float:
        """Return the clock reading, in seconds, at which the batch must go.

        ``sum(now - arrived) >= cost * fixed_cost`` solved for *now*. For the same
        *fixed_cost*, another arrival only ever makes it earlier.

        Args:
            count: Items waiting, at least 1.
            arrived_sum: The sum of their arrival times.
            oldest: The earliest arrival time.
            fixed_cost: What one batch costs whatever its size, in seconds.

        All times are readings of one clock less one origin that the caller
        chooses, and so is the result. Choose an origin near the items (such as
        the first arrival since the buffer was empty): a sum of many readings of
        a clock that has run for months loses microseconds.
        """
        # `min` in this order gives the limit when the left side is NaN or infinite.
        return min(oldest + self.max_wait, (self.cost * fixed_cost + arrived_sum) / count)


Wait: TypeAlias = FixedWait | Linger


def _check_seconds(name: str, seconds: float) -> None:
    if not is_number(seconds) or not 0 <= seconds < math.inf:
        raise ConfigurationError(f"{name} must be a finite number of seconds, 0 or more, got {seconds!r}")
