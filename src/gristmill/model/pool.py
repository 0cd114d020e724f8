"""How a pool of connections stands: a frozen snapshot."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolStats:
    """A pool at one moment; the counts begin with the process.

    Attributes:
        name: The label of its metrics.
        size: Connections it may have.
        open: Connections it has.
        in_use: Of them, those that somebody has.
        waiting: Callers that wait for one.
        acquired: How often somebody got one.
        wait_seconds: How long they waited for it, all together.
        timeouts: How often nobody gave one back in time.
        lost: Connections that broke while in use.
        round_trips: Statements sent by writers and loaders, those about transactions included.
    """

    name: str
    size: int
    open: int
    in_use: int
    waiting: int
    acquired: int
    wait_seconds: float
    timeouts: int
    lost: int
    round_trips: int
