"""Claiming: how many rows to look at, and what to do when there is nothing to take at first sight."""

from __future__ import annotations

from typing import Any, Protocol

from gristmill.model.lease import Claim, Idle
from gristmill.queue.postgres.columns import chunk_of
from gristmill.queue.postgres.connections import Connections, Session
from gristmill.queue.postgres.limiting import Allowance, allowance

_FIRST = 64
"""Chunks to look at while nothing is known of a queue."""

_MOST = 1000
_PROMOTIONS = 8
"""Times that a claim looks again because something has just become due."""

CONTENDED = 0.01
"""Seconds until another look, if all that is ready is being claimed by others just now."""


class _Runs(Protocol):
    """A session, or a pool of them."""

    async def fetch(self, name: str, *values: Any) -> list[Any]: ...


class Density:
    """How full the chunks of one queue were lately, so that a claim locks about as many rows as it takes.

    >>> density = Density()
    >>> density.chunks_for(1000, 1 << 20)
    64
    >>> density.saw(looked_at=64, taken=2, items=1000, size=100_000)
    >>> density.chunks_for(1000, 1 << 20)
    4
    """

    def __init__(self) -> None:
        self._items: float | None = None
        self._size = 0.0

    def chunks_for(self, max_items: int, max_bytes: int) -> int:
        """Return how many chunks to look at for a claim: those that will fit, and a few."""
        if self._items is None:
            return max(2, min(max_items + 1, _FIRST))
        fitting = min(max_items / max(self._items, 1.0), max_bytes / max(self._size, 1.0))
        return int(min(fitting, _MOST - 2)) + 2

    def saw(self, *, looked_at: int, taken: int, items: int, size: int) -> None:
        """Learn from a claim of *taken* chunks that looked at up to *looked_at*."""
        if taken >= looked_at:  # more would have fitted
            items, size = items // 2, size // 2
        if self._items is None:
            self._items, self._size = items / taken, size / taken
        else:
            self._items += (items / taken - self._items) / 2
            self._size += (size / taken - self._size) / 2


class Claimer:
    """Claims for one store."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._densities: dict[str, Density] = {}

    async def claim(
        self, queue: str, *, worker: str, max_items: int, max_bytes: int, seconds: float
    ) -> Claim | Idle:
        """Lease what is due in *queue*, as ``Store.claim`` says."""
        for _ in range(_PROMOTIONS):
            rows, looked_at = await self._look(
                self._connections, queue, worker, seconds, (max_items, max_bytes), is_limited=False
            )
            first = rows[0]
            if first["id"] is not None:
                return self._claimed(queue, rows, looked_at)
            if first["closed"] == "paused":
                return Idle()
            if first["closed"] == "limited":
                found = await self._connections.transact(
                    lambda session: self._limited(session, queue, worker, seconds, (max_items, max_bytes))
                )
                if found is not None:
                    return found
            elif not first["promoted"]:
                return Idle(due_in=CONTENDED if first["contended"] else first["due_in"])
        return Idle(due_in=0.0)

    async def _look(
        self, on: _Runs, queue: str, worker: str, seconds: float, room: tuple[int, int], *, is_limited: bool
    ) -> tuple[list[Any], int]:
        looked_at = self._density(queue).chunks_for(*room)
        rows = await on.fetch("claim", queue, worker, seconds, *room, looked_at, is_limited)
        return rows, looked_at

    def _density(self, queue: str) -> Density:
        return self._densities.setdefault(queue, Density())

    def _claimed(self, queue: str, rows: list[Any], looked_at: int) -> Claim:
        claim = Claim(
            lease=rows[0]["lease"],
            queue=queue,
            chunks=tuple(chunk_of(row, queue) for row in rows),
            more=rows[0]["found"] > len(rows) or len(rows) >= looked_at or rows[0]["promoted"] > 0,
        )
        size = sum(len(chunk.body) for chunk in claim.chunks)
        self._density(queue).saw(looked_at=looked_at, taken=len(rows), items=claim.items, size=size)
        return claim

    async def _limited(
        self, session: Session, queue: str, worker: str, seconds: float, room: tuple[int, int]
    ) -> Claim | Idle | None:
        """Claim within the limits of *queue*, whose row stays locked until the commit; None: look again."""
        settings = await session.row("lock_queue", queue)
        seen = await session.row("peek", queue, self._density(queue).chunks_for(*room))
        found = allowance(settings, seen, room[0])
        if not isinstance(found, Allowance):
            return found
        room = (found.items, room[1])
        rows, looked_at = await self._look(session, queue, worker, seconds, room, is_limited=True)
        if rows[0]["id"] is None:
            return Idle(due_in=CONTENDED)
        claim = self._claimed(queue, rows, looked_at)
        if found.bucket is not None:
            await session.fetch("spend", queue, found.bucket.tokens - claim.items, found.bucket.at)
        return claim
