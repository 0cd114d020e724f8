"""Storing jobs: unique keys, ordering keys, and what is known of ids that come a second time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from gristmill.errors import ConfigurationError, NotSupported, StoreUnavailable
from gristmill.model.chunk import NewChunk
from gristmill.model.job import Enqueued, NewJob, Unique
from gristmill.queue.postgres.columns import chunk_columns, followers, job_columns, key_bytes
from gristmill.queue.postgres.connections import Session
from gristmill.queue.postgres.failures import translated
from gristmill.queue.postgres.statements import statements
from gristmill.queue.store import ABANDONED

JobChunks: TypeAlias = tuple[NewJob, Sequence[NewChunk]]
Holding: TypeAlias = tuple[str, bytes]

SLICE_BYTES = 8 << 20
SLICE_CHUNKS = 1000
"""What one command carries at the most, but for a single larger chunk."""

_TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """Jobs that are stored together or not at all; *is_receiving* for an upload."""

    jobs: Sequence[JobChunks]
    is_receiving: bool = False

    @property
    def size(self) -> int:
        """Bytes of all bodies and ids."""
        ids = sum(len(job.ids) for job, _ in self.jobs if job.ids is not None)
        return ids + sum(len(chunk.body) for _, chunks in self.jobs for chunk in chunks)

    @property
    def has_keys(self) -> bool:
        """Whether any chunk has an ordering key."""
        return any(chunk.key is not None for _, chunks in self.jobs for chunk in chunks)

    @property
    def is_plain(self) -> bool:
        """Whether nothing needs to be looked up: no keys of either kind."""
        return not self.has_keys and all(job.unique is None for job, _ in self.jobs)

    @property
    def queues(self) -> set[str]:
        """Queues in which there may be something to claim after it."""
        return set() if self.is_receiving else {job.queue for job, chunks in self.jobs if chunks}


async def store_jobs(session: Session, submission: Submission) -> list[Enqueued]:
    """Store what is new of *submission* in an open transaction; return one answer a job, in their order."""
    found: list[Enqueued] = []
    for jobs in rounds(submission.jobs):
        found += await _store_round(session, jobs, is_receiving=submission.is_receiving)
    return found


async def store_in(connection: Any, submission: Submission, schema: str) -> list[Enqueued]:
    """Store *submission* in the open transaction of a *connection* of the caller's.

    Raises:
        ConfigurationError: No transaction is open.
        NotSupported: It is no connection of asyncpg, or its transaction cannot see what others have committed
            to the same ordering key.
    """
    if not hasattr(connection, "is_in_transaction"):
        raise NotSupported(f"connection must be an asyncpg.Connection, not a {type(connection).__name__}")
    if not connection.is_in_transaction():
        raise ConfigurationError("begin a transaction on the connection first: the jobs become part of it")
    session = Session(connection, statements(schema))
    if submission.has_keys and await session.value("isolation") != "read committed":
        raise NotSupported("jobs with an ordering key need a transaction at the level read committed")
    with translated():
        async with _savepoint(connection):  # an error here leaves the caller's work as it is
            return await store_jobs(session, submission)


@asynccontextmanager
async def _savepoint(connection: Any) -> AsyncIterator[None]:
    """Nest a transaction, also in one that a plain ``BEGIN`` began, where the driver refuses to."""
    await connection.execute("SAVEPOINT gristmill")
    try:
        yield
    except BaseException:
        await connection.execute("ROLLBACK TO SAVEPOINT gristmill; RELEASE SAVEPOINT gristmill")
        raise
    await connection.execute("RELEASE SAVEPOINT gristmill")


async def _store_round(session: Session, jobs: Sequence[JobChunks], *, is_receiving: bool) -> list[Enqueued]:
    rows = await session.fetch("known_jobs", [job.id for job, _ in jobs])
    known = {row["id"] for row in rows}
    answers = {job.id: Enqueued(job=job.id, created=False) for job, _ in jobs if job.id in known}
    fresh = [(job, chunks) for job, chunks in jobs if job.id not in known]
    await _lock_keys(session, fresh)
    answers |= await _hold_unique(session, [job for job, _ in fresh])
    fresh = [(job, chunks) for job, chunks in fresh if job.id not in answers]
    for values in slices(fresh, is_receiving=is_receiving):
        await session.fetch("enqueue", *values)
    final = [job.id for job, chunks in fresh if job.unique is not None and not chunks and not is_receiving]
    if final:
        await session.fetch("free_unique", final)
    return [answers.get(job.id) or Enqueued(job=job.id, created=True) for job, _ in jobs]


async def _lock_keys(session: Session, jobs: Sequence[JobChunks]) -> None:
    """Hold ordering keys until the commit: another call that stores the same key waits, and sees ours."""
    keys: dict[str, set[bytes | None]] = {}
    for job, chunks in jobs:
        keys.setdefault(job.queue, set()).update(key_bytes(chunk.key) for chunk in chunks)
    for queue in sorted(keys):
        held = keys[queue] - {None}
        if held:
            await session.fetch("lock_keys", queue, list(held))


async def _hold_unique(session: Session, jobs: Sequence[NewJob]) -> dict[str, Enqueued]:
    """Take the unique keys of *jobs*; return the answers of those that found theirs held."""
    wanted = {_holding(job.queue, job.unique): (job.id, job.unique) for job in jobs if job.unique is not None}
    answers: dict[str, Enqueued] = {}
    for _ in range(_TRIES):
        if not wanted:
            return answers
        order = sorted(wanted)
        rows = await session.fetch(
            "hold_unique",
            [queue for queue, _ in order],
            [key for _, key in order],
            [wanted[each][0] for each in order],
            [wanted[each][1].seconds for each in order],
            [key_bytes(wanted[each][1].fingerprint) for each in order],
        )
        won = {row["job"] for row in rows}
        wanted = {each: asked for each, asked in wanted.items() if asked[0] not in won}
        if not wanted:
            return answers
        rows = await session.fetch(
            "unique_holders", [queue for queue, _ in wanted], [key for _, key in wanted], ABANDONED
        )
        abandoned = [row["job"] for row in rows if row["is_abandoned"]]
        if abandoned and await session.value("abandon_uploads", ABANDONED, len(abandoned), abandoned):
            continue  # their keys are free
        for row in rows:
            job, unique = wanted.pop((row["queue"], row["key"]))
            matches = unique.fingerprint is None or key_bytes(unique.fingerprint) == row["fingerprint"]
            answers[job] = Enqueued(job=row["job"], created=False, matches=matches)
    raise StoreUnavailable("a unique key changed hands too often to be answered; try again")


def _holding(queue: str, unique: Unique) -> Holding:
    return queue, key_bytes(unique.key) or b""


def rounds(jobs: Sequence[JobChunks]) -> Iterator[list[JobChunks]]:
    """Yield *jobs* in their order, in lists in which no id and no unique key comes twice."""
    held: list[JobChunks] = []
    seen: set[object] = set()
    for job, chunks in jobs:
        names: set[object] = {job.id}
        if job.unique is not None:
            names.add(_holding(job.queue, job.unique))
        if names & seen:
            yield held
            held, seen = [], set()
        held.append((job, chunks))
        seen |= names
    if held:
        yield held


def slices(jobs: Sequence[JobChunks], *, is_receiving: bool = False) -> Iterator[tuple[object, ...]]:
    """Yield the values for ``enqueue.sql``, call by call: the jobs in the first one, chunks in all."""
    if not jobs:
        return
    columns = job_columns(
        [(job, sum(chunk.items for chunk in chunks)) for job, chunks in jobs], is_receiving=is_receiving
    )
    for part in _parts([(job, chunk) for job, chunks in jobs for chunk in chunks]):
        # A key's earlier chunks of another slice are found in the table.
        follows = followers(None if chunk.key is None else (job.queue, chunk.key) for job, chunk in part)
        yield (*columns, *chunk_columns(part, follows))
        columns = job_columns([], is_receiving=is_receiving)


def _parts(chunks: Sequence[tuple[NewJob, NewChunk]]) -> Iterator[Sequence[tuple[NewJob, NewChunk]]]:
    start = size = 0
    for place, (_, chunk) in enumerate(chunks):
        if place > start and (size + len(chunk.body) > SLICE_BYTES or place - start >= SLICE_CHUNKS):
            yield chunks[start:place]
            start, size = place, 0
        size += len(chunk.body)
    yield chunks[start:]
