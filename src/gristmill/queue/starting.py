"""Starting a worker whose store may be away: tried until it is there, while everything else goes on."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from gristmill.errors import NotSupported, StoreError, StoreMisconfigured, StoreVersion
from gristmill.queue.backoff import Backoff

_LOG = logging.getLogger("gristmill.queue")

LASTING = (StoreVersion, StoreMisconfigured, NotSupported)
"""What no waiting mends."""


class Starting:
    """Calls *start* until it succeeds.

    Args:
        start: Raises ``StoreError`` when it cannot.
        chance: A random number, 0 <= x < 1, at each call.
    """

    def __init__(
        self, start: Callable[[], Awaitable[object]], chance: Callable[[], float] = random.random
    ) -> None:
        self._start = start
        self._chance = chance
        self._task: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()

    def __repr__(self) -> str:
        """Show whether it is at it."""
        return f"<Starting {'under way' if self.is_trying else 'idle'}>"

    @property
    def is_trying(self) -> bool:
        """Whether it has not succeeded yet, and goes on."""
        return self._task is not None and not self._task.done()

    async def begin(self, patience: float) -> None:
        """Try for the first time, and in the background again if that fails or takes over *patience* seconds.

        Raises:
            StoreError: One of ``LASTING``, at the first try.
        """
        if not self.is_trying:
            self._tried.clear()
            self._task = asyncio.create_task(self._try(), name="gristmill store opening")
            self._task.add_done_callback(self._end)
        task = self._task
        first = asyncio.ensure_future(self._tried.wait())
        await asyncio.wait([first], timeout=patience)
        first.cancel()
        if task is not None and task.done() and not task.cancelled():
            task.result()

    async def _try(self) -> None:
        backoff = Backoff(self._chance)
        while True:
            try:
                await self._start()
            except LASTING:
                raise
            except StoreError as error:
                if not backoff.is_failing:
                    _LOG.warning("the store cannot be used yet, and is tried again: %s", error)
                self._tried.set()
                await asyncio.sleep(backoff.failed())
            else:
                if backoff.is_failing:
                    _LOG.info("the store is there; the queues are worked")
                return

    def _end(self, task: asyncio.Task[None]) -> None:
        self._tried.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.error("the queues are not worked: %s", error)

    async def stop(self) -> None:
        """Try no longer. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
