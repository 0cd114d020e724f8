"""A lock that is handed on in the order in which it was asked for, to threads and event loops alike."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager


class FairLock:
    """Whose turn it is to write.

    SQLite's own lock goes to whoever tries at the right moment: a thread that commits all the time would keep
    a transaction waiting for seconds.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_held = False
        self._line: deque[Future[None]] = deque()

    @contextmanager
    def held(self, timeout: float) -> Iterator[None]:
        """Hold the lock in a thread.

        Raises:
            TimeoutError: It was not free within *timeout* seconds.
        """
        place = self._ask()
        try:
            place.result(timeout)
        except TimeoutError:
            if not place.cancel():  # it came just now
                self._give()
            raise
        try:
            yield
        finally:
            self._give()

    @asynccontextmanager
    async def held_by_task(self) -> AsyncIterator[None]:
        """Hold the lock in a task."""
        place = self._ask()
        try:
            await asyncio.wrap_future(place)
        except asyncio.CancelledError:
            if not place.cancel():
                self._give()
            raise
        try:
            yield
        finally:
            self._give()

    def _ask(self) -> Future[None]:
        place: Future[None] = Future()
        with self._lock:
            if self._is_held:
                self._line.append(place)
                return place
            self._is_held = True
        place.set_result(None)
        return place

    def _give(self) -> None:
        with self._lock:
            while self._line:
                place = self._line.popleft()
                if place.set_running_or_notify_cancel():  # else its owner gave up
                    break
            else:
                self._is_held = False
                return
        place.set_result(None)
