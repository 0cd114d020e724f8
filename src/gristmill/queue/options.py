"""How one handler's queue is worked: what an App's ``queues={"users": QueueOptions(...)}`` says."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from gristmill.errors import ConfigurationError
from gristmill.model.queue import QueueLimits
from gristmill.model.retry import Retry
from gristmill.queue.breaker import Breaker

DAY = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueOptions:
    """Options of one handler's queue.

    Attributes:
        retry: Attempts of an item, and the waits between them; by default the handler's own ``retry``, or
            five attempts with waits of up to 1, 2, 4 and 8 seconds. Items fail for good at once where their
            ``Failed`` is not ``retryable``.
        max_crashes: Deaths of a worker on one item alone, after which it is dead.
        lease: Seconds after which a worker that gives no sign of life loses its batch; it gives one after
            each third of that.
        transactional: Whether the handler's context gets the connection in which its batch is settled
            (``ctx.transaction``; SQL stores): what it writes there and the outcomes are stored together or
            not at all.
        rate: Items a second over all machines; None is unlimited.
        burst: Items at once after a quiet time; a second's worth by default.
        concurrency: Batches at once over all machines; None is unlimited.
        max_bytes: Of one batch, at about the most.
        breaker: When a worker stops claiming because every batch fails, by default after ten in a row, for
            1 to 60 seconds; None never does.
        retention: Seconds for which a final job and its results are kept; a week by default. Workers of other
            Apps in the same store leave them alone.
    """

    retry: Retry | None = None
    max_crashes: int = 3
    lease: float = 30.0
    transactional: bool = False
    rate: float | None = None
    burst: float | None = None
    concurrency: int | None = None
    max_bytes: int = 8 << 20
    breaker: Breaker | None = field(default_factory=Breaker)
    retention: float = 7 * DAY

    def __post_init__(self) -> None:
        """Refuse what cannot work, with what would."""
        if not 0 < self.lease < math.inf:
            raise ConfigurationError(f"lease is seconds above 0, not {self.lease!r}")
        if not 0 <= self.retention < math.inf:
            raise ConfigurationError(f"retention is seconds, 0 or more, not {self.retention!r}")
        if self.max_crashes < 1 or self.max_bytes < 1:
            raise ConfigurationError("max_crashes and max_bytes are 1 or more")
        _ = self.limits

    @property
    def limits(self) -> QueueLimits:
        """What the store enforces over all machines."""
        return QueueLimits(rate=self.rate, burst=self.burst, concurrency=self.concurrency)
