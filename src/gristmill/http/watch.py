"""Requests that take long: bodies that do not come, callers that went away.

A timeout or a task per request would cost more than the request. So requests
only sign in and out of a dict, and one timer per event loop, running while
anybody is signed in, looks at the oldest: a body past its deadline is given
up, and of a caller who has waited a while the connection is watched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from enum import Enum
from typing import Any, TypeAlias

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]

PATIENCE = 0.1
"""Seconds a caller waits before its connection is watched, and between two looks."""


class Verdict(Enum):
    """Why the watch cancelled a request's task."""

    LATE = "late"
    GONE = "gone"


class Visit:
    """One request that is signed in."""

    __slots__ = ("_task", "receive", "since", "verdict", "watcher")

    def __init__(self, task: asyncio.Task[Any], since: float, receive: Receive) -> None:
        self.since = since
        self.receive = receive
        self.verdict: Verdict | None = None
        self.watcher: asyncio.Task[None] | None = None
        self._task = task

    def end(self, verdict: Verdict) -> None:
        """Cancel the request's task for *verdict*."""
        self.verdict = verdict
        self._task.cancel()

    def settle(self) -> Verdict | None:
        """Return why our own cancellation reached the task; None if it was somebody else's.

        To be called once, where the task caught ``CancelledError``; on None
        the error must go on.
        """
        if self.verdict is None or self._task.uncancel() > 0:
            return None
        return self.verdict


class Watch:
    """Looks after the slow requests of one event loop.

    Args:
        body_timeout: Seconds a body may take, from ``enter`` to ``wait`` or ``leave``.

    Attributes:
        loop: The loop whose requests these are.
    """

    def __init__(self, body_timeout: float) -> None:
        self.loop = asyncio.get_running_loop()
        self._body_timeout = body_timeout
        self._reading: dict[Visit, None] = {}
        self._waiting: dict[Visit, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._now = 0.0  # of the last look: fine enough, and a clock is not read per request

    def enter(self, receive: Receive) -> Visit:
        """Sign the current task in while it reads a body from *receive*."""
        task = asyncio.current_task(self.loop)
        if task is None:
            raise RuntimeError("requests run in asyncio tasks; start the server with its asyncio tasks")
        if self._timer is None:
            self._now = self.loop.time()
            self._timer = self.loop.call_later(PATIENCE, self._look)
        visit = Visit(task, self._now, receive)
        self._reading[visit] = None
        return visit

    def wait(self, visit: Visit) -> None:
        """Note that *visit* has its body and waits for its items; ``receive`` is the watch's from now on."""
        self._reading.pop(visit, None)
        self._waiting[visit] = None

    def leave(self, visit: Visit) -> None:
        """Sign *visit* out; harmless if it is out already."""
        self._reading.pop(visit, None)
        self._waiting.pop(visit, None)
        if visit.watcher is not None:
            visit.watcher.cancel()

    def _look(self) -> None:
        now = self._now = self.loop.time()
        for visit in self._overdue(self._reading, now - self._body_timeout):
            del self._reading[visit]
            visit.end(Verdict.LATE)
        # Visits are as old as the look before they came, so up to PATIENCE younger than they say.
        for visit in self._overdue(self._waiting, now - 2 * PATIENCE):
            del self._waiting[visit]
            visit.watcher = self.loop.create_task(_await_disconnect(visit), name="gristmill disconnect watch")
        busy = self._reading or self._waiting
        self._timer = self.loop.call_later(PATIENCE, self._look) if busy else None

    @staticmethod
    def _overdue(visits: dict[Visit, None], before: float) -> list[Visit]:
        """Return the visits from before *before*; they stand in the order they came."""
        found = []
        for visit in visits:
            if visit.since > before:
                break
            found.append(visit)
        return found


async def _await_disconnect(visit: Visit) -> None:
    # After a whole body the next message is the disconnect. A server that says anything else, perhaps
    # without ever waiting, is not asked again: the request goes on without a watch.
    if (await visit.receive())["type"] == "http.disconnect":
        visit.end(Verdict.GONE)
