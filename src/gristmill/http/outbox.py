"""Bytes on their way to a caller who may read slowly: what is ready goes together, what is too much waits."""

from __future__ import annotations

import asyncio


class Outbox:
    """Holds pieces from several writers for one reader; for one event loop.

    Args:
        limit: Bytes above which writers wait for the reader.
    """

    def __init__(self, limit: int = 65536) -> None:
        self._limit = limit
        self._pieces: list[bytes] = []
        self._size = 0
        self._closed = False
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()

    async def put(self, piece: bytes) -> None:
        """Add *piece*; wait first while more than the limit is held."""
        while self._size > self._limit:
            self._emptied.clear()
            await self._emptied.wait()
        self._pieces.append(piece)
        self._size += len(piece)
        self._filled.set()

    def close(self) -> None:
        """Say that nothing more comes."""
        self._closed = True
        self._filled.set()

    async def take(self) -> bytes:
        """Return all that is held, in the order it came; empty only at the end."""
        while not self._pieces and not self._closed:
            self._filled.clear()
            await self._filled.wait()
        taken = b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        self._emptied.set()
        return taken
