from __future__ import annotations

from gristmill.streams.checkpoint import Checkpoint, Progress
from gristmill.streams.chunk import Chunk, Counts


def chunk(number: int, key: str) -> Chunk:
    return Chunk(number=number, source=0, start=10 * number, end=10 * number + 10, key=key)


def test_the_key_of_a_checkpoint_is_that_of_the_last_chunk_without_a_gap_before_it() -> None:
    progress = Progress(Checkpoint())
    progress.add(chunk(0, "a"), Counts(read=10), {})
    progress.add(chunk(2, "c"), Counts(read=10), {})

    found = progress.checkpoint(out=0, dead=0)

    assert (found.offset, found.key) == (10, "a")
    assert [(each.end, each.key) for each in found.done] == [(10, "a"), (30, "c")]
    progress = Progress(found)
    progress.add(chunk(1, "b"), Counts(read=10), {})
    assert progress.checkpoint(out=0, dead=0).key == "c"
