"""One batcher for each event loop that calls a handler, made by its first call there."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
import weakref
from collections.abc import AsyncGenerator, Callable
from typing import Final

from gristmill.batching.background import background
from gristmill.batching.batcher import Batcher
from gristmill.batching.inbox import Inbox
from gristmill.batching.recipe import Recipe
from gristmill.errors import BatcherClosed

# CPython 3.11 asks for the process id first, which costs as much as the rest of a call. There a loop that
# runs somewhere, and was last seen running in this very thread, is taken for the one that runs here.
ASKING_IS_CHEAP: Final = sys.version_info >= (3, 12)


class Desk:
    """What a handler has on one loop: its batcher, and the inbox of other threads.

    Attributes:
        thread: The thread in which the loop was last seen running.
    """

    def __init__(self, batcher: Batcher, inbox: Inbox) -> None:
        self.loop = batcher.loop
        self.create_future = batcher.loop.create_future
        self.batcher = batcher
        self.inbox = inbox
        self.thread = threading.get_ident()

    def is_here(self) -> bool:
        """Tell whether its loop is the one that runs in this thread."""
        if ASKING_IS_CHEAP:
            return asyncio._get_running_loop() is self.loop  # noqa: SLF001 - documented, and raises nothing
        return self.thread == threading.get_ident() and self.loop.is_running()

    def end(self) -> None:
        """Answer everybody with ``BatcherClosed``."""
        self.inbox.refuse_all(BatcherClosed("the event loop of this item was closed before its answer"))
        if not self.loop.is_closed():
            self.batcher.abort()


class _Farewell:
    """Has the end of a loop answer who still waits: ``asyncio.run`` closes async generators last."""

    def __init__(self) -> None:
        self.desks: weakref.WeakSet[Desk] = weakref.WeakSet()
        self._generator = self._until_shutdown()
        with contextlib.suppress(StopIteration):  # it stands at its yield
            self._generator.__anext__().send(None)

    async def _until_shutdown(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            for desk in list(self.desks):
                desk.end()


_farewells: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Farewell] = weakref.WeakKeyDictionary()


class Loops:
    """The desks of one handler.

    Attributes:
        last: The one that was asked for last; most programs have one loop.

    Args:
        recipe: The handler.
        admit: Called on a loop with the waiter and the arguments of each call
            from another thread.
    """

    def __init__(self, recipe: Recipe, admit: Callable[..., None]) -> None:
        self.recipe = recipe
        self._admit = admit
        self._lock = threading.Lock()
        self._desks: dict[asyncio.AbstractEventLoop, Desk] = {}
        self.last: Desk | None = None
        _all.add(self)

    def open(self, loop: asyncio.AbstractEventLoop) -> Desk:
        """Return the desk of *loop*, which runs in this thread; made when there is none."""
        desk = self._desks.get(loop)
        if desk is None:
            batcher = Batcher(self.recipe, loop)
            desk = Desk(batcher, Inbox(loop, self._admit))
            with self._lock:
                closed = [each for each in self._desks if each.is_closed()]
                for each in closed:
                    self._desks.pop(each).end()
                self._desks[loop] = desk
            farewell = _farewells.get(loop)
            if farewell is None:
                farewell = _farewells[loop] = _Farewell()
            farewell.desks.add(desk)
        desk.thread = threading.get_ident()
        self.last = desk
        return desk

    def elsewhere(self) -> Desk:
        """Return the desk that calls from a thread without a loop go to.

        That of the loop that called last and still runs; else that of the
        background loop, which is started.
        """
        desk = self.last
        if desk is not None and desk.loop.is_running() and not desk.batcher.is_draining:
            return desk
        loop = background.get()
        return self._desks.get(loop) or self._ask(loop)

    def _ask(self, loop: asyncio.AbstractEventLoop) -> Desk:
        async def make() -> Desk:
            return self.open(loop)

        return asyncio.run_coroutine_threadsafe(make(), loop).result()

    def all(self) -> list[Desk]:
        """Return the desks of loops that are not closed."""
        with self._lock:
            return [desk for loop, desk in self._desks.items() if not loop.is_closed()]

    def forget(self) -> None:
        """In a child made by fork: no loop of the parent runs here."""
        self._lock = threading.Lock()
        self._desks = {}
        self.last = None


_all: weakref.WeakSet[Loops] = weakref.WeakSet()


def _forget_all() -> None:
    for loops in list(_all):
        loops.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
