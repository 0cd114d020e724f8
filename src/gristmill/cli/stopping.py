"""Signals to stop: the first asks for it, the second insists, the third waits for nobody."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_INSISTING = 2
ECHO = 0.3
"""Seconds within which a signal is the last one again: shells and ``timeout`` send it to the group too."""


class StopSignals:
    """SIGTERM and SIGINT, as events of the running loop.

    Args:
        clock: Monotonic seconds.

    Attributes:
        asked: Set by the first signal.
        insisted: Set by the second one.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.asked = asyncio.Event()
        self.insisted = asyncio.Event()
        self._count = 0
        self._came_at = -math.inf
        self._clock = clock
        self._loop = asyncio.get_running_loop()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen while the context lasts; only in the main thread."""
        former = {number: signal.signal(number, self._come) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    def _come(self, number: int, _frame: FrameType | None) -> None:
        now = self._clock()
        if now - self._came_at < ECHO:
            return
        self._came_at = now
        self._count += 1
        if self._count > _INSISTING:
            # Somebody's code holds the loop, or will not be cancelled. Its items run elsewhere once the
            # lease on them dies.
            os._exit(128 + number)
        self._loop.call_soon_threadsafe(self.ask)

    def ask(self) -> None:
        """Do what a signal does, on the loop."""
        if self.asked.is_set():
            self.insisted.set()
        self.asked.set()


async def unless(event: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """Return what *work* returns; None, with *work* cancelled, once *event* is set."""
    task = asyncio.ensure_future(work)
    waiting = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        for each in (task, waiting):
            each.cancel()
        await asyncio.wait([task, waiting])
