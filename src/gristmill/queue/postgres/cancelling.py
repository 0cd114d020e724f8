"""Cancelling single items: whole chunks of them go, others are thinned out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gristmill.model.chunk import (
    Chunk,
    NewChunk,
    Runs,
    each_place,
    pick,
    runs_from_text,
    runs_of,
    runs_to_text,
)
from gristmill.queue.postgres.columns import chunk_of, key_bytes
from gristmill.queue.postgres.connections import Session


@dataclass(slots=True)
class Thinning:
    """What becomes of the chunks that hold items to be cancelled.

    Attributes:
        emptied: Chunks without any other item.
        kept: The others, by their ids.
        gone: Places of the items that are cancelled, one entry a chunk.
    """

    emptied: list[Chunk] = field(default_factory=list)
    kept: dict[int, NewChunk] = field(default_factory=dict)
    gone: list[Runs] = field(default_factory=list)

    @property
    def items(self) -> int:
        """How many are cancelled."""
        return sum(count for runs in self.gone for _, count in runs)


def thin(chunks: Sequence[Chunk], wanted: set[int]) -> Thinning:
    """Return what becomes of *chunks* without the items at the places *wanted*."""
    found = Thinning()
    for chunk in chunks:
        here = list(each_place(chunk.places))
        gone = [place for place in here if place in wanted]
        if not gone:
            continue
        found.gone.append(runs_of(gone))
        kept = [index for index, place in enumerate(here) if place not in wanted]
        if kept:
            found.kept[chunk.id] = pick(chunk, kept)
        else:
            found.emptied.append(chunk)
    return found


async def cancel_items(session: Session, job: str, places: Sequence[int]) -> tuple[int, str | None]:
    """Cancel those of the items of *job* at *places* that wait, in an open transaction.

    Returns:
        How many were; and the queue, if others became ready by it.
    """
    queue = await session.value("lock_job", job)
    if queue is None:
        return 0, None
    wanted = set(places)
    rows = [
        row
        for row in await session.fetch("waiting_places", job)
        if any(place in wanted for place in each_place(runs_from_text(row["places"])))
    ]
    keys = sorted({row["key"] for row in rows if row["key"] is not None})
    if keys:
        await session.fetch("lock_keys", queue, keys)
    locked = await session.fetch("lock_chunks", [row["id"] for row in rows])
    thinning = thin([chunk_of(row, queue) for row in locked], wanted)
    if not thinning.gone:
        return 0, None
    await _write(session, job, thinning)
    freed = sorted({key_bytes(chunk.key) or b"" for chunk in thinning.emptied if chunk.key is not None})
    is_ready = bool(freed) and await session.value("unblock", queue, freed)
    return thinning.items, queue if is_ready else None


async def _write(session: Session, job: str, thinning: Thinning) -> None:
    kept = thinning.kept
    if kept:
        await session.fetch(
            "thin_out",
            list(kept),
            [runs_to_text(chunk.places) for chunk in kept.values()],
            [chunk.items for chunk in kept.values()],
            [chunk.body for chunk in kept.values()],
        )
    await session.fetch(
        "cancel_items",
        job,
        [runs_to_text(runs) for runs in thinning.gone],
        [sum(count for _, count in runs) for runs in thinning.gone],
        [chunk.id for chunk in thinning.emptied],
    )
