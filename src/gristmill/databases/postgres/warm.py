"""Connections that are kept at hand for the next batch, past the pool they belong to.

Giving a connection back to asyncpg's pool and taking it again costs a task and
some turns of the loop, as much as 50 rows. Between batches that follow each
other at once a connection so stays here, and goes back when nobody has asked
for one for a moment, or when somebody waits for the pool.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

MOMENT = 0.05
"""Seconds."""


class Warm:
    """The connections of one event loop, the last used first.

    Args:
        give_back: Gives a connection back to the pool.
    """

    def __init__(self, give_back: Callable[[Any], Awaitable[None]]) -> None:
        self._give_back = give_back
        self._kept: list[tuple[float, Any]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._going: set[asyncio.Future[None]] = set()

    def __len__(self) -> int:
        return len(self._kept)

    def take(self) -> Any:
        """Return a connection that is open as far as one knows, or None."""
        while self._kept:
            _, connection = self._kept.pop()
            if is_clean(connection):
                return connection
            self._send_back(connection)
        return None

    def keep(self, connection: Any) -> None:
        """Keep *connection*, which must be open and outside of a transaction, for a moment."""
        loop = asyncio.get_running_loop()
        self._kept.append((loop.time(), connection))
        if self._timer is None:
            self._timer = loop.call_later(MOMENT, self._look, loop)

    async def empty(self) -> None:
        """Give all of them back."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for _, connection in self._kept:
            self._send_back(connection)
        self._kept.clear()
        if self._going:
            await asyncio.wait(self._going)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        old = [connection for at, connection in self._kept if now - at >= MOMENT / 2]
        self._kept = [entry for entry in self._kept if now - entry[0] < MOMENT / 2]
        for connection in old:
            self._send_back(connection)
        self._timer = loop.call_later(MOMENT, self._look, loop) if self._kept else None

    def _send_back(self, connection: Any) -> None:
        going = asyncio.ensure_future(self._give_back(connection))
        self._going.add(going)
        going.add_done_callback(self._going.discard)


def is_clean(connection: Any) -> bool:
    """Tell whether *connection* is open, and outside of a transaction."""
    try:
        return not connection.is_closed() and not connection.is_in_transaction()
    except asyncpg.InterfaceError:  # it broke, and has gone back to the pool by itself
        return False
