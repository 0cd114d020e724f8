"""From jobs, chunks and settlements to arrays, one a column, that statements unnest; and from rows back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from gristmill.model.chunk import Chunk, NewChunk, runs_from_text, runs_to_text
from gristmill.model.job import Job, JobCounts, NewJob, state_of
from gristmill.model.lease import NewResult, Result, Settlement, kind_from

Columns: TypeAlias = tuple[Sequence[Any], ...]


def key_bytes(key: str | None) -> bytes | None:
    """Return *key* for a bytea: text of PostgreSQL holds no NUL and no lone surrogate, a key may."""
    return None if key is None else key.encode("utf-8", "surrogatepass")


def key_text(key: bytes | None) -> str | None:
    """Return what ``key_bytes`` took."""
    return None if key is None else key.decode("utf-8", "surrogatepass")


def plain(text: str | None) -> str | None:
    """Return *text* with a replacement character for what text of PostgreSQL cannot hold."""
    if text is None:
        return None
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode() if not _is_plain(text) else text


def _is_plain(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def job_columns(jobs: Sequence[tuple[NewJob, int]], *, is_receiving: bool) -> Columns:
    """Return the columns of *jobs* and how many items they have, as ``enqueue.sql`` numbers them."""
    return (
        [job.id for job, _ in jobs],
        [job.queue for job, _ in jobs],
        [job.priority for job, _ in jobs],
        [0.0 if job.run_at is not None else job.delay for job, _ in jobs],
        [job.run_at for job, _ in jobs],
        [job.keep_results for job, _ in jobs],
        [None if job.unique is None else key_bytes(job.unique.key) for job, _ in jobs],
        [items for _, items in jobs],
        [is_receiving] * len(jobs),
        [job.ids for job, _ in jobs],
    )


def chunk_columns(chunks: Sequence[tuple[NewJob, NewChunk]], follows: Sequence[bool]) -> Columns:
    """Return the columns of *chunks* and their jobs, as ``enqueue.sql`` numbers them."""
    return (
        [chunk.job for _, chunk in chunks],
        [job.queue for job, _ in chunks],
        [job.priority for job, _ in chunks],
        [chunk.delay if job.run_at is not None else job.delay + chunk.delay for job, chunk in chunks],
        [None if job.run_at is None else job.run_at + chunk.delay for job, chunk in chunks],
        [job.keep_results for job, _ in chunks],
        [runs_to_text(chunk.places) for _, chunk in chunks],
        [chunk.items for _, chunk in chunks],
        [chunk.body for _, chunk in chunks],
        [key_bytes(chunk.key) for _, chunk in chunks],
        [chunk.line for _, chunk in chunks],
        [chunk.attempt for _, chunk in chunks],
        [chunk.crashes for _, chunk in chunks],
        [plain(chunk.code) for _, chunk in chunks],
        [plain(chunk.error) for _, chunk in chunks],
        follows,
    )


def upload_columns(chunks: Sequence[NewChunk]) -> Columns:
    """Return the columns of *chunks*, as ``add_chunks.sql`` numbers them from its third."""
    return (
        [runs_to_text(chunk.places) for chunk in chunks],
        [chunk.items for chunk in chunks],
        [chunk.body for chunk in chunks],
        [key_bytes(chunk.key) for chunk in chunks],
        [chunk.line for chunk in chunks],
        [chunk.attempt for chunk in chunks],
        [chunk.crashes for chunk in chunks],
        [chunk.delay for chunk in chunks],
        followers(chunk.key for chunk in chunks),
    )


def refused_columns(refused: Sequence[NewResult]) -> Columns:
    """Return the columns of results, as ``refuse.sql`` numbers them from its third."""
    return (
        [runs_to_text(result.places) for result in refused],
        [result.items for result in refused],
        [result.body for result in refused],
    )


def settlement_columns(settlement: Settlement) -> Columns:
    """Return the columns of *settlement*, as ``settle.sql`` numbers them from its second."""
    chunks, results = settlement.chunks, settlement.results
    return (
        [chunk.job for chunk in chunks],
        [runs_to_text(chunk.places) for chunk in chunks],
        [chunk.items for chunk in chunks],
        [chunk.body for chunk in chunks],
        [key_bytes(chunk.key) for chunk in chunks],
        [chunk.line for chunk in chunks],
        [chunk.attempt for chunk in chunks],
        [chunk.crashes for chunk in chunks],
        [chunk.delay for chunk in chunks],
        [plain(chunk.code) for chunk in chunks],
        [plain(chunk.error) for chunk in chunks],
        followers(chunk.key if chunk.code is None else None for chunk in chunks),
        [result.job for result in results],
        [result.kind.value for result in results],
        [runs_to_text(result.places) for result in results],
        [result.items for result in results],
        [result.body for result in results],
    )


def followers(keys: Iterable[object]) -> list[bool]:
    """Tell for each of *keys* whether the same one stands before it; None is no key.

    >>> followers(["a", None, "b", "a", None])
    [False, False, False, True, False]
    """
    seen: set[object] = {None}
    found = []
    for key in keys:
        found.append(key is not None and key in seen)
        seen.add(key)
    return found


def chunk_of(row: Any, queue: str) -> Chunk:
    """Return the chunk in *row*."""
    return Chunk(
        id=row["id"],
        queue=queue,
        job=row["job"],
        places=runs_from_text(row["places"]),
        items=row["items"],
        body=row["body"],
        key=key_text(row["key"]),
        line=row["line"],
        attempt=row["attempt"],
        crashes=row["crashes"],
        keep_results=row["keep_results"],
    )


def result_of(row: Any) -> Result:
    """Return the result in *row*."""
    return Result(
        number=row["number"],
        kind=kind_from(row["kind"]),
        places=runs_from_text(row["places"]),
        items=row["items"],
        body=row["body"],
    )


def job_of(row: Any) -> Job:
    """Return the job in *row*."""
    done = row["succeeded"] + row["failed"] + row["cancelled"]
    counts = JobCounts(
        total=row["total"],
        queued=row["total"] - done - row["running"],
        running=row["running"],
        succeeded=row["succeeded"],
        failed=row["failed"],
        cancelled=row["cancelled"],
    )
    return Job(
        id=row["id"],
        queue=row["queue"],
        state=state_of(counts, is_receiving=row["is_receiving"], is_cancelled=row["is_cancelled"]),
        counts=counts,
        priority=row["priority"],
        created_at=row["created_at"],
        due_at=row["due_at"],
        finished_at=row["finished_at"],
    )
