"""From synchronous code to the event loop in the background, and back."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, TypeVar

from gristmill.batching.background import background
from gristmill.errors import BlockingCall

T = TypeVar("T")

_AHEAD = 1024
"""Results that wait for the thread that takes them, at most."""


class Portal:
    """Runs coroutines on the loop that programs without one share, and waits for them."""

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what *work* returns.

        Raises:
            BlockingCall: An event loop runs in this thread, and would be blocked.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            work.close()
            raise BlockingCall("SyncClient would block the running event loop; use Client there")
        future = asyncio.run_coroutine_threadsafe(work, background.get())
        try:
            return future.result()
        except BaseException:
            future.cancel()  # Ctrl-C; nothing if it is over
            raise

    def iterate(self, source: AsyncIterator[T]) -> Iterator[T]:
        """Yield what *source* yields, many for each change of threads; closing this closes it."""
        tap = Tap(source)
        try:
            while found := self.run(tap.some()):
                yield from found
        finally:
            self.run(tap.aclose())


class Tap:
    """Reads an async iterator ahead, as far as it is worth a change of threads.

    Args:
        source: Closed at the end.
    """

    def __init__(self, source: AsyncIterator[Any]) -> None:
        self._source = source
        self._held: deque[Any] = deque()
        self._changed = asyncio.Event()
        self._taken = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None

    async def some(self) -> list[Any]:
        """Return what there is, at least one; nothing at the end.

        Raises:
            Exception: What the source raised, after all before was taken.
        """
        if self._reader is None:
            self._reader = asyncio.create_task(self._read(), name="gristmill tap")
            self._reader.add_done_callback(lambda _: self._changed.set())
        while not self._held and not self._reader.done():
            self._changed.clear()
            await self._changed.wait()
        found = list(self._held)
        self._held.clear()
        self._taken.set()
        if not found:
            self._reader.result()
        return found

    async def _read(self) -> None:
        async for item in self._source:
            while len(self._held) >= _AHEAD:
                self._taken.clear()
                await self._taken.wait()
            self._held.append(item)
            self._changed.set()

    async def aclose(self) -> None:
        """Stop reading, and close the source."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait([self._reader])
            if not self._reader.cancelled():
                self._reader.exception()
        close = getattr(self._source, "aclose", None)
        if close is not None:
            await close()
