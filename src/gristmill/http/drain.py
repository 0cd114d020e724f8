"""Draining: what happens between the signal to stop and the end of the process.

Servers run the lifespan's shutdown only after every connection has ended, and
connections end only when their items are answered. So whoever waits in a
long ``max_wait`` would hold the exit up: draining begins at the signal.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from types import FrameType
from typing import Any, Protocol

from gristmill.http.problems import CLOSE, Refused, problem

_LOG = logging.getLogger("gristmill.http")
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_LONGEST_PAUSE = 3


class Drained(Protocol):
    """What is drained; every ``BatchHandler`` is."""

    def drain(self) -> None:
        """Dispatch at once what waits, and take nothing more."""

    async def aclose(self) -> None:
        """Wait until everything is answered, and free what is held."""


class Drain:
    """Whether the service is stopping, and who must know.

    Args:
        handlers: Told to drain when draining begins, closed at the end.
        opened: Awaited when the service starts.
        closing: Awaited when every connection has ended, before the handlers are closed.
    """

    def __init__(
        self,
        handlers: Sequence[Drained],
        opened: Callable[[], Awaitable[None]] | None = None,
        closing: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._handlers = handlers
        self._opened = opened
        self._closing = closing
        self._listeners: set[Callable[[], None]] = set()
        self.is_draining = False

    def begin(self) -> None:
        """Begin to drain, on the running loop; harmless when begun already.

        Items that wait are dispatched now and answered as ever; new requests
        are refused.
        """
        if self.is_draining:
            return
        self.is_draining = True
        _LOG.info("draining: answering the items that wait, taking no more")
        for handler in self._handlers:
            handler.drain()
        for listener in list(self._listeners):
            listener()

    def refuse(self) -> None:
        """Refuse a new request if the service is draining.

        Raises:
            Refused: ``closed``, with ``Retry-After`` and ``Connection: close``.
        """
        if self.is_draining:
            pause = random.randint(1, _LONGEST_PAUSE)  # noqa: S311 - spreads the load, protects nothing
            raise Refused(problem("closed", retryable=True, retry_after_s=pause), CLOSE)

    @contextlib.contextmanager
    def listening(self, listener: Callable[[], None]) -> Iterator[None]:
        """Call *listener* when draining begins, while the context lasts."""
        self._listeners.add(listener)
        try:
            yield
        finally:
            self._listeners.discard(listener)

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: Any = None) -> AsyncIterator[None]:
        """Drain at SIGTERM and SIGINT beside the server's own handling; at the end close the handlers."""
        self.is_draining = False
        if self._opened is not None:
            await self._opened()
        with _chained_signals(asyncio.get_running_loop(), self.begin):
            try:
                yield
            finally:
                self.begin()
                if self._closing is not None:
                    await self._closing()
                await asyncio.gather(*(handler.aclose() for handler in self._handlers))


@contextlib.contextmanager
def _chained_signals(loop: asyncio.AbstractEventLoop, begin: Callable[[], None]) -> Iterator[None]:
    """Call *begin* on *loop* at a signal to stop, then whatever handled the signal before."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals: then the end of the lifespan has to do
        return
    former: dict[int, Any] = {}

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(begin)
        before = former[number]
        if callable(before):
            before(number, frame)

    for number in _SIGNALS:
        before = signal.getsignal(number)
        if before not in (None, signal.SIG_DFL, signal.SIG_IGN):  # nobody else stops at it: leave it so
            former[number] = before
            signal.signal(number, handle)
    try:
        yield
    finally:
        for chained, before in former.items():
            if signal.getsignal(chained) is handle:
                signal.signal(chained, before)
