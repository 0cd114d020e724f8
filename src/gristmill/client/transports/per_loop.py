"""One of a kind for each event loop: connections cannot go from one loop, or process, to another."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

S = TypeVar("S")

_left_behind: list[Any] = []
"""What a child made by fork has of its parent: to close it, or to let it be collected, would take the
connections out of the parent's selector, which the two share."""


class PerLoop(Generic[S]):
    """Makes one for each running loop that asks for it.

    Args:
        make: Makes one, on the running loop.
        close: Closes one, on its own loop.
    """

    def __init__(self, make: Callable[[], S], close: Callable[[S], Awaitable[None]]) -> None:
        self._make = make
        self._close = close
        self._found: dict[asyncio.AbstractEventLoop, S] = {}
        self._process = os.getpid()

    def here(self) -> S:
        """Return that of the running loop."""
        if self._process != os.getpid():
            self._leave_behind()
        loop = asyncio.get_running_loop()
        found = self._found.get(loop)
        if found is None:
            for other in [each for each in self._found if each.is_closed()]:
                del self._found[other]
            found = self._found[loop] = self._make()
        return found

    def _leave_behind(self) -> None:
        _left_behind.append(self._found)
        self._found = {}
        self._process = os.getpid()

    async def aclose(self) -> None:
        """Close that of the running loop, and have the other loops close theirs."""
        if self._process != os.getpid():
            self._leave_behind()
        here = asyncio.get_running_loop()
        found, self._found = self._found, {}
        for loop, each in found.items():
            if loop is not here and not loop.is_closed():
                asyncio.run_coroutine_threadsafe(self._closed(each), loop)
        if here in found:
            await self._closed(found[here])

    async def _closed(self, found: S) -> None:
        await self._close(found)
