"""``SqliteStore``: the durable queue in one file, with nothing to install or start."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

from gristmill.model.chunk import Chunk, NewChunk
from gristmill.model.job import Enqueued, Job, JobPage, JobState, NewJob
from gristmill.model.lease import Claim, Idle, NewResult, Result, ResultKind, Settled, Settlement
from gristmill.model.queue import DeadFilter, DeadGroup, Hindrance, QueueLimits, QueueStatus
from gristmill.queue.sqlite import claiming, ending, incoming, settling
from gristmill.queue.sqlite import jobs as reading
from gristmill.queue.sqlite import queues as queueing
from gristmill.queue.sqlite.database import open_for_reading, path_of
from gristmill.queue.sqlite.errors import mapped
from gristmill.queue.sqlite.fair_lock import FairLock
from gristmill.queue.sqlite.lane import Lane
from gristmill.queue.sqlite.transaction import Transactions, session_of
from gristmill.queue.sqlite.waiters import Waiters
from gristmill.queue.sqlite.writer import Writer
from gristmill.queue.store import Transaction

HELD_LOG = 256 << 20
"""Bytes of the log above which people are told; it is cut off at a quarter of that unless somebody reads."""


class SqliteStore:
    """A store in a file, for one machine; several processes may open it.

    All writing goes through one thread, which commits together what came
    while it committed before: a commit is on the disk when its callers hear of
    it. Reading goes through another, and waits for nobody; a third looks for
    work on behalf of those who wait, so that a long list does not delay them.

    Args:
        url: ``sqlite:///relative.db`` or ``sqlite:////absolute.db``; the folder must exist.

    Raises:
        ConfigurationError: It is no such URL.
    """

    durability = "fsync on commit"

    def __init__(self, url: str) -> None:
        self.url = url
        self._path = path_of(url)
        turn = FairLock()
        self._waiters = Waiters()
        self._writer = Writer(self._path, turn, self._waiters)
        self._reader = Lane(f"the reader of {self._path}", self._path, open_for_reading)
        self._watcher = Lane(f"the watcher of {self._path}", self._path, open_for_reading)
        self._transactions = Transactions(self._path, turn, self._waiters)

    def __repr__(self) -> str:
        """Show where it is."""
        return f"SqliteStore({self.url!r})"

    # -- life

    async def open(self) -> None:
        """Open the file, or make it, and bring its schema up to date."""
        await self._writer.submit(lambda _: None)
        await self._reader.submit(lambda _: None)

    async def close(self) -> None:
        """Let what was accepted end, then close the file."""
        await self._reader.close()
        await self._watcher.close()
        await self._transactions.close()
        await self._writer.close()

    def twin(self) -> SqliteStore:
        """Return this store: it may be called from every thread."""
        return self

    async def now(self) -> float:
        """Return the machine's clock: all who use the file share it."""
        return time.time()

    # -- coming in

    async def enqueue(
        self, jobs: Sequence[tuple[NewJob, Sequence[NewChunk]]], *, connection: Any = None
    ) -> list[Enqueued]:
        """Store whole jobs."""
        if connection is not None:
            session = session_of(connection, self._path)
            with mapped(self._path), session.connection:
                return incoming.enqueue(session, jobs)
        work = incoming.Enqueue(jobs)
        return await self._writer.submit(work, work.size)

    async def begin(self, job: NewJob) -> Enqueued:
        """Store a job for an upload."""
        return await self._writer.submit(partial(incoming.begin, job=job), incoming.size_of([(job, ())]))

    async def add(self, job: str, chunks: Sequence[NewChunk], *, refused: Sequence[NewResult] = ()) -> None:
        """Store more items of an upload."""
        size = sum(len(chunk.body) for chunk in chunks)
        await self._writer.submit(partial(incoming.add, job=job, chunks=chunks, refused=refused), size)

    async def commit(self, job: str) -> None:
        """Let the items of an upload run."""
        await self._writer.submit(partial(incoming.commit, job=job))

    async def abort(self, job: str) -> None:
        """Remove an upload."""
        await self._writer.submit(partial(incoming.abort, job=job))

    # -- workers

    async def claim(
        self, queue: str, *, worker: str, max_items: int, max_bytes: int, seconds: float
    ) -> Claim | Idle:
        """Lease due chunks; what a cancelled caller would have got is released."""
        wanted = claiming.Wanted(queue, worker, max_items, max_bytes, seconds)
        found = self._writer.submit(partial(claiming.claim, wanted=wanted))
        try:
            return await asyncio.shield(found)
        except asyncio.CancelledError:
            found.add_done_callback(self._give_back)
            raise

    def _give_back(self, found: asyncio.Future[Claim | Idle]) -> None:
        if found.cancelled() or found.exception() is not None:
            return
        claim = found.result()
        if isinstance(claim, Claim):
            with contextlib.suppress(Exception):  # closed: the lease dies by itself
                self._writer.submit(partial(settling.release, lease=claim.lease))

    async def renew(self, leases: Sequence[int], seconds: float) -> set[int]:
        """Extend leases; at the end of the transaction of this process that is open, if one is."""
        if self._transactions.take_on(leases, seconds):
            return set()
        return await self._writer.submit(partial(settling.renew, leases=leases, seconds=seconds))

    async def settle(self, settlement: Settlement) -> Settled:
        """Record all that became of a claim."""
        bodies = (*(chunk.body for chunk in settlement.chunks), *(each.body for each in settlement.results))
        size = sum(len(body) for body in bodies if body is not None)
        return await self._writer.submit(partial(settling.settle, settlement=settlement), size)

    async def release(self, lease: int) -> bool:
        """Give chunks back as they were."""
        return await self._writer.submit(partial(settling.release, lease=lease))

    async def take_over(self, *, worker: str, seconds: float) -> Claim | None:
        """Turn a lease that died into one of the caller's."""
        return await self._writer.submit(partial(settling.take_over, worker=worker, seconds=seconds))

    async def wait(self, queues: Sequence[str], seconds: float) -> None:
        """Return when something can be claimed, or after *seconds*."""
        with self._waiters.waiting(queues) as event, contextlib.suppress(TimeoutError):
            self._writer.nudge()
            async with asyncio.timeout(seconds):
                while (due_in := await self._watcher.submit(partial(claiming.due_in, queues=queues))) != 0:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(due_in):
                            await event.wait()
                    event.clear()

    def transaction(self, claim: Claim) -> AbstractAsyncContextManager[Transaction]:
        """Open a transaction; nothing else is written till it ends, so keep it short."""
        return self._transactions.begin(claim)

    # -- jobs

    async def job(self, job: str) -> Job | None:
        """Return a job as it stands."""
        return await self._reader.submit(partial(reading.job, identity=job))

    async def ids(self, job: str) -> list[str | None]:
        """Return the caller's ids."""
        return await self._reader.submit(partial(reading.ids, identity=job))

    async def jobs(
        self,
        *,
        queue: str | None = None,
        state: JobState | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> JobPage:
        """Return jobs, newest first."""
        wanted = reading.JobsWanted(queue, state, cursor, limit)
        return await self._reader.submit(partial(reading.jobs, wanted=wanted))

    async def results(
        self, job: str, *, after: int = 0, kind: ResultKind | None = None, limit: int = 100
    ) -> list[Result]:
        """Return results in the order of settling."""
        return await self._reader.submit(
            partial(reading.results, identity=job, after=after, kind=kind, limit=limit)
        )

    async def results_between(self, job: str, first: int, last: int) -> list[Result]:
        """Return the results of some places."""
        return await self._reader.submit(
            partial(reading.results_between, identity=job, first=first, last=last)
        )

    async def unprocessed(self, job: str, *, after: int = 0, limit: int = 100) -> list[Chunk]:
        """Return chunks that no batch has taken."""
        return await self._reader.submit(partial(reading.unprocessed, identity=job, after=after, limit=limit))

    async def cancel(self, job: str) -> bool:
        """Cancel what is not running."""
        return await self._writer.submit(partial(ending.cancel, job=job))

    async def cancel_items(self, job: str, places: Sequence[int]) -> int:
        """Cancel single items that are not running."""
        return await self._writer.submit(partial(ending.cancel_items, job=job, places=frozenset(places)))

    async def delete(self, job: str) -> bool:
        """Remove a final job."""
        return await self._writer.submit(partial(ending.delete, job=job))

    # -- dead items

    async def dead(self, which: DeadFilter) -> list[DeadGroup]:
        """Return dead items by queue and code."""
        return await self._reader.submit(partial(queueing.dead, which=which))

    async def redrive(self, which: DeadFilter, *, limit: int = 1_000_000) -> int:
        """Let dead items run again."""
        return await self._writer.submit(partial(queueing.redrive, which=which, limit=limit))

    # -- queues

    async def queues(self) -> list[QueueStatus]:
        """Return how every queue stands."""
        return await self._reader.submit(partial(queueing.statuses, now=time.time()))

    async def limit(self, queue: str, limits: QueueLimits) -> None:
        """Set limits."""
        await self._writer.submit(partial(queueing.limit, queue=queue, limits=limits))

    async def pause(self, queue: str) -> None:
        """Claim nothing from *queue*."""
        await self._writer.submit(partial(queueing.pause, queue=queue, is_paused=True))

    async def resume(self, queue: str) -> None:
        """Claim from *queue* again."""
        await self._writer.submit(partial(queueing.pause, queue=queue, is_paused=False))

    # -- housekeeping

    async def hindrances(self) -> list[Hindrance]:
        """Return who reads for so long that the log cannot be used anew."""
        size = self._writer.log_size
        if size < HELD_LOG:
            return []
        text = (
            f"somebody has read {self._path} for so long that its log has {size >> 20} MiB and cannot be "
            "used anew, so that reading gets slower and the disk fuller: end that transaction"
        )
        return [Hindrance(who="a reader", text=text)]

    async def prune(self, queue: str, *, older_than: float, limit: int = 1000) -> int:
        """Delete old jobs, keys, leases and uploads."""
        return await self._writer.submit(
            partial(ending.prune, queue=queue, older_than=older_than, limit=limit)
        )
