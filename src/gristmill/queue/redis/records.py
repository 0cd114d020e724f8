"""What goes over the wire: jobs, chunks and results, as the scripts take and give them.

Rows of chunks are MessagePack, which the scripts read; bodies travel beside them and nobody looks into them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from gristmill.model.chunk import Chunk, NewChunk, runs_from_text, runs_to_text
from gristmill.model.job import Enqueued, Job, JobCounts, NewJob, state_of
from gristmill.model.lease import NewResult, Result, Settlement, kind_from

pack = msgspec.msgpack.encode

JOB_FIELDS = (
    "queue", "number", "priority", "created_at", "due_at", "finished_at", "is_receiving", "is_cancelled",
    "total", "running", "succeeded", "failed", "cancelled",
)  # fmt: skip
"""Fields of a job's hash, in the order ``job_from`` takes their values."""


class ChunkRow(msgspec.Struct, array_like=True, frozen=True):
    """A chunk's row: ``FIELDS`` in ``tables.lua``. False stands for None."""

    queue: str
    job: str
    places: str
    items: int
    size: int
    key: str | bool
    line: int
    attempt: int
    crashes: int
    priority: int
    due_at: float
    keep: bool
    code: str | bool
    error: str | bool
    dead_at: float | bool


_ROWS = msgspec.msgpack.Decoder(ChunkRow)


def id_text(number: int) -> str:
    """Return an id as it is stored: 16 digits, so that text sorts as numbers do."""
    return f"{number:016d}"


def row_from(row: bytes) -> ChunkRow:
    """Return a chunk's row."""
    return _ROWS.decode(row)


def chunks_from(reply: Sequence[bytes]) -> Iterator[Chunk]:
    """Yield the chunks of a reply of ids, rows and bodies."""
    for at in range(0, len(reply), 3):
        yield _chunk_from(int(reply[at]), row_from(reply[at + 1]), reply[at + 2])


def _chunk_from(number: int, row: ChunkRow, body: bytes) -> Chunk:
    return Chunk(
        id=number,
        queue=row.queue,
        job=row.job,
        places=runs_from_text(row.places),
        items=row.items,
        body=body,
        key=row.key if isinstance(row.key, str) else None,
        line=row.line,
        attempt=row.attempt,
        crashes=row.crashes,
        keep_results=row.keep,
    )


def packed_jobs(
    jobs: Sequence[tuple[NewJob, Sequence[NewChunk]]], *, is_receiving: bool = False
) -> list[bytes]:
    """Return the arguments of ``enqueue.lua``."""
    rows = [_job_values(job, chunks, is_receiving=is_receiving) for job, chunks in jobs]
    return [pack(rows), *(chunk.body for _, chunks in jobs for chunk in chunks)]


def _job_values(job: NewJob, chunks: Sequence[NewChunk], *, is_receiving: bool) -> tuple[Any, ...]:
    unique = job.unique
    return (
        job.id,
        job.priority,
        job.queue,
        job.delay,
        _or_false(job.run_at),
        job.keep_results,
        is_receiving,
        False if unique is None else unique.key,
        False if unique is None else _or_false(unique.seconds),
        False if unique is None else _or_false(unique.fingerprint),
        False if job.ids is None else job.ids.decode(),
        [_chunk_values(chunk) for chunk in chunks],
    )


def _chunk_values(chunk: NewChunk) -> tuple[Any, ...]:
    return (
        runs_to_text(chunk.places),
        chunk.items,
        _or_false(chunk.key),
        chunk.line,
        chunk.attempt,
        chunk.crashes,
        chunk.delay,
        _or_false(chunk.code),
        _or_false(chunk.error),
    )


def _or_false(value: Any) -> Any:
    """Return *value*, False for None: a Lua table has no place for nothing."""
    return False if value is None else value


def packed_chunks(chunks: Sequence[NewChunk], refused: Sequence[NewResult]) -> list[bytes]:
    """Return the arguments of ``add.lua`` behind the job."""
    head = ([_chunk_values(chunk) for chunk in chunks], [_result_values(result) for result in refused])
    kept = (_stored(result, result.body) for result in refused if result.body is not None)
    return [pack(head), *(chunk.body for chunk in chunks), *kept]


def packed_settlement(settlement: Settlement) -> list[bytes]:
    """Return the arguments of ``settle.lua``."""
    head = (
        id_text(settlement.lease),
        [(chunk.job, *_chunk_values(chunk)) for chunk in settlement.chunks],
        [_result_values(result) for result in settlement.results],
    )
    bodies = (chunk.body for chunk in settlement.chunks)
    kept = (_stored(result, result.body) for result in settlement.results if result.body is not None)
    return [pack(head), *bodies, *kept]


def _result_values(result: NewResult) -> tuple[Any, ...]:
    places = runs_to_text(result.places)
    return (result.job, result.kind.value, result.items, places, result.body is not None)


def _stored(result: NewResult, body: bytes) -> bytes:
    return f"{result.items} {result.kind.value} {runs_to_text(result.places)}\n".encode() + body


def results_from(reply: Sequence[bytes]) -> list[Result]:
    """Return the results of a reply of numbers and values."""
    return [_result_from(int(reply[at]), reply[at + 1]) for at in range(0, len(reply), 2)]


def _result_from(number: int, value: bytes) -> Result:
    head, _, body = value.partition(b"\n")
    items, kind, places = head.split(b" ")
    return Result(
        number=number,
        kind=kind_from(kind.decode()),
        places=runs_from_text(places),
        items=int(items),
        body=body,
    )


def enqueued_from(reply: Sequence[Any]) -> list[Enqueued]:
    """Return what became of each job, from the reply of ``enqueue.lua``."""
    return [
        Enqueued(job=reply[at + 2].decode(), created=bool(reply[at]), matches=bool(reply[at + 1]))
        for at in range(0, len(reply), 3)
    ]


def job_from(job: str, values: Sequence[bytes | None]) -> Job | None:
    """Return a job of the values of ``JOB_FIELDS``; None where there is none."""
    queue, _, priority, created_at, due_at, finished_at, is_receiving, is_cancelled, *numbers = values
    if queue is None:
        return None
    total, running, succeeded, failed, cancelled = (int(number or 0) for number in numbers)
    counts = JobCounts(
        total=total,
        queued=total - running - succeeded - failed - cancelled,
        running=running,
        succeeded=succeeded,
        failed=failed,
        cancelled=cancelled,
    )
    return Job(
        id=job,
        queue=queue.decode(),
        state=state_of(counts, is_receiving=is_receiving is not None, is_cancelled=is_cancelled is not None),
        counts=counts,
        priority=int(priority or 0),
        created_at=float(created_at or 0),
        due_at=float(due_at or 0),
        finished_at=None if finished_at is None else float(finished_at),
    )
