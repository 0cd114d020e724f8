"""One link for each event loop that calls a store."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from gristmill.model.job import Enqueued
from gristmill.queue.redis.bell import Bell
from gristmill.queue.redis.grouping import Grouping, Jobs
from gristmill.queue.redis.link import Link
from gristmill.queue.redis.records import enqueued_from, packed_jobs
from gristmill.queue.redis.settings import Settings
from gristmill.queue.redis.sizes import Sizes

_CALLS_TO_DISK = 8  # groups that wait for the file together: it is synced once a second, perhaps


class Here:
    """What a store has in one event loop."""

    def __init__(self, settings: Settings, sizes: Sizes) -> None:
        self._is_to_disk = settings.waits_for_file
        self.link = Link(settings, sizes)
        self.bell = Bell(self.link)
        self.grouping = Grouping(self._enqueue, calls=_CALLS_TO_DISK if self._is_to_disk else 1)

    async def run_acknowledged(self, name: str, *args: Any) -> Any:
        """Run a script whose caller is told that it is stored."""
        run = self.link.run_to_disk if self._is_to_disk else self.link.run
        return await run(name, *args)

    async def _enqueue(self, jobs: Jobs) -> list[Enqueued]:
        return enqueued_from(await self.run_acknowledged("enqueue", *packed_jobs(jobs)))

    async def close(self) -> None:
        """Finish what is under way and close the connections."""
        await self.grouping.close()
        await self.bell.close()
        await self.link.close()


class Links:
    """The links of a store, made when a loop first calls it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.sizes = Sizes()
        self._lock = threading.Lock()
        self._of: WeakKeyDictionary[asyncio.AbstractEventLoop, Here] = WeakKeyDictionary()

    def here(self) -> Here:
        """Return what there is for the running loop."""
        loop = asyncio.get_running_loop()
        with self._lock:
            found = self._of.get(loop)
            if found is None:
                found = self._of[loop] = Here(self.settings, self.sizes)
            return found

    async def run(self, name: str, *args: Any) -> Any:
        """Run the script *name* and return its answer."""
        return await self.here().link.run(name, *args)

    async def call(self, *command: Any) -> Any:
        """Run one plain command on the key or the server it names."""
        return await self.here().link.call(*command)

    async def read(self, command: str, name: str, *args: Any) -> Sequence[bytes | None]:
        """Run one plain command on the key *name* of the store."""
        found: Sequence[bytes | None] = await self.call(command, self.settings.root + name, *args)
        return found

    async def close(self) -> None:
        """Close the running loop's; those of other loops go with them."""
        with self._lock:
            found = self._of.pop(asyncio.get_running_loop(), None)
        if found is not None:
            await found.close()
