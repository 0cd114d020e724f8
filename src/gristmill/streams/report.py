"""What a run has done so far: counters, speed, and what it waited for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from gristmill.streams.chunk import Chunk, Counts, Result


class Stalls:
    """Seconds that the driver waited, by what it waited for.

    ``workers``: they compute. ``order``: results are there, and an earlier
    one is not. ``sink``: writing and committing. ``source``: reading and
    cutting. The rest is the driver's own work.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.seconds = dict.fromkeys(("workers", "order", "sink", "source"), 0.0)

    @contextmanager
    def waiting(self, reason: str) -> Iterator[None]:
        """Count the time of the block to *reason*."""
        began = self._clock()
        try:
            yield
        finally:
            self.seconds[reason] += self._clock() - began

    @property
    def most(self) -> str:
        """What was waited for most."""
        return max(self.seconds, key=self.seconds.__getitem__)


@dataclass(slots=True, kw_only=True)
class Report:
    """What a run has done so far; the numbers of a resumed run include those before.

    Attributes:
        total: Weight of all there is to do, in bytes of the inputs as they lie; None if nobody knows.
        counts: What became of the rows that are written.
        stalls: What was waited for.
        start: Weight that was done before this process began.
        weight: Weight that is written.
        committed: Weight that is committed.
        rows: Rows written by this process.
        deaths: Workers that died.
        batch_size: Rows of the last handler call.
        batches: Handler calls of this process.
        seconds: Spent in them.
        is_done: The output is in its place.
        was_done: It was so before this process began.
        codes: code of failures -> how many.
    """

    total: int | None
    counts: Counts
    stalls: Stalls
    start: int = 0
    weight: int = 0
    committed: int = 0
    rows: int = 0
    deaths: int = 0
    batch_size: int = 0
    batches: int = 0
    seconds: float = 0.0
    is_done: bool = False
    was_done: bool = False
    codes: dict[str, int] = field(default_factory=dict)

    def seen(self, result: Result) -> None:
        """Count the work of a chunk."""
        self.batches += result.batches
        self.seconds += result.seconds
        self.rows += result.counts.read
        if result.batch_size:
            self.batch_size = result.batch_size

    def written(self, chunk: Chunk) -> None:
        """Count a chunk that is written."""
        self.weight += chunk.weight

    def commit(self) -> None:
        """What is written is committed."""
        self.committed = self.weight
