"""How a pool is set up, and what it counts."""

from __future__ import annotations

from dataclasses import dataclass

from gristmill.errors import ConfigurationError
from gristmill.model.pool import PoolStats


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSettings:
    """See ``Pool``; all durations in seconds."""

    size: int = 20
    idle: float = 30.0
    acquire_timeout: float = 2.0
    connect_timeout: float = 5.0
    command_timeout: float = 30.0

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ConfigurationError(f"size is at least 1 connection, not {self.size}")
        for name in ("idle", "acquire_timeout", "connect_timeout", "command_timeout"):
            if getattr(self, name) <= 0:
                raise ConfigurationError(f"{name} is a number of seconds above 0, not {getattr(self, name)}")


@dataclass(slots=True)
class PoolCounts:
    """What a pool counts; changed on its event loop."""

    in_use: int = 0
    waiting: int = 0
    acquired: int = 0
    wait_seconds: float = 0.0
    timeouts: int = 0
    lost: int = 0
    round_trips: int = 0

    def snapshot(self, name: str, *, size: int, open_now: int) -> PoolStats:
        """Return the counts of this moment."""
        return PoolStats(
            name=name,
            size=size,
            open=open_now,
            in_use=self.in_use,
            waiting=self.waiting,
            acquired=self.acquired,
            wait_seconds=self.wait_seconds,
            timeouts=self.timeouts,
            lost=self.lost,
            round_trips=self.round_trips,
        )
