"""What the queue needs of a store. One semantics for all: ``tests/contract`` holds every store to it.

Every method may raise ``StoreUnavailable`` (try again later), ``StoreFull``
(no room for more; settling still works) or ``StoreReadOnly``. Methods are
called from any event loop and thread. Each is one transaction: all of it
happened, or, when it raised or was cancelled, all of it or nothing did.
Times are seconds; ``now`` is always the store's own clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from gristmill.model.chunk import Chunk, NewChunk
from gristmill.model.job import Enqueued, Job, JobPage, JobState, NewJob
from gristmill.model.lease import Claim, Idle, NewResult, Result, ResultKind, Settled, Settlement
from gristmill.model.queue import DeadFilter, DeadGroup, Hindrance, QueueLimits, QueueStatus

ABANDONED = 60.0
"""Seconds after which an upload that nobody added to, or touched, is that of a dead process."""


class Transaction(Protocol):
    """An open transaction of an SQL store that holds a lease's fence.

    Attributes:
        connection: For the handler: ``asyncpg.Connection`` or ``apsw.Connection``. Nested transactions of it
            are savepoints.
    """

    connection: Any

    async def settle(self, settlement: Settlement) -> Settled:
        """Record *settlement* in this transaction; it counts with the commit."""


class Store(Protocol):
    """A durable queue's store.

    Attributes:
        url: What it was made from, without its password.
        durability: What a job survives once it is enqueued, for people: ``"fsync on commit"``...
    """

    url: str
    durability: str

    # -- life

    async def open(self) -> None:
        """Connect, check that the store can do what is needed, and migrate its schema. Idempotent.

        Safe with several processes at once.

        Raises:
            StoreVersion: A newer Gristmill wrote the schema.
            StoreMisconfigured: It would lose jobs as it is set up; the message says what to change.
        """

    async def close(self) -> None:
        """Let go of connections and threads. Idempotent; also without ``open``."""

    def twin(self) -> Store:
        """Return a store over the same data for another thread's event loop; may be this one."""

    async def now(self) -> float:
        """Return the store's clock, in seconds of the epoch."""

    # -- coming in

    async def enqueue(
        self, jobs: Sequence[tuple[NewJob, Sequence[NewChunk]]], *, connection: Any = None
    ) -> list[Enqueued]:
        """Store whole jobs with all their chunks, in one transaction. A job without items is final at once.

        Args:
            jobs: With different ids. An id that exists is a duplicate of itself (``created=False``).
            connection: A connection of the user's own, with its transaction open: the jobs are part of it.
                SQL stores only.
        """

    async def begin(self, job: NewJob) -> Enqueued:
        """Store a job without items, in state ``receiving``, for an upload.

        Whoever began it calls ``add`` often, without chunks if there are none. An upload of which nothing
        was heard for ``ABANDONED`` seconds may be pruned, and gives way at once, with all it has, to a job
        that is submitted under its unique key.
        """

    async def add(self, job: str, chunks: Sequence[NewChunk], *, refused: Sequence[NewResult] = ()) -> None:
        """Store more items of a job that is ``receiving``; nobody claims them yet.

        Args:
            job: Which.
            chunks: Items that are to run; none says that the upload still comes.
            refused: Results of items that never can, and are in no chunk: they count as items of the job
                and as failed from now on, and no redrive brings them back.

        Raises:
            JobNotFound: There is no such job, or it is not receiving any more.
        """

    async def commit(self, job: str) -> None:
        """Let the items of a ``receiving`` job run; raises as ``add``."""

    async def abort(self, job: str) -> None:
        """Remove a ``receiving`` job with its items and its unique key; harmless if there is none."""

    # -- workers

    async def claim(
        self, queue: str, *, worker: str, max_items: int, max_bytes: int, seconds: float
    ) -> Claim | Idle:
        """Lease due chunks of *queue*, in order of rank, for *seconds*.

        Whole chunks, up to *max_items* and *max_bytes*, but at least one however large it is. A chunk
        with ``crashes`` comes alone. At most one chunk of an ordering key. Nothing while the queue is
        paused, its concurrency is used up, or its rate has too little left for the first chunk
        (``Bucket.admits``: one larger than the burst waits for a full burst, and the rest is paid off
        afterwards).
        """

    async def renew(self, leases: Sequence[int], seconds: float) -> set[int]:
        """Extend leases to *seconds* from now, and return those that are lost."""

    async def settle(self, settlement: Settlement) -> Settled:
        """Record all that became of a claim, fenced by its lease.

        Chunks to run again of a job that was cancelled meanwhile become cancelled items. Chunks of an
        ordering key that run again stay first of their key; when none does, the next of the key comes
        free. A lease that was settled before, within the last hour, is a duplicate.
        """

    async def release(self, lease: int) -> bool:
        """Give a claim's chunks back as they were, without penalty; False if the lease had died."""

    async def take_over(self, *, worker: str, seconds: float) -> Claim | None:
        """Turn one lease that died into a new one, of the caller, with the same chunks; None without one.

        The dead lease is fenced from then on. What becomes of the chunks is the caller's to settle.
        """

    async def wait(self, queues: Sequence[str], seconds: float) -> None:
        """Return when something may have become due in one of *queues*, after *seconds* at the latest."""

    def transaction(self, claim: Claim) -> AbstractAsyncContextManager[Transaction]:
        """Open a transaction fenced by *claim*'s lease; leaving it commits, or rolls back on an error.

        Raises:
            LeaseLost: The lease had died.
            NotSupported: The store cannot.
        """

    # -- jobs

    async def job(self, job: str) -> Job | None:
        """Return a job as it stands."""

    async def ids(self, job: str) -> list[str | None]:
        """Return the caller's id of each item, by place; empty if it gave none, or there is no such job."""

    async def jobs(
        self,
        *,
        queue: str | None = None,
        state: JobState | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> JobPage:
        """Return jobs, newest first.

        Raises:
            ConfigurationError: *cursor* is none that an earlier page had.
        """

    async def results(
        self, job: str, *, after: int = 0, kind: ResultKind | None = None, limit: int = 100
    ) -> list[Result]:
        """Return up to *limit* results with a number above *after*, in the order of settling.

        Each has a kind.
        """

    async def results_between(self, job: str, first: int, last: int) -> list[Result]:
        """Return the results that hold any of the places from *first* to *last*, in the order of settling.

        Those without a kind are among them: they take back what was recorded of the same items before.
        """

    async def unprocessed(self, job: str, *, after: int = 0, limit: int = 100) -> list[Chunk]:
        """Return up to *limit* chunks with an id above *after* whose items no batch has taken."""

    async def cancel(self, job: str) -> bool:
        """Cancel what of a job is not running; running batches end. False if there is no such job."""

    async def cancel_items(self, job: str, places: Sequence[int]) -> int:
        """Cancel those of the items at *places* that are not running; return how many were."""

    async def delete(self, job: str) -> bool:
        """Remove a final job with its results and dead items; False if there is none.

        Raises:
            JobNotFinal: It is not final.
        """

    # -- dead items

    async def dead(self, which: DeadFilter) -> list[DeadGroup]:
        """Return dead items by queue and code, the largest group first."""

    async def redrive(self, which: DeadFilter, *, limit: int = 1_000_000) -> int:
        """Let dead items run again, as if for the first time; return how many, *limit* at about the most.

        Their jobs count them as queued again, and a result without a kind says so. Not those of cancelled
        jobs.
        """

    # -- queues

    async def queues(self) -> list[QueueStatus]:
        """Return how every queue stands that has a limit, is paused, or has chunks."""

    async def limit(self, queue: str, limits: QueueLimits) -> None:
        """Set the limits of *queue*, for all machines."""

    async def pause(self, queue: str) -> None:
        """Claim nothing from *queue* until it is resumed; what runs goes on."""

    async def resume(self, queue: str) -> None:
        """Claim from *queue* again."""

    # -- housekeeping

    async def prune(self, queue: str, *, older_than: float, limit: int = 1000) -> int:
        """Delete up to *limit* final jobs of *queue* that finished over *older_than* seconds ago.

        They go with all they have. Also, of all queues, keys and settled leases that are of no more use, and
        uploads that are abandoned.
        """

    async def hindrances(self) -> list[Hindrance]:
        """Return what slows all queues down more and more, or will soon stop them; mostly nothing."""
