"""Run batches in threads."""

from __future__ import annotations

import asyncio
import inspect
import weakref
from typing import Any

from gristmill.batching.executors.crew import Crew, Job, after_fork
from gristmill.batching.executors.protocol import Function
from gristmill.errors import ConfigurationError


class Threads:
    """Runs batches in daemon threads of its own, started on demand and kept.

    A batch runs in a copy of the caller's context variables. An ``async def``
    function gets an event loop of its own, for that one batch. An idle thread
    sleeps in the operating system until it is given work.

    A batch that is cancelled returns at once. Its thread goes on until the
    function ends (an ``async def`` function is cancelled too), but nobody
    waits for it, another thread takes its place and its late reply is
    dropped. The end of the interpreter waits for no thread.

    Args:
        workers: the most batches at once; more wait in line. None: as many
            as the ``concurrency`` of its handlers asks for, without a limit
            of its own, so that a handler can wait for another handler's
            batch and never starve it of its thread.

    Raises:
        ConfigurationError: *workers* is below 1.
    """

    def __init__(self, workers: int | None = None) -> None:
        count: object = workers  # whatever was given
        if count is not None and (not isinstance(count, int) or count < 1):
            raise ConfigurationError(
                f"Threads(workers={workers!r}): use 1 or more, or None for as many as asked for"
            )
        self._workers = workers
        self._crew = Crew("gristmill", workers, _Caller)
        # A daemon thread needs no farewell at the end of the interpreter.
        weakref.finalize(self, self._crew.close).atexit = False
        after_fork(self._crew.reset)

    @property
    def slots(self) -> int | None:
        """*workers* as given; None leaves it to each handler."""
        return self._workers

    async def run(self, function: Function, args: tuple[Any, ...]) -> Any:
        """Call ``function(*args)`` in a thread and return what it returned, or raise what it raised.

        Raises:
            BatchCancelled: The executor was closed before a thread was free.

        Cancellation returns at once and abandons the thread.
        """
        return await self._crew.run(function, args)

    def close(self) -> None:
        """End idle threads now and busy ones after their batch, which still gets its reply.

        Batches in line get ``BatchCancelled``; a running ``async def``
        function is cancelled and its batch gets ``BatchCancelled`` as well.
        A later ``run`` starts anew. Idempotent.
        """
        self._crew.close()

    def __repr__(self) -> str:
        return f"Threads(workers={self._workers}) <{self._crew!r}>"


class _Caller:
    """Calls a function in the thread it is in."""

    def __init__(self) -> None:
        self._running: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None = None

    @property
    def is_ready(self) -> bool:
        return True

    def call(self, job: Job) -> Any:
        result = job.context.run(job.function, *job.args)
        if not inspect.iscoroutine(result):
            return result
        with asyncio.Runner() as runner:
            return runner.run(self._to_its_end(result, job), context=job.context)

    async def _to_its_end(self, awaitable: Any, job: Job) -> Any:
        task = asyncio.ensure_future(awaitable)
        self._running = (asyncio.get_running_loop(), task)
        if job.is_dropped:  # cancelled before there was a task to cancel
            task.cancel()
        try:
            return await task
        finally:
            self._running = None

    def stop(self) -> bool:
        running = self._running
        if running is not None:
            loop, task = running
            loop.call_soon_threadsafe(task.cancel)
        return False

    def rest(self) -> None:
        pass

    def release(self) -> None:
        pass

    def forget(self) -> None:
        pass
