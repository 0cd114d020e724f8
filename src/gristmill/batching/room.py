"""How much may be pending: a bounded count and weight, and the line of those who wait for it."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, NamedTuple


class _Blocked(NamedTuple):
    items: int
    weight: float
    entry: asyncio.Future[Any]


class Room:
    """Permits for items that are admitted and not answered.

    Lists wait for room in the order they came; while one waits, nobody passes
    it, so a long line of small requests cannot starve a large one.

    Attributes:
        free: Items that may still come.
        free_weight: Their summed weight.
        is_open: Whether somebody new may come: nobody stands in line, and it is not shut.
    """

    __slots__ = ("_blocked", "_is_shut", "_max_weight", "_size", "free", "free_weight", "is_open")

    def __init__(self, size: int, max_weight: float) -> None:
        self._size = size
        self._max_weight = max_weight
        self._blocked: deque[_Blocked] = deque()
        self.free = size
        self.free_weight = max_weight
        self.is_open = True
        self._is_shut = False

    def __repr__(self) -> str:
        """Show what tests want to see."""
        return f"<Room {self.free} of {self._size} free, {len(self._blocked)} in line>"

    @property
    def used(self) -> int:
        """Permits given out."""
        return self._size - self.free

    def fits(self, count: int, weight: float) -> bool:
        """Tell whether *count* items of *weight* in all may come now."""
        return self.is_open and self._has(count, weight)

    def _has(self, count: int, weight: float) -> bool:
        # What outweighs the whole room may come when the room is empty.
        fits_weight = weight <= self.free_weight or self.free_weight == self._max_weight
        return count <= self.free and fits_weight

    def take(self, count: int, weight: float) -> None:
        """Use permits that ``fits`` has promised."""
        self.free -= count
        self.free_weight -= weight

    def give(self, count: int, weight: float) -> None:
        """Return permits; those first in line that fit now are let in."""
        self.free += count
        self.free_weight = self.free_weight + weight if self.free < self._size else self._max_weight
        if self._blocked:
            self._let_in()

    def _let_in(self) -> None:
        while self._blocked:
            first = self._blocked[0]
            if not first.entry.done():
                if not self._has(first.items, first.weight):
                    return
                self.take(first.items, first.weight)
                first.entry.set_result(None)
            self._blocked.popleft()
        self.is_open = not self._is_shut

    async def enter(self, count: int, weight: float) -> None:
        """Take permits, after a wait in line where needed.

        Cancellation leaves the line, or returns what had just been given.
        """
        if self.fits(count, weight):
            self.take(count, weight)
            return
        self.is_open = False
        entry: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._blocked.append(_Blocked(count, weight, entry))
        try:
            await entry
        except asyncio.CancelledError:
            if entry.done() and not entry.cancelled() and entry.exception() is None:
                self.give(count, weight)
            else:
                entry.cancel()
                self._let_in()
            raise

    def shut(self, error: Exception) -> None:
        """Let nobody in any more, and send those in line away with *error*."""
        self._is_shut = True
        self.is_open = False
        blocked, self._blocked = self._blocked, deque()
        for each in blocked:
            if not each.entry.done():
                each.entry.set_exception(error)
