"""Group commit: what is enqueued while a transaction is under way shares the next one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from gristmill.errors import StoreError, StoreFull, StoreReadOnly, StoreUnavailable
from gristmill.model.job import Enqueued
from gristmill.queue.postgres.storing import Submission

ALONE = 1 << 20
"""Bytes of bodies from which a submission goes by itself, so that small ones do not wait for it."""

MOST = 500
"""Jobs in one transaction."""


@dataclass(slots=True)
class _Waiting:
    submission: Submission
    answer: asyncio.Future[list[Enqueued]]


class GroupCommit:
    """Collects submissions for *store*, which makes one transaction of one submission.

    A caller that is cancelled leaves its submission in the group: it is stored.
    """

    def __init__(self, store: Callable[[Submission], Awaitable[list[Enqueued]]]) -> None:
        self._store = store
        self._inbox: deque[_Waiting] = deque()
        self._writer: asyncio.Task[None] | None = None

    async def submit(self, submission: Submission) -> list[Enqueued]:
        """Store *submission*, with others or alone; its errors are its own."""
        if submission.is_receiving or submission.size > ALONE or len(submission.jobs) > MOST:
            return await self._store(submission)
        waiting = _Waiting(submission, asyncio.get_running_loop().create_future())
        self._inbox.append(waiting)
        if self._writer is None:
            self._writer = asyncio.create_task(self._write(), name="gristmill-group-commit")
        return await waiting.answer

    async def close(self) -> None:
        """Wait for what was submitted."""
        if self._writer is not None:
            await asyncio.wait([self._writer])

    async def _write(self) -> None:
        try:
            while self._inbox:
                await self._commit(self._next_group())
        finally:
            self._writer = None
            for waiting in self._inbox:  # only when this task was cancelled: the loop is ending
                waiting.answer.cancel()
            self._inbox.clear()

    def _next_group(self) -> list[_Waiting]:
        group = [self._inbox.popleft()]
        jobs = len(group[0].submission.jobs)
        while self._inbox and jobs + len(self._inbox[0].submission.jobs) <= MOST:
            group.append(self._inbox.popleft())
            jobs += len(group[-1].submission.jobs)
        return group

    async def _commit(self, group: Sequence[_Waiting]) -> None:
        together = Submission(jobs=[job for waiting in group for job in waiting.submission.jobs])
        try:
            found = await self._store(together)
        except (StoreUnavailable, StoreFull, StoreReadOnly) as error:
            for waiting in group:
                _fail(waiting.answer, _own(error))
        except Exception as error:  # noqa: BLE001 - goes to whoever it belongs to
            if len(group) == 1:
                _fail(group[0].answer, error)
                return
            for waiting in group:  # one of them is at fault; the others must not pay for it
                await self._commit([waiting])
        except BaseException:
            for waiting in group:
                waiting.answer.cancel()
            raise
        else:
            _answer(group, found)


def _answer(group: Sequence[_Waiting], found: Sequence[Enqueued]) -> None:
    start = 0
    for waiting in group:
        end = start + len(waiting.submission.jobs)
        if not waiting.answer.done():
            waiting.answer.set_result(list(found[start:end]))
        start = end


def _fail(answer: asyncio.Future[list[Enqueued]], error: BaseException) -> None:
    if not answer.done():
        answer.set_exception(error)


def _own(error: StoreError) -> StoreError:
    """Return an error for one waiter: a shared one would mix tracebacks."""
    own = type(error)(*error.args)
    own.__cause__ = error.__cause__
    return own
