"""Many callers, one call: what is enqueued while a call is under way goes with the next one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from gristmill.errors import StoreError
from gristmill.model.chunk import NewChunk
from gristmill.model.job import Enqueued, NewJob

Jobs: TypeAlias = Sequence[tuple[NewJob, Sequence[NewChunk]]]

MOST_JOBS, MOST_BYTES = 1000, 8 << 20
"""What one call takes at most, beyond the first of it: the server does nothing else meanwhile."""


@dataclass(slots=True, kw_only=True)
class _Waiter:
    jobs: Jobs
    size: int
    answer: asyncio.Future[list[Enqueued]]


class Grouping:
    """Sends the jobs of all callers of one event loop, as few calls as there can be.

    Args:
        send: Stores jobs, all or none.
        calls: How many calls may be under way at once.
    """

    def __init__(self, send: Callable[[Jobs], Awaitable[list[Enqueued]]], *, calls: int = 1) -> None:
        self._send = send
        self._calls = calls
        self._waiting: deque[_Waiter] = deque()
        self._senders: set[asyncio.Task[None]] = set()
        self._sending = 0  # senders that will look at what waits once more

    async def enqueue(self, jobs: Jobs) -> list[Enqueued]:
        """Store *jobs* and return what became of each; cancelled before they are sent, they are not."""
        size = sum(len(job.ids) for job, _ in jobs if job.ids is not None)
        size += sum(len(chunk.body) for _, chunks in jobs for chunk in chunks)
        waiter = _Waiter(jobs=jobs, size=size, answer=asyncio.get_running_loop().create_future())
        self._waiting.append(waiter)
        if self._sending < self._calls:
            self._sending += 1
            # Its first step is after those of all who are ready to run: they go together.
            sender = asyncio.create_task(self._send_all(), name="gristmill enqueue")
            self._senders.add(sender)
            sender.add_done_callback(self._senders.discard)
        return await waiter.answer

    async def close(self) -> None:
        """Wait for what is under way."""
        await asyncio.gather(*self._senders)

    async def _send_all(self) -> None:
        try:
            while group := self._next():
                await self._send_group(group)
        finally:
            self._sending -= 1

    async def _send_group(self, group: Sequence[_Waiter]) -> None:
        try:
            answers = await self._send([pair for waiter in group for pair in waiter.jobs])
        except BaseException as error:
            for waiter in group:
                _fail(waiter, error)
            if not isinstance(error, Exception):
                raise
        else:
            _answer(group, answers)

    def _next(self) -> list[_Waiter]:
        group: list[_Waiter] = []
        jobs = size = 0
        while self._waiting:
            waiter = self._waiting[0]
            jobs, size = jobs + len(waiter.jobs), size + waiter.size
            if group and (jobs > MOST_JOBS or size > MOST_BYTES):
                break
            self._waiting.popleft()
            if not waiter.answer.done():
                group.append(waiter)
        return group


def _answer(group: Sequence[_Waiter], answers: Sequence[Enqueued]) -> None:
    at = 0
    for waiter in group:
        if not waiter.answer.done():
            waiter.answer.set_result(list(answers[at : at + len(waiter.jobs)]))
        at += len(waiter.jobs)


def _fail(waiter: _Waiter, error: BaseException) -> None:
    if waiter.answer.done():
        return
    if isinstance(error, StoreError):  # each its own, for a shared one would mix tracebacks
        own = type(error)(str(error))
        own.__cause__ = error.__cause__
        waiter.answer.set_exception(own)
    elif isinstance(error, asyncio.CancelledError):
        waiter.answer.cancel()
    else:
        waiter.answer.set_exception(error)
