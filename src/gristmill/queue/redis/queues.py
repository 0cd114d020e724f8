"""Queues as a whole: how they stand, their limits, and their stops."""

from __future__ import annotations

from gristmill.model.queue import QueueLimits, QueueStatus
from gristmill.queue.redis.links import Links

_AT_ONCE = 10  # queues of one call


class Queues:
    """The queues of a store."""

    def __init__(self, links: Links) -> None:
        self._links = links

    async def statuses(self) -> list[QueueStatus]:
        """Return how every queue stands that has a limit, is paused, or has chunks."""
        names = sorted(name for name in await self._links.read("SMEMBERS", "queues") if name is not None)
        found: list[QueueStatus] = []
        for at in range(0, len(names), _AT_ONCE):
            for row in await self._links.run("queues", *names[at : at + _AT_ONCE]):
                name, is_paused, ready, scheduled, blocked, running, dead, age = row
                found.append(
                    QueueStatus(
                        name=name.decode(),
                        is_paused=bool(is_paused),
                        ready=ready,
                        scheduled=scheduled,
                        blocked=blocked,
                        running=running,
                        dead=dead,
                        oldest_age=float(age),
                    )
                )
        return found

    async def limit(self, queue: str, limits: QueueLimits) -> None:
        """Set limits."""
        rate = "" if limits.rate is None else float(limits.rate)
        burst = "" if limits.rate is None else float(limits.largest_burst)
        concurrency = "" if limits.concurrency is None else limits.concurrency
        await self._links.run("limit", queue, rate, burst, concurrency)

    async def pause(self, queue: str, *, is_paused: bool) -> None:
        """Stop claims, or let them go on."""
        await self._links.run("pause", queue, int(is_paused))
