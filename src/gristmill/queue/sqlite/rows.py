"""Rows of jobs and chunks: written by one piece of code, and read by one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

import apsw
import msgspec

from gristmill.model.chunk import Chunk, NewChunk, Runs, runs_from_text, runs_to_text
from gristmill.model.job import rank_of
from gristmill.model.lease import AGAIN, NewResult, ResultKind
from gristmill.queue.sqlite.session import Session
from gristmill.queue.sqlite.statements import statement

_INSERT = statement("chunk_insert")
_INSERT_KEYED = statement("chunk_insert_keyed")
_UNBLOCK = statement("chunk_unblock")
_OF_LEASE = statement("lease_chunks")
_RESULT = statement("result_insert")
_COUNT = statement("job_count")
_FREE = statement("unique_free")

RECEIVING, READY, DEAD = "receiving", "ready", "dead"


class JobRow(NamedTuple):
    """What new chunks take from their job."""

    number: int
    queue: str
    priority: int


def put(
    session: Session, job: JobRow, chunks: Iterable[NewChunk], *, due_at: float, state: str = READY
) -> None:
    """Store *chunks* of *job*, due at *due_at* and their delay; dead ones as dead."""
    for is_keyed, group in groupby(chunks, key=_is_keyed):
        rows = (row_of(session, job, chunk, due_at=due_at, state=state) for chunk in group)
        session.connection.executemany(_INSERT_KEYED if is_keyed else _INSERT, rows)


def _is_keyed(chunk: NewChunk) -> bool:
    return chunk.key is not None


def row_of(session: Session, job: JobRow, chunk: NewChunk, *, due_at: float, state: str) -> tuple[Any, ...]:
    """Return what is bound to store *chunk*; its key, if it has one, and its body come last."""
    is_dead = chunk.code is not None
    return (
        job.number,
        job.queue,
        job.priority,
        rank_of(due_at + chunk.delay, job.priority),
        DEAD if is_dead else state,
        chunk.line,
        runs_to_text(chunk.places),
        chunk.items,
        len(chunk.body),
        chunk.attempt,
        chunk.crashes,
        chunk.code,
        chunk.error,
        session.now if is_dead else None,
        *(() if chunk.key is None else (chunk.key,)),
        chunk.body,
    )


def unblock(session: Session, keys: Iterable[tuple[str, str]]) -> None:
    """Let the next chunk of each (queue, ordering key) run, if none of it can."""
    for queue, key in keys:
        session.connection.execute(_UNBLOCK, {"queue": queue, "key": key})


def chunk_of(row: tuple[Any, ...]) -> Chunk:
    """Return what a statement of chunks returned as workers see it."""
    identity, queue, job, places, items, body, key, line, attempt, crashes, keep_results = row
    return Chunk(
        id=identity,
        queue=queue,
        job=job,
        places=runs_from_text(places),
        items=items,
        body=body,
        key=key,
        line=line,
        attempt=attempt,
        crashes=crashes,
        keep_results=bool(keep_results),
    )


def chunks_of_lease(connection: apsw.Connection, lease: int) -> tuple[Chunk, ...]:
    """Return the chunks of *lease*, in the order in which they were claimed."""
    return tuple(map(chunk_of, connection.execute(_OF_LEASE, (lease,))))


class Outcomes:
    """Final outcomes that a transaction records, counted once for each job."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._rows: list[tuple[Any, ...]] = []
        self._counts: dict[int, list[int]] = {}

    def of(self, job: int) -> list[int]:
        """Return the new (succeeded, failed, cancelled) items of *job*: it is touched."""
        return self._counts.setdefault(job, [0, 0, 0])

    def add(self, job: int, result: NewResult) -> None:
        """Record *result* of *job*, by its number."""
        self.of(job)[_POSITIONS[result.kind]] += result.items
        if result.body is None:
            return
        first, last = span(result.places)
        text = runs_to_text(result.places)
        self._rows.append((job, result.kind.value, result.items, first, last, text, result.body))

    def cancel(self, job: int, places: Runs, items: int) -> None:
        """Record items of *job* as cancelled."""
        self.add(job, NewResult(job="", kind=ResultKind.CANCELLED, places=places, items=items, body=b"[]"))

    def take_back(self, job: int, places: Runs, items: int) -> None:
        """Count failed *items* of *job* as queued again."""
        self.of(job)[_POSITIONS[ResultKind.FAILED]] -= items
        self._rows.append((job, AGAIN, items, *span(places), runs_to_text(places), b"[]"))

    def write(self) -> None:
        """Store what was added; jobs that are final now free their unique keys."""
        connection, now = self._session.connection, self._session.now
        if self._rows:
            connection.executemany(_RESULT, self._rows)
        counts = [(*new, now, job) for job, new in self._counts.items()]
        final = [
            (queue, key, number)
            for queue, key, number, finished_at in connection.executemany(_COUNT, counts)
            if key is not None and finished_at is not None
        ]
        if final:
            connection.executemany(_FREE, final)


_POSITIONS = {ResultKind.SUCCEEDED: 0, ResultKind.FAILED: 1, ResultKind.CANCELLED: 2}


def span(places: Runs) -> tuple[int, int]:
    """Return the lowest and the highest of *places*."""
    return min(first for first, _ in places), max(first + count - 1 for first, count in places)


def ids_text(numbers: Collection[int]) -> str:
    """Return *numbers* as the JSON array that statements unpack with ``json_each``."""
    return msgspec.json.encode(numbers).decode()


def keys_of(rows: Iterable[tuple[str, str | None]]) -> Iterator[tuple[str, str]]:
    """Yield those of (queue, key) that have a key."""
    return ((queue, key) for queue, key in rows if key is not None)
