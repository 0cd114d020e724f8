"""What workers ask of the store: claims, and what ends them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypeVar

from gristmill.model.lease import Claim, Idle, Settled, Settlement
from gristmill.queue.redis.links import Links
from gristmill.queue.redis.records import chunks_from, id_text, packed_settlement

T = TypeVar("T", bound=Claim | Idle | None)


class Work:
    """Leases of a store."""

    def __init__(self, links: Links) -> None:
        self._links = links
        self._kept: set[asyncio.Task[None]] = set()

    async def claim(
        self, queue: str, *, worker: str, max_items: int, max_bytes: int, seconds: float
    ) -> Claim | Idle:
        """Lease due chunks."""
        return await self._unless_cancelled(self._claim(queue, worker, max_items, max_bytes, seconds))

    async def _claim(
        self, queue: str, worker: str, max_items: int, max_bytes: int, seconds: float
    ) -> Claim | Idle:
        lease, more, *rest = await self._links.run("claim", queue, worker, max_items, max_bytes, seconds)
        if not lease:
            return Idle(due_in=float(more) if more else None)
        return Claim(lease=int(lease), queue=queue, chunks=tuple(chunks_from(rest)), more=bool(more))

    async def take_over(self, *, worker: str, seconds: float) -> Claim | None:
        """Turn a lease that died into one of the caller's."""
        return await self._unless_cancelled(self._take_over(worker, seconds))

    async def _take_over(self, worker: str, seconds: float) -> Claim | None:
        reply = await self._links.run("take_over", worker, seconds)
        if not reply:
            return None
        queue, lease, *rest = reply
        return Claim(lease=int(lease), queue=queue.decode(), chunks=tuple(chunks_from(rest)))

    async def _unless_cancelled(self, claiming: Awaitable[T]) -> T:
        """Return what *claiming* gives; give it back if the caller is cancelled: nobody would settle it."""
        task = asyncio.ensure_future(claiming)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            giving = asyncio.create_task(self._give_back(task), name="gristmill give back")
            self._kept.add(giving)
            giving.add_done_callback(self._kept.discard)
            raise

    async def _give_back(self, task: asyncio.Future[T]) -> None:
        await asyncio.wait([task])
        if task.cancelled() or task.exception() is not None:
            return
        found: Claim | Idle | None = task.result()
        if isinstance(found, Claim):
            await self.release(found.lease)

    async def renew(self, leases: Sequence[int], seconds: float) -> set[int]:
        """Extend leases and return those that are lost."""
        if not leases:
            return set()
        lost = await self._links.run("renew", seconds, *map(id_text, leases))
        return set(map(int, lost))

    async def settle(self, settlement: Settlement) -> Settled:
        """Record what became of a claim."""
        reply: bytes = await self._links.run("settle", *packed_settlement(settlement))
        return Settled(reply.decode())

    async def release(self, lease: int) -> bool:
        """Give chunks back as they were."""
        return bool(await self._links.run("release", id_text(lease)))

    async def close(self) -> None:
        """Wait until what was claimed for nobody is given back."""
        await asyncio.gather(*self._kept, return_exceptions=True)
