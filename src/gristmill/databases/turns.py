"""One statement after the other on the connection of a caller, whoever uses it at the same time.

Drivers refuse a second statement while one is under way, and savepoints of
two batches that ran into each other would undo the wrong rows.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any


class _Turn:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.users = 0


_turns: dict[int, _Turn] = {}  # by the identity of connections that are in use, so they are alive


@asynccontextmanager
async def turn(connection: Any) -> AsyncIterator[None]:
    """Wait until nobody else of this library uses *connection*, and let nobody until the end."""
    mine = _turns.setdefault(id(connection), _Turn())
    mine.users += 1
    try:
        async with mine.lock:
            yield
    finally:
        mine.users -= 1
        if not mine.users:
            del _turns[id(connection)]
