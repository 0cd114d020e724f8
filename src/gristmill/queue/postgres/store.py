"""``PostgresStore``: the contract of a store, in statements under ``sql`` and functions under ``schema``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from gristmill.errors import JobNotFinal, LeaseLost, StoreError, StoreUnavailable
from gristmill.model.chunk import Chunk, NewChunk
from gristmill.model.job import Enqueued, Job, JobPage, JobState, NewJob, ids_from_json, page_number
from gristmill.model.lease import Claim, Idle, NewResult, Result, ResultKind, Settled, Settlement
from gristmill.model.queue import DeadFilter, DeadGroup, Hindrance, QueueLimits, QueueStatus
from gristmill.queue.postgres.address import address_of
from gristmill.queue.postgres.cancelling import cancel_items
from gristmill.queue.postgres.claiming import Claimer
from gristmill.queue.postgres.columns import chunk_of, job_of, plain, result_of
from gristmill.queue.postgres.connections import LONG, Connections, Session
from gristmill.queue.postgres.failures import is_duplicate
from gristmill.queue.postgres.group_commit import GroupCommit
from gristmill.queue.postgres.migrating import prepare
from gristmill.queue.postgres.settling import OpenTransaction, settle_values
from gristmill.queue.postgres.storing import Submission, slices, store_in, store_jobs
from gristmill.queue.postgres.uploading import add_chunks, not_receiving
from gristmill.queue.postgres.waking import Waker
from gristmill.queue.store import ABANDONED, Transaction

REMEMBERED = 3600.0
"""Seconds for which a settled lease is known."""

SNAPSHOT = 300.0
"""Seconds for which somebody may hold a snapshot before people are told."""

_RACES = 3
"""Times to look again which ids exist, when somebody stored one of them just then."""

POOL = 8
"""Connections for commands, and as many again for transactions of handlers."""


class PostgresStore:
    """A store in one schema of a PostgreSQL database.

    Belongs to one event loop from its first use until ``close``; a thread with a loop of its own takes a
    ``twin``.

    Args:
        url: ``postgresql://user:password@host:port/database``, or ``postgresql:///database?host=/folder``
            for a Unix socket. In its query, ``schema=name`` puts the tables elsewhere than in ``gristmill``;
            ``pgbouncer=true`` does without prepared statements and notifications; the rest is asyncpg's.
        pool: Connections at the most, for commands.

    Raises:
        ConfigurationError: The URL cannot be read.
    """

    def __init__(self, url: str, *, pool: int = POOL) -> None:
        self._address = address = address_of(url)
        self.url = address.shown
        self.durability = "fsync on commit"
        self._given = url
        self._connections = Connections(address, size=pool)
        self._transactions = Connections(address, size=pool, for_handlers=True)
        self._waker = Waker(self._connections)
        self._claimer = Claimer(self._connections)
        self._group = GroupCommit(self._store)

    def __repr__(self) -> str:
        """Show where it is, without a password."""
        return f"PostgresStore({self.url!r})"

    async def open(self) -> None:
        """Check the server's settings, and make or migrate the schema."""
        self.durability = await prepare(self._connections)

    async def close(self) -> None:
        """Let what is under way end, and close all connections."""
        await self._group.close()
        await self._waker.close()
        await self._connections.close()
        await self._transactions.close()

    def twin(self) -> PostgresStore:
        """Return another store over the same data, with one connection of its own."""
        return PostgresStore(self._given, pool=1)

    async def now(self) -> float:
        """Return the server's clock."""
        now: float = await self._connections.value("now")
        return now

    # -- coming in

    async def enqueue(
        self, jobs: Sequence[tuple[NewJob, Sequence[NewChunk]]], *, connection: Any = None
    ) -> list[Enqueued]:
        """Store whole jobs; calls at the same time share a transaction.

        With *connection* workers hear of the jobs when they next poll, within about a second.
        """
        submission = Submission(jobs=jobs)
        if not jobs:
            return []
        if connection is not None:
            return await store_in(connection, submission, self._address.schema)
        found = await self._group.submit(submission)
        self._waker.tell(submission.queues)
        return found

    async def _store(self, submission: Submission) -> list[Enqueued]:
        """Store *submission* in one transaction: by one command, unless something must be looked up first."""
        if submission.is_plain and not submission.is_receiving:
            calls = list(slices(submission.jobs))
            if len(calls) == 1:
                try:
                    await self._connections.fetch("enqueue", *calls[0])
                except StoreError as error:
                    if not is_duplicate(error):
                        raise
                else:
                    return [Enqueued(job=job.id, created=True) for job, _ in submission.jobs]
        for _ in range(_RACES):
            try:
                return await self._connections.transact(lambda session: store_jobs(session, submission))
            except StoreError as error:
                if not is_duplicate(error):
                    raise
        raise StoreUnavailable("jobs of the same ids are being stored by others; try again")

    async def begin(self, job: NewJob) -> Enqueued:
        """Store a job for an upload."""
        (found,) = await self._store(Submission(jobs=[(job, ())], is_receiving=True))
        return found

    async def add(self, job: str, chunks: Sequence[NewChunk], *, refused: Sequence[NewResult] = ()) -> None:
        """Store more items of an upload."""
        await self._connections.transact(lambda session: add_chunks(session, job, chunks, refused))

    async def commit(self, job: str) -> None:
        """Let the items of an upload run."""
        queue = await self._connections.value("commit_upload", job)
        if queue is None:
            raise not_receiving(job)
        self._waker.tell((queue,))

    async def abort(self, job: str) -> None:
        """Remove an upload."""
        self._tell(await self._connections.value("abort_upload", job))

    def _tell(self, queue: str | None) -> None:
        if queue is not None:
            self._waker.tell((queue,))

    # -- workers

    async def claim(
        self, queue: str, *, worker: str, max_items: int, max_bytes: int, seconds: float
    ) -> Claim | Idle:
        """Lease due chunks, by one command unless the queue has limits."""
        self._waker.forget(queue)
        return await self._claimer.claim(
            queue, worker=worker, max_items=max_items, max_bytes=max_bytes, seconds=seconds
        )

    async def renew(self, leases: Sequence[int], seconds: float) -> set[int]:
        """Extend leases."""
        rows = await self._connections.fetch("renew", leases, seconds) if leases else []
        return set(leases) - {row["id"] for row in rows}

    async def settle(self, settlement: Settlement) -> Settled:
        """Record all that became of a claim, by one command."""
        row = await self._connections.row("settle", *settle_values(settlement))
        self._tell(row["wakes"])
        return Settled(row["outcome"])

    async def release(self, lease: int) -> bool:
        """Give chunks back as they were."""
        queue = await self._connections.value("release", lease)
        self._tell(queue)
        return queue is not None

    async def take_over(self, *, worker: str, seconds: float) -> Claim | None:
        """Turn a lease that died into one of the caller's."""
        rows = await self._connections.fetch("take_over", worker, seconds)
        if not rows:
            return None
        queue = rows[0]["queue"]
        chunks = tuple(chunk_of(row, queue) for row in rows)
        return Claim(lease=rows[0]["lease"], queue=queue, chunks=chunks)

    async def wait(self, queues: Sequence[str], seconds: float) -> None:
        """Return when something was told of, or it is time to look again, or after *seconds*."""
        await self._waker.wait(queues, seconds)

    @asynccontextmanager
    async def transaction(self, claim: Claim) -> AsyncIterator[Transaction]:
        """Open a transaction that holds the lease, on a connection of its own."""
        async with self._transactions.session() as session:
            if await session.value("lock_lease", claim.lease) is None:
                raise LeaseLost(f"lease {claim.lease} had died: its items are, or will be, somebody else's")
            transaction = OpenTransaction(session)
            yield transaction
        self._tell(transaction.wakes)

    # -- jobs

    async def job(self, job: str) -> Job | None:
        """Return a job as it stands."""
        row = await self._connections.row("job", job)
        return None if row is None else job_of(row)

    async def ids(self, job: str) -> list[str | None]:
        """Return the caller's ids."""
        return ids_from_json(await self._connections.value("ids", job))

    async def jobs(
        self,
        *,
        queue: str | None = None,
        state: JobState | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> JobPage:
        """Return jobs, newest first."""
        is_final = None if state is None else state.is_final
        below = None if cursor is None else page_number(cursor)
        rows = await self._connections.fetch("jobs", queue, state, is_final, below, limit + 1)
        following = str(rows[limit - 1]["number"]) if len(rows) > limit else None
        return JobPage(jobs=tuple(map(job_of, rows[:limit])), cursor=following)

    async def results(
        self, job: str, *, after: int = 0, kind: ResultKind | None = None, limit: int = 100
    ) -> list[Result]:
        """Return results in the order of settling."""
        return list(map(result_of, await self._connections.fetch("results", job, after, kind, limit)))

    async def results_between(self, job: str, first: int, last: int) -> list[Result]:
        """Return the results of some places."""
        return list(map(result_of, await self._connections.fetch("results_between", job, first, last)))

    async def unprocessed(self, job: str, *, after: int = 0, limit: int = 100) -> list[Chunk]:
        """Return chunks that no batch has taken."""
        rows = await self._connections.fetch("unprocessed", job, after, limit)
        return [chunk_of(row, row["queue"]) for row in rows]

    async def cancel(self, job: str) -> bool:
        """Cancel what is not running."""
        row = await self._connections.row("cancel", job, timeout=LONG)
        self._tell(row["wakes"])
        return bool(row["is_known"])

    async def cancel_items(self, job: str, places: Sequence[int]) -> int:
        """Cancel single items that are not running."""
        cancelled, wakes = await self._connections.transact(
            lambda session: cancel_items(session, job, places)
        )
        self._tell(wakes)
        return cancelled

    async def delete(self, job: str) -> bool:
        """Remove a final job."""
        is_final = await self._connections.value("delete", job, timeout=LONG)
        if is_final is False:
            raise JobNotFinal(f"job {job} is not final; cancel it first, or wait")
        return bool(is_final)

    # -- dead items

    async def dead(self, which: DeadFilter) -> list[DeadGroup]:
        """Return dead items by queue and code."""
        rows = await self._connections.fetch("dead", which.queue, which.job, plain(which.code), which.before)
        return [DeadGroup(**row) for row in rows]

    async def redrive(self, which: DeadFilter, *, limit: int = 1_000_000) -> int:
        """Let dead items run again."""
        row = await self._connections.row(
            "redrive", which.queue, which.job, plain(which.code), which.before, limit, timeout=LONG
        )
        self._waker.tell(row["queues"] or ())
        return int(row["redriven"])

    # -- queues

    async def queues(self) -> list[QueueStatus]:
        """Return how every queue stands; reads every chunk's row."""

        async def read(session: Session) -> list[QueueStatus]:
            await session.fetch("scan")
            return [QueueStatus(**row) for row in await session.fetch("queues")]

        return await self._connections.transact(read)

    async def limit(self, queue: str, limits: QueueLimits) -> None:
        """Set limits."""
        tokens = None if limits.rate is None else limits.largest_burst
        await self._connections.fetch("limit", queue, limits.rate, limits.burst, limits.concurrency, tokens)
        self._waker.tell((queue,))

    async def pause(self, queue: str) -> None:
        """Claim nothing from *queue*."""
        await self._connections.fetch("pause", queue, True)

    async def resume(self, queue: str) -> None:
        """Claim from *queue* again."""
        await self._connections.fetch("pause", queue, False)
        self._waker.tell((queue,))

    # -- housekeeping

    async def prune(self, queue: str, *, older_than: float, limit: int = 1000) -> int:
        """Delete old jobs, keys, leases and uploads."""
        jobs = await self._connections.row("prune", queue, older_than, REMEMBERED, limit, timeout=LONG)
        rest = limit - jobs["pruned"]
        uploads = await self._connections.row("abandon_uploads", ABANDONED, rest, None, timeout=LONG)
        self._waker.tell({*jobs["queues"], *uploads["queues"]})
        return int(jobs["pruned"] + uploads["pruned"])

    async def hindrances(self) -> list[Hindrance]:
        """Return who has held a snapshot for long, as far as this user may see it."""
        return [
            Hindrance(
                who=row["who"],
                text=f"{row['who']} has held a snapshot of the database for {row['seconds'] / 60:.0f} "
                "minutes, so no dead row can be cleared away and claims get slower: end that transaction",
            )
            for row in await self._connections.fetch("hindrances", SNAPSHOT)
        ]
