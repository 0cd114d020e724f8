"""Waking workers: those of this process at once, others by a notification, and all by a poll in the end."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Collection, Sequence
from typing import Any

from gristmill.errors import StoreError
from gristmill.queue.postgres.connections import Connections, close_connection
from gristmill.queue.postgres.failures import translated

logger = logging.getLogger("gristmill.queue")

APART = 0.05
"""Seconds between two notifications of a process: each one takes a lock of the whole server."""

POLL = 1.0
"""Seconds after which a wait ends by itself, in case a notification was lost."""

POLL_DEAF = 0.1
"""The same while nothing is listened to: behind PgBouncer, or until the connection for it is there."""

AGAIN = 1.0
"""Seconds between two tries to listen."""


class Waker:
    """Tells and hears that there may be something to claim.

    A claim that finds nothing and a wait right after it lose no news from in between: ``forget`` before the
    claim, and the wait returns at once.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._name = uuid.uuid4().hex[:12]
        self._news: set[str] = set()
        self._waiters: set[tuple[frozenset[str], asyncio.Event]] = set()
        self._untold: set[str] = set()
        self._teller: asyncio.Task[None] | None = None
        self._listener: Any = None
        self._connecting: asyncio.Task[None] | None = None

    def tell(self, queues: Collection[str]) -> None:
        """Wake whoever waits for one of *queues*, here and elsewhere; after the commit."""
        self._ring(queues)
        self._untold.update(queues)
        if self._untold and self._teller is None:
            self._teller = asyncio.create_task(self._tell(), name="gristmill-notify")

    async def _tell(self) -> None:
        try:
            while self._untold:
                await self._send()
                await asyncio.sleep(APART)
        finally:
            self._teller = None

    async def _send(self) -> None:
        queues, self._untold = sorted(self._untold), set()
        try:
            await self._connections.fetch(
                "notify", self._connections.address.channel, [f"{self._name} {queue}" for queue in queues]
            )
        except asyncio.CancelledError:
            self._untold.update(queues)
            raise
        except StoreError as error:
            logger.debug("could not notify other workers of %s, they will poll: %s", queues, error)

    def forget(self, queue: str) -> None:
        """Take what was told of *queue* as known: it is about to be claimed from."""
        self._news.discard(queue)

    def _ring(self, queues: Collection[str]) -> None:
        self._news.update(queues)
        for wanted, event in self._waiters:
            if not wanted.isdisjoint(queues):
                event.set()

    async def wait(self, queues: Sequence[str], seconds: float) -> None:
        """Return when one of *queues* was told of, or it is time to look; after *seconds* at the latest."""
        self._listen()
        wanted = frozenset(queues)
        if not wanted.isdisjoint(self._news):
            self._news -= wanted
            return
        entry = (wanted, asyncio.Event())
        self._waiters.add(entry)
        poll = POLL if self._listener is not None else POLL_DEAF
        try:
            async with asyncio.timeout(min(seconds, poll)):
                await entry[1].wait()
        except TimeoutError:
            pass  # time to look again
        finally:
            self._waiters.discard(entry)

    def _listen(self) -> None:
        if self._listener is None and self._connecting is None and not self._connections.address.is_pooled:
            self._connecting = asyncio.create_task(self._connect(), name="gristmill-listen")

    async def _connect(self) -> None:
        try:
            connection = await self._connections.connect()
            try:
                connection.add_termination_listener(self._deafen)
                with translated():
                    await connection.add_listener(self._connections.address.channel, self._hear)
            except BaseException:
                connection.terminate()
                raise
            # It may have been lost before this task came to know that it was there.
            self._listener = None if connection.is_closed() else connection
        except StoreError as error:  # the next wait tries again
            logger.debug("cannot listen, polling instead: %s", error)
            await asyncio.sleep(AGAIN)
        finally:
            self._connecting = None
        self._ring({queue for wanted, _ in self._waiters for queue in wanted})  # what came before it heard

    def _deafen(self, connection: Any) -> None:  # noqa: ARG002 - as asyncpg calls it
        self._listener = None

    def _hear(self, connection: Any, process: int, channel: str, payload: str) -> None:  # noqa: ARG002 - as above
        sender, _, queue = payload.partition(" ")
        if sender != self._name:
            self._ring((queue,))

    async def close(self) -> None:
        """Tell what is untold, and stop listening. Idempotent."""
        for task in (self._teller, self._connecting):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        if self._untold:
            await self._send()
        listener, self._listener = self._listener, None
        if listener is not None:
            await close_connection(listener)
