"""Calls from other threads: a locked list, and one wake of the loop for as many as have come."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from gristmill.batching.reply import another
from gristmill.errors import BatcherClosed

R = TypeVar("R")
_LOOK = 0.5  # seconds between looks at whether the loop is still there


class Submitted(concurrent.futures.Future[R]):
    """The future of an item that another thread's event loop answers.

    ``result`` and ``exception`` raise ``BatcherClosed`` instead of waiting
    for ever when that loop is closed meanwhile.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._loop = loop

    def cancel(self) -> bool:
        """Give the item up, and tell ``concurrent.futures.wait`` and ``as_completed`` so."""
        was_cancelled = self.cancelled()
        if not super().cancel():
            return False
        if not was_cancelled:
            self.set_running_or_notify_cancel()
        return True

    def result(self, timeout: float | None = None) -> R:
        """Return the value, or raise what the item failed with; waits up to *timeout* seconds."""
        self._wait(timeout)
        return super().result(0)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Return what the item failed with, None if it did not; waits up to *timeout* seconds."""
        self._wait(timeout)
        return super().exception(0)

    def _wait(self, timeout: float | None) -> None:
        left = timeout
        while not self.done():
            step = _LOOK if left is None else min(_LOOK, left)
            if concurrent.futures.wait([self], step).done:
                return
            if left is not None:
                left -= step
                if left <= 0:
                    return
            if self._loop.is_closed() and not self.done():
                self.set_exception(BatcherClosed("the event loop of this item was closed before its answer"))


class Inbox:
    """What other threads have put down for one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, admit: Callable[..., None]) -> None:
        self._loop = loop
        self._admit = admit
        self._lock = threading.Lock()
        self._calls: list[tuple[Submitted[Any], tuple[Any, ...]]] = []

    def put(self, waiter: Submitted[Any], args: tuple[Any, ...]) -> None:
        """Put a call down; the loop admits it as ``admit(waiter, *args)``. Any thread.

        Raises:
            BatcherClosed: The loop is closed.
        """
        with self._lock:
            self._calls.append((waiter, args))
            if len(self._calls) > 1:
                return  # the loop has been woken and has not looked yet
        try:
            self._loop.call_soon_threadsafe(self._empty)
        except RuntimeError as error:
            closed = BatcherClosed("the event loop of this handler is closed")
            self.refuse_all(closed)  # those too who came meanwhile and left the wake to this call
            raise closed from error

    def _empty(self) -> None:
        with self._lock:
            calls, self._calls = self._calls, []
        for waiter, args in calls:
            if waiter.cancelled():
                continue
            try:
                self._admit(waiter, *args)
            except Exception as error:  # noqa: BLE001 - it is this caller's answer
                with contextlib.suppress(concurrent.futures.InvalidStateError):  # cancelled by now
                    waiter.set_exception(error)

    def refuse_all(self, error: Exception) -> None:
        """Fail what has not been looked at."""
        with self._lock:
            calls, self._calls = self._calls, []
        for waiter, _ in calls:
            with contextlib.suppress(concurrent.futures.InvalidStateError):  # cancelled by now
                waiter.set_exception(another(error))
