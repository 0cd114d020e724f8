"""Workers that wait for something to become due, and what wakes them."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager


class Waiters:
    """Who waits for which queues; asked and woken from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[asyncio.Event, tuple[asyncio.AbstractEventLoop, frozenset[str]]] = {}

    def __bool__(self) -> bool:
        """Whether anybody waits."""
        return bool(self._waiting)

    @contextmanager
    def waiting(self, queues: Collection[str]) -> Iterator[asyncio.Event]:
        """Yield an event, of the running loop, that is set whenever something happens in one of *queues*."""
        event = asyncio.Event()
        with self._lock:
            self._waiting[event] = (asyncio.get_running_loop(), frozenset(queues))
        try:
            yield event
        finally:
            with self._lock:
                del self._waiting[event]

    def wake(self, queues: Collection[str] | None = None) -> None:
        """Wake those who wait for one of *queues*; None wakes all."""
        if not self._waiting or (queues is not None and not queues):
            return
        with self._lock:
            found = [
                (loop, event)
                for event, (loop, wanted) in self._waiting.items()
                if queues is None or not wanted.isdisjoint(queues)
            ]
        for loop, event in found:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(event.set)
