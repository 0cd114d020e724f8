"""An open write transaction, as the store's statements see it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeAlias, TypeVar

import apsw

from gristmill.errors import StoreFull

T = TypeVar("T")


class Session:
    """A write transaction that one piece of work after another takes part in.

    Attributes:
        connection: In whose transaction.
        now: The store's clock, in seconds of the epoch.
        woken: Queues in which something may have become due; counts with the commit.
    """

    __slots__ = ("_has_room", "connection", "now", "woken")

    def __init__(self, connection: apsw.Connection, has_room: Callable[[], bool] = lambda: True) -> None:
        self.connection = connection
        self.now = time.time()
        self.woken: set[str] = set()
        self._has_room = has_room

    def do(self, work: Work[T]) -> T:
        """Return what *work* returns, at the time it is now."""
        self.now = time.time()
        return work(self)

    def need_room(self) -> None:
        """Refuse new work while the last of the disk is kept for settling old work.

        Raises:
            StoreFull: There is little left.
        """
        if not self._has_room():
            raise StoreFull("the disk has little room left, which is kept for what is stored already")


Work: TypeAlias = Callable[[Session], T]
"""Statements that belong in one transaction. What they raise undoes them."""
