"""One worker's time in this process: it starts once the store is there, works, and stops in order."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence

from gristmill.cli.exits import FAILED
from gristmill.cli.stopping import StopSignals, unless
from gristmill.errors import StoreError
from gristmill.queue.backoff import Backoff
from gristmill.queue.service import Jobs
from gristmill.queue.worker import Worker

_LOG = logging.getLogger("gristmill.work")


class Shift:
    """Works some queues of an App until it is told to stop.

    Args:
        jobs: The App's.
        queues: The handlers to work.
        name: Of the worker; made up by default.
        grace: Seconds that batches get to end once it is told to stop.
        signals: Tell it to stop.
    """

    def __init__(
        self, jobs: Jobs, queues: Sequence[str], *, name: str | None, grace: float, signals: StopSignals
    ) -> None:
        self._jobs = jobs
        self._queues = queues
        self._name = name
        self._grace = grace
        self._signals = signals

    async def work(self, say_ready: Callable[[Worker], None]) -> int:
        """Work until told to stop; return the exit code.

        Raises:
            GristmillError: The store cannot be used as it is, or as it is set up.
        """
        code = 0
        worker = await unless(self._signals.asked, self._started())
        if worker is not None:
            say_ready(worker)
            failure = await unless(self._signals.asked, worker.failure())
            if failure is not None:
                _LOG.error("the worker failed, and stops", exc_info=failure)
                code = FAILED
        await self._stop()
        return code

    async def _started(self) -> Worker:
        """Start as soon as the store can be reached."""
        backoff = Backoff(random.random)
        while True:
            try:
                return await self._jobs.start(queues=self._queues, name=self._name)
            except StoreError as error:
                if not error.retryable:
                    raise
                pause = backoff.failed()
                _LOG.warning("the store cannot be used, and is tried again in %.1f s: %s", pause, error)
                await asyncio.sleep(pause)

    async def _stop(self) -> None:
        worker = self._jobs.worker
        if worker is not None and any(lane.is_busy for lane in worker.lanes):
            _LOG.info("stopping: batches get %g s to end; a second signal stops them now", self._grace)
        stopping = asyncio.create_task(self._jobs.stop(self._grace), name="gristmill stop")
        await unless(self._signals.insisted, _over(stopping))
        if worker is not None and not stopping.done():
            _LOG.info("stopping now")
            await worker.stop(0.0)
        await stopping


async def _over(task: asyncio.Task[None]) -> None:
    await asyncio.wait([task])
