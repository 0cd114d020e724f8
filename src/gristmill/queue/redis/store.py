"""``RedisStore``: the durable queue in one Redis or Valkey, for many machines.

All keys of a store share one hash tag, so a cluster keeps the whole store on
one of its primaries: it does not make one store larger or faster; several
stores, with prefixes of their own, do. What the server has not written to its
append-only file when it dies, or not sent to the replica that follows it, is
lost; ``durability`` says how much that may be. Handlers cannot share a
transaction with this store.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from gristmill.errors import (
    JobNotFound,
    NotSupported,
    StoreError,
    StoreMisconfigured,
    StoreUnavailable,
    StoreVersion,
)
from gristmill.model.chunk import Chunk, NewChunk
from gristmill.model.job import Enqueued, Job, JobPage, JobState, NewJob
from gristmill.model.lease import Claim, Idle, NewResult, Result, ResultKind, Settled, Settlement
from gristmill.model.queue import DeadFilter, DeadGroup, Hindrance, QueueLimits, QueueStatus
from gristmill.queue.redis import sizes
from gristmill.queue.redis.checks import ASKED, check, durability, memory_from, server_from
from gristmill.queue.redis.dead import Dead
from gristmill.queue.redis.faults import is_no_database
from gristmill.queue.redis.jobs import AT_ONCE, Jobs
from gristmill.queue.redis.links import Links
from gristmill.queue.redis.queues import Queues
from gristmill.queue.redis.records import enqueued_from, packed_chunks, packed_jobs
from gristmill.queue.redis.settings import settings_from
from gristmill.queue.redis.work import Work
from gristmill.queue.store import Transaction

SCHEMA = 1
"""The version of what the scripts store."""

_LOG = logging.getLogger(__name__)


class RedisStore:
    """A store in Redis 7, Valkey, or newer.

    Args:
        url: ``redis://[user:password@]host:port/db`` or ``rediss://``, with the options ``prefix`` (of all
            keys, ``gm``), ``timeout`` (seconds to wait for an answer, 10), ``wait=aof`` (acknowledge an
            enqueue when it is on disk) and ``unsafe=true`` (take a server that may lose jobs).
    """

    def __init__(self, url: str) -> None:
        self._given = url
        settings = settings_from(url)
        self.url = settings.url
        self.durability = "not known before open()"
        self._links = Links(settings)
        self._work = Work(self._links)
        self._jobs = Jobs(self._links)
        self._dead = Dead(self._links)
        self._queues = Queues(self._links)

    def __repr__(self) -> str:
        return f"RedisStore({self.url!r})"

    # -- life

    async def open(self) -> None:
        """Check the server's settings and the version of the schema."""
        settings = self._links.settings
        config = await self._told("CONFIG GET", *ASKED, *sizes.ASKED)
        self._links.sizes.learn(config)
        server = server_from(await self._told("INFO"), config)
        for doubt in check(server, is_unsafe=settings.is_unsafe):
            _LOG.warning("%s: %s", self.url, doubt)
        found = int(await self._links.run("open", SCHEMA))
        if found > SCHEMA:
            raise StoreVersion(
                f"{self.url} has schema {found}, of a newer Gristmill; this one knows {SCHEMA}: update it, "
                "or use another ?prefix="
            )
        if settings.waits_for_file:
            await self._check_waits()
        self.durability = durability(server, waits_for_file=settings.waits_for_file)

    async def _told(self, *command: str) -> Mapping[str, Any]:
        """Return what the server tells of itself; nothing where that is forbidden."""
        try:
            answer: Mapping[str, Any] = await self._links.call(*command)
        except StoreUnavailable:
            raise
        except StoreError as error:
            if is_no_database(error):
                raise
            _LOG.info("%s: %s is refused: %s", self.url, command[0], error)
            return {}
        return answer

    async def _check_waits(self) -> None:
        try:
            await self._links.call("WAITAOF", 0, 0, 1)
        except StoreUnavailable:
            raise
        except StoreError as error:
            raise StoreMisconfigured(f"?wait=aof needs Redis 7.2 or Valkey: {error}") from error

    async def close(self) -> None:
        """Close the connections of the running loop."""
        await self._work.close()
        await self._links.close()

    def twin(self) -> RedisStore:
        """Return another store over the same server."""
        return RedisStore(self._given)

    async def now(self) -> float:
        """Return the server's clock."""
        seconds, micros = await self._links.call("TIME")
        return int(seconds) + int(micros) / 1_000_000

    # -- coming in

    async def enqueue(
        self, jobs: Sequence[tuple[NewJob, Sequence[NewChunk]]], *, connection: Any = None
    ) -> list[Enqueued]:
        """Store whole jobs, together with those of other callers of this moment.

        The server does nothing else meanwhile: of millions of items, make an upload.
        """
        if connection is not None:
            raise NotSupported(
                "a redis store has no transactions to be part of: enqueue after your commit, under a unique "
                "key so that a repeat is harmless, or use a postgresql:// or sqlite:// store"
            )
        return await self._links.here().grouping.enqueue(jobs)

    async def begin(self, job: NewJob) -> Enqueued:
        """Store a job for an upload."""
        (found,) = enqueued_from(
            await self._links.run("enqueue", *packed_jobs([(job, ())], is_receiving=True))
        )
        return found

    async def add(self, job: str, chunks: Sequence[NewChunk], *, refused: Sequence[NewResult] = ()) -> None:
        """Store more items of an upload."""
        for start in range(0, max(1, len(chunks)), AT_ONCE):  # nobody sees a part of them before the commit
            told = refused if start + AT_ONCE >= len(chunks) else ()
            some = chunks[start : start + AT_ONCE]
            if not await self._links.run("add", job, *packed_chunks(some, told)):
                raise JobNotFound(f"there is no job {job} that receives items")

    async def commit(self, job: str) -> None:
        """Let the items of an upload run."""
        if not await self._links.here().run_acknowledged("commit", job):
            raise JobNotFound(f"there is no job {job} that receives items")

    async def abort(self, job: str) -> None:
        """Remove an upload."""
        await self._jobs.abort(job)

    # -- workers

    async def claim(
        self, queue: str, *, worker: str, max_items: int, max_bytes: int, seconds: float
    ) -> Claim | Idle:
        """Lease due chunks; a claim whose caller is cancelled is given back."""
        return await self._work.claim(
            queue, worker=worker, max_items=max_items, max_bytes=max_bytes, seconds=seconds
        )

    async def renew(self, leases: Sequence[int], seconds: float) -> set[int]:
        """Extend leases."""
        return await self._work.renew(leases, seconds)

    async def settle(self, settlement: Settlement) -> Settled:
        """Record all that became of a claim."""
        return await self._work.settle(settlement)

    async def release(self, lease: int) -> bool:
        """Give chunks back as they were."""
        return await self._work.release(lease)

    async def take_over(self, *, worker: str, seconds: float) -> Claim | None:
        """Turn a lease that died into one of the caller's."""
        return await self._work.take_over(worker=worker, seconds=seconds)

    async def wait(self, queues: Sequence[str], seconds: float) -> None:
        """Return when something may have become due, or after *seconds*."""
        await self._links.here().bell.wait(queues, seconds)

    @asynccontextmanager
    async def transaction(self, claim: Claim) -> AsyncIterator[Transaction]:  # noqa: ARG002 - refused
        """Refuse: a handler's own writes cannot be part of a script."""
        raise NotSupported(
            "a redis store has no transactions to share with a handler: make its effects idempotent by the "
            "item's place in its job, or use a postgresql:// or sqlite:// store"
        )
        yield  # type: ignore[unreachable]  # it makes this a generator

    # -- jobs

    async def job(self, job: str) -> Job | None:
        """Return a job as it stands."""
        return await self._jobs.job(job)

    async def ids(self, job: str) -> list[str | None]:
        """Return the caller's ids."""
        return await self._jobs.ids(job)

    async def jobs(
        self,
        *,
        queue: str | None = None,
        state: JobState | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> JobPage:
        """Return jobs, newest first."""
        return await self._jobs.page(queue=queue, state=state, cursor=cursor, limit=limit)

    async def results(
        self, job: str, *, after: int = 0, kind: ResultKind | None = None, limit: int = 100
    ) -> list[Result]:
        """Return results in the order of settling."""
        return await self._jobs.results(job, after=after, kind=kind, limit=limit)

    async def results_between(self, job: str, first: int, last: int) -> list[Result]:
        """Return the results that hold any of some places."""
        return await self._jobs.results_between(job, first, last)

    async def unprocessed(self, job: str, *, after: int = 0, limit: int = 100) -> list[Chunk]:
        """Return chunks that no batch has taken."""
        return await self._jobs.unprocessed(job, after=after, limit=limit)

    async def cancel(self, job: str) -> bool:
        """Cancel what of a job is not running."""
        return await self._jobs.cancel(job)

    async def cancel_items(self, job: str, places: Sequence[int]) -> int:
        """Cancel single items that are not running."""
        return await self._jobs.cancel_items(job, places)

    async def delete(self, job: str) -> bool:
        """Remove a final job."""
        return await self._jobs.delete(job)

    # -- dead items

    async def dead(self, which: DeadFilter) -> list[DeadGroup]:
        """Return dead items by queue and code."""
        return await self._dead.groups(which)

    async def redrive(self, which: DeadFilter, *, limit: int = 1_000_000) -> int:
        """Let dead items run again."""
        return await self._dead.redrive(which, limit=limit)

    # -- queues

    async def queues(self) -> list[QueueStatus]:
        """Return how every queue stands."""
        return await self._queues.statuses()

    async def limit(self, queue: str, limits: QueueLimits) -> None:
        """Set limits."""
        await self._queues.limit(queue, limits)

    async def pause(self, queue: str) -> None:
        """Claim nothing from *queue*."""
        await self._queues.pause(queue, is_paused=True)

    async def resume(self, queue: str) -> None:
        """Claim from *queue* again."""
        await self._queues.pause(queue, is_paused=False)

    # -- housekeeping

    async def hindrances(self) -> list[Hindrance]:
        """Return whether memory is nearly full, if there is a limit and the server tells of it."""
        try:
            found = memory_from(await self._links.call("INFO", "memory"))
        except StoreUnavailable:
            raise
        except StoreError:  # forbidden, as by some managed servers
            return []
        return [] if found.is_roomy else [Hindrance(who="memory", text=f"{self.url} {found}")]

    async def prune(self, queue: str, *, older_than: float, limit: int = 1000) -> int:
        """Delete old jobs and uploads; keys and settled leases go by themselves."""
        return await self._jobs.prune(queue, older_than=older_than, limit=limit)
