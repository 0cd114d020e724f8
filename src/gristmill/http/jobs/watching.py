"""Waiting for a job to change: for long polls and event streams, while caller and server are there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from gristmill.http.body import ClientGone
from gristmill.http.drain import Drain
from gristmill.http.jobs.shown import version_of
from gristmill.http.watch import Receive
from gristmill.model.job import Job
from gristmill.queue.service import Jobs

_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 1.0


class Watching:
    """Looks at one job again and again, less often while nothing happens.

    Args:
        jobs: Where it is.
        drain: Ends the waiting.
        receive: Of a request whose body was read, or that has none: tells when the caller hangs up.
    """

    def __init__(self, jobs: Jobs, drain: Drain, receive: Receive) -> None:
        self._jobs = jobs
        self._drain = drain
        self._receive = receive

    async def final(self, job: str, seconds: float) -> Job:
        """Return *job* as it stands once it is final, after *seconds*, or when the server drains.

        Raises:
            ClientGone: The caller hung up.
            JobNotFound, StoreError: As ``Jobs.get``.
        """
        async with aclosing(self.changes(job, longest=seconds)) as changes:
            async for found in changes:
                if found is not None:
                    last = found
        return last

    async def changes(
        self, job: str, *, longest: float | None = None, heartbeat: float | None = None
    ) -> AsyncGenerator[Job | None, None]:
        """Yield *job* as it stands and whenever it has changed, until it is final or the server drains.

        Args:
            job: Its id.
            longest: Seconds after which this ends in any case.
            heartbeat: Seconds of silence after which None is yielded.
        """
        stop = asyncio.Event()
        gone = asyncio.create_task(self._gone(stop), name="gristmill disconnect watch")
        try:
            with self._drain.listening(stop.set):
                async for found in self._looks(job, stop, longest, heartbeat):
                    yield found
            if gone.done():
                raise ClientGone
        finally:
            gone.cancel()

    async def _looks(
        self, job: str, stop: asyncio.Event, longest: float | None, heartbeat: float | None
    ) -> AsyncGenerator[Job | None, None]:
        began = told = time.monotonic()
        version, pause = "", _FIRST_PAUSE
        while True:
            found = await self._jobs.get(job)
            now = time.monotonic()
            if version_of(found) != version:
                version, pause, told = version_of(found), _FIRST_PAUSE, now
                yield found
            elif heartbeat is not None and now - told >= heartbeat:
                told = now
                yield None
            left = pause if longest is None else min(pause, began + longest - now)
            if found.state.is_final or self._drain.is_draining or stop.is_set() or left <= 0:
                return
            await _elapse(stop, left)
            pause = min(_LONGEST_PAUSE, pause * 1.5)

    async def _gone(self, stop: asyncio.Event) -> None:
        # Requests without a body begin with an empty one. A server that goes on saying so without ever
        # waiting is not asked again.
        for _ in range(2):
            if (await self._receive())["type"] == "http.disconnect":
                stop.set()
                return
        await asyncio.Event().wait()


async def _elapse(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
