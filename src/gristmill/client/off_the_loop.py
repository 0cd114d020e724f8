"""Sources that may block, read in a thread of their own and handed to the event loop item by item."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import AsyncGenerator, Iterable
from typing import Any, TypeVar

T = TypeVar("T")

_AHEAD = 200
"""Items that wait for the loop, at most."""
_END = object()


async def off_the_loop(source: Iterable[T]) -> AsyncGenerator[T, None]:
    """Yield what *source* yields, read in a thread: it may wait for a disk, a database or another answer.

    An item is handed over when it is there, however long the next one takes. *source* is closed at the end,
    in its thread; one that is stuck inside of ``next`` is closed once that returns.

    Raises:
        Exception: What the source raised, after all before.
    """
    shelf = _Shelf(asyncio.get_running_loop())
    context = contextvars.copy_context()
    # A daemon: a source that waits for ever must not keep the process.
    threading.Thread(
        target=context.run, args=(shelf.fill, source), name="gristmill source", daemon=True
    ).start()
    try:
        while found := await shelf.some():
            for item in found:
                yield item
    finally:
        await shelf.close()


class _Shelf:
    """Where the thread that reads puts items, and the loop takes them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._has_room = threading.Condition()
        self._held: list[Any] = []
        self._error: Exception | None = None
        self._is_closed = False
        self._is_waiting = False
        self._filled = asyncio.Event()
        self._ended = asyncio.Event()

    # -- in the thread

    def fill(self, source: Iterable[Any]) -> None:
        try:
            self._fill(source)
        except Exception as error:  # noqa: BLE001 - the loop raises it, after all items before
            self._error = error
        except BaseException as error:  # noqa: BLE001 - raised there, it would end the loop of everybody
            self._error = RuntimeError(f"the source raised {type(error).__name__}")
            self._error.__cause__ = error
        self._tell(self._ended)

    def _fill(self, source: Iterable[Any]) -> None:
        items = iter(source)
        try:
            while (item := next(items, _END)) is not _END and self._put(item):
                pass
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()

    def _put(self, item: Any) -> bool:
        """Hold *item*; False where nobody wants more."""
        with self._has_room:
            while len(self._held) >= _AHEAD and not self._is_closed:
                self._is_waiting = True
                self._has_room.wait()
                self._is_waiting = False
            if self._is_closed:
                return False
            self._held.append(item)
            is_first = len(self._held) == 1
        if is_first:
            self._tell(self._filled)
        return True

    def _tell(self, event: asyncio.Event) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed
            self._loop.call_soon_threadsafe(self._set, event)

    def _set(self, event: asyncio.Event) -> None:
        event.set()
        self._filled.set()

    # -- on the loop

    async def some(self) -> list[Any]:
        """Return what is there, at least one; nothing at the end."""
        while True:
            self._filled.clear()
            with self._has_room:
                found, self._held = self._held, []
                self._has_room.notify()
            if found:
                return found
            if self._ended.is_set():
                if self._error is not None:
                    raise self._error
                return []
            await self._filled.wait()

    async def close(self) -> None:
        with self._has_room:
            self._is_closed = True
            is_idle = self._is_waiting
            self._has_room.notify()
        if is_idle:
            await self._ended.wait()
