"""An open write transaction, as the store's statements see it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeAlias, TypeVar

import apsw

from gristmill.errors import StoreFull
from gristmill.queue.sqlite.room import Room

T = TypeVar("T")


class Session:
    """A write transaction that one piece of work after another takes part in.

    Attributes:
        connection: In whose transaction.
        now: The store's clock, in seconds of the epoch.
        woken: Queues in which something may have become due; counts with the commit.
    """

    __slots__ = ("_measure", "_room", "connection", "now", "woken")

    def __init__(self, connection: apsw.Connection, measure: Callable[[], Room] | None = None) -> None:
        self.connection = connection
        self.now = time.time()
        self.woken: set[str] = set()
        self._measure = measure
        self._room: Room | None = None

    def do(self, work: Work[T]) -> T:
        """Return what *work* returns, at the time it is now."""
        self.now = time.time()
        return work(self)

    def need_room(self, size: int) -> None:
        """Take *size* bytes of the room on the disk, if somebody measures it.

        Raises:
            StoreFull: There is not so much; the rest is kept for settling old work.
        """
        if self._measure is None:
            return
        if self._room is None:
            self._room = self._measure()
        if not self._room.take(size):
            raise StoreFull(
                "the disk is nearly full; what is left is kept for the work that is stored already"
            )


Work: TypeAlias = Callable[[Session], T]
"""Statements that belong in one transaction. What they raise undoes them."""
