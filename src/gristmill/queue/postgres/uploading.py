"""Adding chunks to a job that is still receiving."""

from __future__ import annotations

from collections.abc import Sequence

from gristmill.errors import JobNotFound
from gristmill.model.chunk import NewChunk
from gristmill.model.lease import NewResult
from gristmill.queue.postgres.columns import key_bytes, refused_columns, upload_columns
from gristmill.queue.postgres.connections import Session


async def add_chunks(
    session: Session, job: str, chunks: Sequence[NewChunk], refused: Sequence[NewResult]
) -> None:
    """Store *chunks* of *job*, and results of items that are in none, in an open transaction.

    Raises:
        JobNotFound: It is not receiving.
    """
    queue = await session.value("lock_upload", job)
    if queue is None:
        raise not_receiving(job)
    keys = sorted({key_bytes(chunk.key) or b"" for chunk in chunks if chunk.key is not None})
    if keys:
        await session.fetch("lock_keys", queue, keys)
    await session.fetch("add_chunks", job, sum(chunk.items for chunk in chunks), *upload_columns(chunks))
    if refused:
        await session.fetch("refuse", job, sum(result.items for result in refused), *refused_columns(refused))


def not_receiving(job: str) -> JobNotFound:
    """Return the error for a job that takes no items, or no more."""
    return JobNotFound(f"there is no job {job} that receives items")
