"""The rows of the store in memory, and what is derived from them. No locks, no waiting."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from gristmill.model.chunk import Chunk, NewChunk, Runs
from gristmill.model.job import Job, JobCounts, NewJob, rank_of, state_of
from gristmill.model.lease import NewResult, Result, ResultKind
from gristmill.model.queue import Bucket, QueueLimits
from gristmill.queue.store import ABANDONED


@dataclass(slots=True, kw_only=True)
class JobRow:
    """A job; running and queued items are counted from its chunks."""

    number: int
    new: NewJob
    created_at: float
    due_at: float
    is_receiving: bool = False
    is_cancelled: bool = False
    finished_at: float | None = None
    total: int = 0
    done: dict[ResultKind, int] = field(default_factory=lambda: dict.fromkeys(ResultKind, 0))
    touched_at: float = 0.0

    def is_abandoned(self, now: float) -> bool:
        """Whether it is an upload of which nothing was heard for too long."""
        return self.is_receiving and self.touched_at < now - ABANDONED


@dataclass(slots=True, kw_only=True)
class ChunkRow:
    """A chunk; ``lease``, ``is_dead`` and ``is_blocked`` say why nobody may claim it."""

    id: int
    queue: str
    priority: int
    due_at: float
    new: NewChunk
    lease: int | None = None
    is_blocked: bool = False
    dead_at: float | None = None

    @property
    def is_dead(self) -> bool:
        """Whether it only waits for a redrive."""
        return self.new.code is not None

    @property
    def is_live(self) -> bool:
        """Whether it waits to be claimed, now or later."""
        return self.lease is None and not self.is_dead

    @property
    def line(self) -> int:
        """Where it stands in the line of its key."""
        return self.new.line or self.id

    @property
    def rank(self) -> tuple[float, int]:
        """What due chunks are claimed in order of."""
        return rank_of(self.due_at, self.priority), self.id


@dataclass(slots=True, kw_only=True)
class LeaseRow:
    """A lease, or one that was settled and is remembered for a while."""

    queue: str
    worker: str
    expires_at: float
    settled_at: float | None = None


@dataclass(slots=True, kw_only=True)
class UniqueRow:
    """Who holds a unique key."""

    job: str
    until: float | None
    fingerprint: str | None


@dataclass(slots=True, kw_only=True)
class QueueRow:
    """Limits and what is left of them."""

    limits: QueueLimits = field(default_factory=QueueLimits)
    bucket: Bucket | None = None
    is_paused: bool = False


class Tables:
    """All rows."""

    def __init__(self) -> None:
        self.jobs: dict[str, JobRow] = {}
        self.chunks: dict[int, ChunkRow] = {}
        self.leases: dict[int, LeaseRow] = {}
        self.results: dict[str, list[Result]] = {}
        self.uniques: dict[tuple[str, str], UniqueRow] = {}
        self.queues: dict[str, QueueRow] = {}
        self.last = 0

    def next_id(self) -> int:
        """Return an id larger than all before."""
        self.last += 1
        return self.last

    def of_job(self, job: str) -> Iterator[ChunkRow]:
        """Yield the chunks of *job*, oldest first."""
        return (row for row in list(self.chunks.values()) if row.new.job == job)

    def of_lease(self, lease: int) -> list[ChunkRow]:
        """Return the chunks of *lease*, oldest first."""
        return [row for row in self.chunks.values() if row.lease == lease]

    def is_running(self, row: ChunkRow) -> bool:
        """Tell whether *row* is in a batch."""
        return row.lease is not None

    def counts(self, row: JobRow) -> JobCounts:
        """Return how many items of *row* are where."""
        running = sum(chunk.new.items for chunk in self.of_job(row.new.id) if self.is_running(chunk))
        done = sum(row.done.values())
        return JobCounts(
            total=row.total,
            queued=row.total - done - running,
            running=running,
            succeeded=row.done[ResultKind.SUCCEEDED],
            failed=row.done[ResultKind.FAILED],
            cancelled=row.done[ResultKind.CANCELLED],
        )

    def job(self, row: JobRow) -> Job:
        """Return *row* as callers see it."""
        counts = self.counts(row)
        state = state_of(counts, is_receiving=row.is_receiving, is_cancelled=row.is_cancelled)
        return Job(
            id=row.new.id,
            queue=row.new.queue,
            state=state,
            counts=counts,
            priority=row.new.priority,
            created_at=row.created_at,
            due_at=row.due_at,
            finished_at=row.finished_at,
        )

    def chunk(self, row: ChunkRow) -> Chunk:
        """Return *row* as workers see it."""
        new = row.new
        return Chunk(
            id=row.id,
            queue=row.queue,
            job=new.job,
            places=new.places,
            items=new.items,
            body=new.body,
            key=new.key,
            line=row.line,
            attempt=new.attempt,
            crashes=new.crashes,
            keep_results=self.jobs[new.job].new.keep_results,
        )

    def put(self, new: NewChunk, now: float, *, due_at: float | None = None) -> None:
        """Store *new*: behind the others of its key, if there are any."""
        job = self.jobs[new.job]
        row = ChunkRow(
            id=self.next_id(),
            queue=job.new.queue,
            priority=job.new.priority,
            due_at=now + new.delay if due_at is None else due_at,
            new=new,
            dead_at=None if new.code is None else now,
        )
        row.is_blocked = not row.is_dead and self.heads(row.queue, new.key)
        self.chunks[row.id] = row

    def heads(self, queue: str, key: str | None) -> bool:
        """Tell whether *key* has a chunk that is not blocked: the others wait for it."""
        return key is not None and any(
            not row.is_blocked and not row.is_dead and row.new.key == key and row.queue == queue
            for row in self.chunks.values()
        )

    def unblock(self, queue: str, key: str | None) -> None:
        """Let the next chunk of *key* run if none of it can."""
        if key is None or self.heads(queue, key):
            return
        line = [
            row
            for row in self.chunks.values()
            if row.is_blocked and row.new.key == key and row.queue == queue
        ]
        if line:
            min(line, key=lambda row: (row.line, row.id)).is_blocked = False

    def record(self, new: NewResult) -> None:
        """Count final outcomes, and keep them if there is something to keep."""
        self.jobs[new.job].done[new.kind] += new.items
        if new.body is None:
            return
        self._keep(new.job, new.kind, new.places, new.items, new.body)

    def _keep(self, job: str, kind: ResultKind | None, places: Runs, items: int, body: bytes) -> None:
        found = Result(number=self.next_id(), kind=kind, places=places, items=items, body=body)
        self.results.setdefault(job, []).append(found)

    def take_back(self, job: str, places: Runs, items: int) -> None:
        """Count failed items as queued again."""
        self.jobs[job].done[ResultKind.FAILED] -= items
        self._keep(job, None, places, items, b"[]")

    def cancelled(self, job: str, places: Runs, items: int) -> None:
        """Count items as cancelled."""
        self.record(NewResult(job=job, kind=ResultKind.CANCELLED, places=places, items=items, body=b"[]"))

    def touch(self, job: str, now: float) -> None:
        """Note it if *job* has become final, and free its unique key."""
        row = self.jobs[job]
        if row.is_receiving or sum(row.done.values()) < row.total:
            row.finished_at = None
            return
        if row.finished_at is None:
            row.finished_at = now
        unique = row.new.unique
        if unique is not None and unique.seconds is None:
            held = self.uniques.get((row.new.queue, unique.key))
            if held is not None and held.job == job:
                del self.uniques[row.new.queue, unique.key]
