"""How a pool of connections stands: a frozen snapshot."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from gristmill.errors import ConfigurationError


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

    @property
    def idle(self) -> int:
        """Connections that wait to be used."""
        return max(0, self.open - self.in_use)


class Pooled(Protocol):
    """What has a pool: a ``Pool``, a ``BulkWriter`` or a ``BulkLoader`` with one of its own."""

    def stats(self) -> PoolStats:
        """Return a snapshot of this moment."""


def told_apart(pools: Iterable[Pooled]) -> tuple[Pooled, ...]:
    """Return *pools*, if their names differ.

    Raises:
        ConfigurationError: Two have one name, so their metrics would be one.
    """
    watched = tuple(pools)
    names = [pool.stats().name for pool in watched]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigurationError(
            f"pools need different names to be told apart: {', '.join(twice)}; give Pool(..., name=...)"
        )
    return watched
