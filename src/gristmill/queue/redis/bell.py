"""Waking who waits for work: one blocking connection for all of one event loop.

A script that makes something claimable puts one token in its queue's list, if
none lies there, and one process takes it. A claim that leaves something puts
the next. So workers wake one after another for as long as there is work, and
never all at once. A token that is lost with its process costs the rest of
somebody's wait, no more.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from gristmill.errors import StoreError
from gristmill.queue.redis.link import Link

_SHORTEST = 0.01  # seconds of a blocking call: 0 would be for ever
_LISTS = "wake:"


@dataclass(slots=True, kw_only=True, eq=False)
class _Waiter:
    queues: frozenset[str]
    until: float
    woken: asyncio.Future[None]


class Bell:
    """Listens for as long as somebody waits."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._own = f"\0{uuid.uuid4().hex}"  # no queue's name; a token in it makes the listener look up
        self._waiters: list[_Waiter] = []
        self._heard: frozenset[str] = frozenset()
        self._listener: asyncio.Task[None] | None = None

    async def wait(self, queues: Sequence[str], seconds: float) -> None:
        """Return when a token came for one of *queues*, or after *seconds*."""
        loop = asyncio.get_running_loop()
        waiter = _Waiter(queues=frozenset(queues), until=loop.time() + seconds, woken=loop.create_future())
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(seconds):
                await self._listen(waiter.queues)
                await waiter.woken
        except TimeoutError:
            pass
        finally:
            self._waiters.remove(waiter)

    async def _listen(self, queues: frozenset[str]) -> None:
        if self._listener is None or self._listener.done():
            self._heard = queues
            self._listener = asyncio.create_task(self._hear(), name="gristmill wait")
        elif not queues <= self._heard:
            await self._link.run("ring", self._own, 60)

    def _open(self) -> list[_Waiter]:
        return [waiter for waiter in self._waiters if not waiter.woken.done()]

    async def _hear(self) -> None:
        try:
            while waiters := self._open():
                self._heard = frozenset().union(*(waiter.queues for waiter in waiters))
                left = max(waiter.until for waiter in waiters) - asyncio.get_running_loop().time()
                names = [_LISTS + queue for queue in (*self._heard, self._own)]
                name = await self._link.pop(names, max(_SHORTEST, left))
                queue = "" if name is None else name.removeprefix(_LISTS)
                if queue in self._heard:
                    await self._wake(queue)
        except StoreError as error:
            for waiter in self._open():
                own = type(error)(str(error))
                own.__cause__ = error.__cause__
                waiter.woken.set_exception(own)

    async def _wake(self, queue: str) -> None:
        for waiter in self._open():
            if queue in waiter.queues:
                waiter.woken.set_result(None)
                return
        await self._link.run("ring", queue, 0)  # whom it was for has gone: it is somebody else's

    async def close(self) -> None:
        """Stop listening."""
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.wait([self._listener])
