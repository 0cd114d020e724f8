"""One timer of an event loop that is moved, not multiplied."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable


class Timer:
    """Calls *callback* at the time it was last set to; holds nothing on the loop otherwise.

    Attributes:
        at: The clock reading it is set to; inf when it is not set.
    """

    __slots__ = ("_callback", "_handle", "_loop", "at")

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        self.at = math.inf
        self._loop = loop
        self._callback = callback
        self._handle: asyncio.TimerHandle | None = None

    def set(self, at: float, now: float) -> None:
        """Have it go off at *at* instead of before; inf cancels it."""
        if at == self.at:
            return
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self.at = at
        if at < math.inf:
            self._handle = self._loop.call_later(max(0.0, at - now), self._lapse)

    def cancel(self) -> None:
        """Leave nothing on the loop."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
            self.at = math.inf

    def _lapse(self) -> None:
        self._handle = None
        self.at = math.inf
        self._callback()
