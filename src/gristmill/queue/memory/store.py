"""``MemoryStore``: the contract of a store, kept in plain dicts under one lock."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from gristmill.errors import JobNotFinal, JobNotFound, NotSupported
from gristmill.model.chunk import Chunk, NewChunk, each_place, pick
from gristmill.model.job import Enqueued, Job, JobPage, JobState, NewJob, ids_from_json, page_number
from gristmill.model.lease import Claim, Idle, NewResult, Result, ResultKind, Settled, Settlement
from gristmill.model.queue import Bucket, DeadFilter, DeadGroup, Hindrance, QueueLimits, QueueStatus
from gristmill.queue.memory.claiming import claim_from
from gristmill.queue.memory.looking import dead_groups, dead_rows, page_of, status_of
from gristmill.queue.memory.tables import ChunkRow, JobRow, LeaseRow, QueueRow, Tables, UniqueRow
from gristmill.queue.store import Transaction

REMEMBERED = 3600.0
"""Seconds for which a settled lease is known."""


class MemoryStore:
    """A store in this process's memory; for tests.

    Args:
        clock: The store's clock, in seconds of the epoch.
    """

    url = "memory://"
    durability = "none: gone with the process"

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tables = Tables()
        self._waiters: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    async def open(self) -> None:
        """Nothing to do."""

    async def close(self) -> None:
        """Nothing to do: what is stored stays."""

    def twin(self) -> MemoryStore:
        """Return this store: it may be called from every thread."""
        return self

    async def now(self) -> float:
        """Return the clock."""
        return self._clock()

    # -- coming in

    async def enqueue(
        self, jobs: Sequence[tuple[NewJob, Sequence[NewChunk]]], *, connection: Any = None
    ) -> list[Enqueued]:
        """Store whole jobs."""
        if connection is not None:
            raise NotSupported("the store in memory has no connections; enqueue without one")
        with self._lock:
            found = [self._enqueue(job, chunks) for job, chunks in jobs]
        self._wake()
        return found

    def _enqueue(self, job: NewJob, chunks: Sequence[NewChunk], *, is_receiving: bool = False) -> Enqueued:
        now, tables = self._clock(), self._tables
        held = self._holder(job, now)
        if held is not None:
            return held
        row = JobRow(
            number=tables.next_id(),
            new=job,
            created_at=now,
            due_at=job.due_at(now),
            is_receiving=is_receiving,
            touched_at=now,
        )
        tables.jobs[job.id] = row
        if job.unique is not None:
            until = None if job.unique.seconds is None else now + job.unique.seconds
            tables.uniques[job.queue, job.unique.key] = UniqueRow(
                job=job.id, until=until, fingerprint=job.unique.fingerprint
            )
        for chunk in chunks:
            self._add(row, chunk)
        if not is_receiving:
            tables.touch(job.id, now)
        return Enqueued(job=job.id, created=True)

    def _holder(self, job: NewJob, now: float) -> Enqueued | None:
        if job.id in self._tables.jobs:
            return Enqueued(job=job.id, created=False)
        if job.unique is None:
            return None
        held = self._tables.uniques.get((job.queue, job.unique.key))
        if held is None or (held.until is not None and held.until <= now):
            return None
        holder = self._tables.jobs[held.job]
        if holder.is_abandoned(now):
            self._remove(holder)
            return None
        wanted = job.unique.fingerprint
        return Enqueued(job=held.job, created=False, matches=wanted is None or wanted == held.fingerprint)

    def _add(self, row: JobRow, chunk: NewChunk) -> None:
        row.total += chunk.items
        self._tables.put(chunk, self._clock(), due_at=row.due_at + chunk.delay)

    async def begin(self, job: NewJob) -> Enqueued:
        """Store a job for an upload."""
        with self._lock:
            return self._enqueue(job, (), is_receiving=True)

    def _receiving(self, job: str) -> JobRow:
        row = self._tables.jobs.get(job)
        if row is None or not row.is_receiving:
            raise JobNotFound(f"there is no job {job} that receives items")
        return row

    async def add(self, job: str, chunks: Sequence[NewChunk], *, refused: Sequence[NewResult] = ()) -> None:
        """Store more items of an upload."""
        with self._lock:
            row = self._receiving(job)
            row.touched_at = self._clock()
            for chunk in chunks:
                self._add(row, chunk)
            for result in refused:
                row.total += result.items
                self._tables.record(result)

    async def commit(self, job: str) -> None:
        """Let the items of an upload run."""
        with self._lock:
            self._receiving(job).is_receiving = False
            self._tables.touch(job, self._clock())
        self._wake()

    async def abort(self, job: str) -> None:
        """Remove an upload."""
        with self._lock:
            row = self._tables.jobs.get(job)
            if row is not None and row.is_receiving:
                self._remove(row)

    def _remove(self, row: JobRow) -> None:
        tables = self._tables
        keys = {(chunk.queue, chunk.new.key) for chunk in tables.of_job(row.new.id)}
        for chunk in tables.of_job(row.new.id):
            del tables.chunks[chunk.id]
        for queue, key in keys:
            tables.unblock(queue, key)
        tables.uniques = {k: v for k, v in tables.uniques.items() if v.job != row.new.id}
        tables.results.pop(row.new.id, None)
        del tables.jobs[row.new.id]

    # -- workers

    async def claim(
        self, queue: str, *, worker: str, max_items: int, max_bytes: int, seconds: float
    ) -> Claim | Idle:
        """Lease due chunks."""
        with self._lock:
            return claim_from(
                self._tables,
                queue,
                now=self._clock(),
                worker=worker,
                max_items=max_items,
                max_bytes=max_bytes,
                seconds=seconds,
            )

    async def renew(self, leases: Sequence[int], seconds: float) -> set[int]:
        """Extend leases."""
        now = self._clock()
        lost = set()
        with self._lock:
            for lease in leases:
                row = self._held(lease)
                if row is None:
                    lost.add(lease)
                else:
                    row.expires_at = now + seconds
        return lost

    def _held(self, lease: int) -> LeaseRow | None:
        row = self._tables.leases.get(lease)
        return row if row is not None and row.settled_at is None else None

    async def settle(self, settlement: Settlement) -> Settled:
        """Record all that became of a claim."""
        now, tables = self._clock(), self._tables
        with self._lock:
            row = tables.leases.get(settlement.lease)
            if row is not None and row.settled_at is not None:
                return Settled.DUPLICATE
            # Dead only once somebody took it over: until then nobody else has the items.
            if row is None:
                return Settled.STALE
            row.settled_at = now
            old = tables.of_lease(settlement.lease)
            for chunk in old:
                del tables.chunks[chunk.id]
            self._replace(settlement, now)
            for queue, key in {(chunk.queue, chunk.new.key) for chunk in old}:
                tables.unblock(queue, key)
            for job in {chunk.new.job for chunk in old}:
                tables.touch(job, now)
        self._wake()
        return Settled.SETTLED

    def _replace(self, settlement: Settlement, now: float) -> None:
        tables = self._tables
        for chunk in settlement.chunks:
            if chunk.code is None and tables.jobs[chunk.job].is_cancelled:
                tables.cancelled(chunk.job, chunk.places, chunk.items)
            else:
                tables.put(chunk, now)
        for result in settlement.results:
            tables.record(result)

    async def release(self, lease: int) -> bool:
        """Give chunks back as they were."""
        with self._lock:
            if self._held(lease) is None:
                return False
            del self._tables.leases[lease]
            for chunk in self._tables.of_lease(lease):
                chunk.lease = None
                self._drop_if_cancelled(chunk)
        self._wake()
        return True

    def _drop_if_cancelled(self, chunk: ChunkRow) -> None:
        tables = self._tables
        if tables.jobs[chunk.new.job].is_cancelled:
            del tables.chunks[chunk.id]
            tables.cancelled(chunk.new.job, chunk.new.places, chunk.new.items)
            tables.unblock(chunk.queue, chunk.new.key)
            tables.touch(chunk.new.job, self._clock())

    async def take_over(self, *, worker: str, seconds: float) -> Claim | None:
        """Turn a lease that died into one of the caller's."""
        now, tables = self._clock(), self._tables
        with self._lock:
            for lease, row in tables.leases.items():
                if row.settled_at is None and row.expires_at <= now:
                    del tables.leases[lease]
                    fresh = tables.next_id()
                    tables.leases[fresh] = LeaseRow(queue=row.queue, worker=worker, expires_at=now + seconds)
                    chunks = tables.of_lease(lease)
                    for chunk in chunks:
                        chunk.lease = fresh
                    return Claim(
                        lease=fresh, queue=row.queue, chunks=tuple(tables.chunk(chunk) for chunk in chunks)
                    )
        return None

    async def wait(self, queues: Sequence[str], seconds: float) -> None:  # noqa: ARG002 - wakes for all
        """Return when something changed, or after *seconds*."""
        entry = (asyncio.get_running_loop(), asyncio.Event())
        self._waiters.add(entry)
        try:
            async with asyncio.timeout(seconds):
                await entry[1].wait()
        except TimeoutError:
            pass
        finally:
            self._waiters.discard(entry)

    def _wake(self) -> None:
        for loop, event in list(self._waiters):
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

    @asynccontextmanager
    async def transaction(self, claim: Claim) -> AsyncIterator[Transaction]:  # noqa: ARG002 - refused
        """Refuse: there is nothing to be in one transaction with."""
        raise NotSupported("the store in memory has no transactions; use an SQL store")
        yield  # type: ignore[unreachable]  # it makes this a generator

    # -- jobs

    async def job(self, job: str) -> Job | None:
        """Return a job as it stands."""
        with self._lock:
            row = self._tables.jobs.get(job)
            return None if row is None else self._tables.job(row)

    async def ids(self, job: str) -> list[str | None]:
        """Return the caller's ids."""
        with self._lock:
            row = self._tables.jobs.get(job)
        return [] if row is None else ids_from_json(row.new.ids)

    async def jobs(
        self,
        *,
        queue: str | None = None,
        state: JobState | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> JobPage:
        """Return jobs, newest first."""
        before = None if cursor is None else page_number(cursor)
        with self._lock:
            return page_of(self._tables, queue=queue, state=state, before=before, limit=limit)

    async def results(
        self, job: str, *, after: int = 0, kind: ResultKind | None = None, limit: int = 100
    ) -> list[Result]:
        """Return results in the order of settling."""
        with self._lock:
            rows = self._tables.results.get(job, [])
            found = (row for row in rows if row.kind is not None and kind in (None, row.kind))
            return [row for row in found if row.number > after][:limit]

    async def results_between(self, job: str, first: int, last: int) -> list[Result]:
        """Return the results of some places."""
        with self._lock:
            return [
                row
                for row in self._tables.results.get(job, [])
                if any(start <= last and start + count > first for start, count in row.places)
            ]

    async def unprocessed(self, job: str, *, after: int = 0, limit: int = 100) -> list[Chunk]:
        """Return chunks that no batch has taken."""
        with self._lock:
            rows = [row for row in self._tables.of_job(job) if row.is_live and row.id > after]
            return [self._tables.chunk(row) for row in rows[:limit]]

    async def cancel(self, job: str) -> bool:
        """Cancel what is not running."""
        tables = self._tables
        with self._lock:
            row = tables.jobs.get(job)
            if row is None:
                return False
            if row.finished_at is not None:
                return True
            row.is_cancelled = True
            row.is_receiving = False
            for chunk in tables.of_job(job):
                if chunk.is_live:
                    self._drop_if_cancelled(chunk)
            tables.touch(job, self._clock())
        self._wake()
        return True

    async def cancel_items(self, job: str, places: Sequence[int]) -> int:
        """Cancel single items that are not running."""
        tables, wanted, cancelled = self._tables, set(places), 0
        with self._lock:
            for row in list(tables.of_job(job)):
                here = list(each_place(row.new.places))
                gone = [(place, 1) for place in here if place in wanted]
                if not row.is_live or not gone:
                    continue
                cancelled += len(gone)
                kept = [index for index, place in enumerate(here) if place not in wanted]
                if kept:
                    row.new = pick(tables.chunk(row), kept)
                else:
                    del tables.chunks[row.id]
                    tables.unblock(row.queue, row.new.key)
                tables.cancelled(job, tuple(gone), len(gone))
            if cancelled:
                tables.touch(job, self._clock())
        return cancelled

    async def delete(self, job: str) -> bool:
        """Remove a final job."""
        with self._lock:
            row = self._tables.jobs.get(job)
            if row is None:
                return False
            if row.finished_at is None:
                raise JobNotFinal(f"job {job} is not final; cancel it first, or wait")
            self._remove(row)
        return True

    # -- dead items

    async def dead(self, which: DeadFilter) -> list[DeadGroup]:
        """Return dead items by queue and code."""
        with self._lock:
            return dead_groups(self._tables, which)

    async def redrive(self, which: DeadFilter, *, limit: int = 1_000_000) -> int:
        """Let dead items run again."""
        now, tables, redriven = self._clock(), self._tables, 0
        with self._lock:
            for row in dead_rows(tables, which):
                job = tables.jobs[row.new.job]
                if redriven >= limit or job.is_cancelled:
                    continue
                redriven += row.new.items
                tables.take_back(row.new.job, row.new.places, row.new.items)
                del tables.chunks[row.id]
                tables.put(pick(tables.chunk(row), range(row.new.items), attempt=0, crashes=0), now)
                tables.touch(job.new.id, now)
        self._wake()
        return redriven

    # -- queues

    async def queues(self) -> list[QueueStatus]:
        """Return how every queue stands."""
        now, tables = self._clock(), self._tables
        with self._lock:
            names = {row.queue for row in tables.chunks.values()} | set(tables.queues)
            return [status_of(tables, name, now) for name in sorted(names)]

    async def limit(self, queue: str, limits: QueueLimits) -> None:
        """Set limits."""
        with self._lock:
            row = self._tables.queues.setdefault(queue, QueueRow())
            if row.limits != limits:
                row.limits = limits
                row.bucket = Bucket(tokens=limits.largest_burst, at=self._clock())
        self._wake()

    async def pause(self, queue: str) -> None:
        """Claim nothing from *queue*."""
        with self._lock:
            self._tables.queues.setdefault(queue, QueueRow()).is_paused = True

    async def resume(self, queue: str) -> None:
        """Claim from *queue* again."""
        with self._lock:
            self._tables.queues.setdefault(queue, QueueRow()).is_paused = False
        self._wake()

    # -- housekeeping

    async def hindrances(self) -> list[Hindrance]:
        """Return nothing: nobody else comes near."""
        return []

    async def prune(self, queue: str, *, older_than: float, limit: int = 1000) -> int:
        """Delete old jobs, keys, leases and uploads."""
        now, tables, pruned = self._clock(), self._tables, 0
        with self._lock:
            for row in list(tables.jobs.values()):
                finished_at = row.finished_at if row.new.queue == queue else None
                is_old = finished_at is not None and finished_at < now - older_than
                if (is_old or row.is_abandoned(now)) and pruned < limit:
                    self._remove(row)
                    pruned += 1
            tables.leases = {
                k: v
                for k, v in tables.leases.items()
                if v.settled_at is None or v.settled_at > now - REMEMBERED
            }
            tables.uniques = {k: v for k, v in tables.uniques.items() if v.until is None or v.until > now}
        return pruned
