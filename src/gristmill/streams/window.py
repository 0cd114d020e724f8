"""How many chunks may be under way, how large they are, and in which order they are written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from gristmill.streams.chunk import Chunk, Result

_GROWTH = 2
_BATCHES = 4
"""Batches that a chunk should have, so that few are cut short by its end."""
_MEMORY = 0.3
"""Weight of the latest chunk in what the sizer has learnt."""
_SHARES = 2
"""Chunks that each worker is to have of what is left: the last ones are small, so that all end together."""
_SHORTEST = 0.1
"""Seconds that a chunk should take even then: below, its fixed costs would show."""


class ChunkSizer:
    """Finds the size of chunks that take workers about as long as wanted.

    Slow handlers get small chunks, so that little is lost with a worker,
    progress is seen and all workers end together; fast ones get large ones.
    Towards the end of the input they shrink with what is left, which is
    guided self-scheduling (Polychronopoulos and Kuck, IEEE Transactions on
    Computers, 1987).

    Args:
        largest: Bytes at most.
        seconds: How long a chunk should take.
        smallest: Bytes at least.
        first: Bytes of the first chunk.
        most: Bytes of a chunk at most where the handler takes so many rows at once.
        workers: Who share what is left.

    Attributes:
        size: Bytes of a chunk, far from the end.
    """

    def __init__(
        self,
        largest: int,
        *,
        seconds: float = 1.0,
        smallest: int = 4 * 1024,
        first: int = 16 * 1024,
        most: int = 0,
        workers: int = 1,
    ) -> None:
        self._largest = largest
        self._most = max(largest, most)
        self._smallest = min(smallest, largest)
        self._seconds = seconds
        self._shares = _SHARES * max(1, workers)
        self._per_byte: float | None = None
        self._batch = 0
        self.size = min(first, largest)

    def next(self, left: int | None) -> int:
        """Return the bytes of the next chunk.

        Args:
            left: Bytes of the input that are in no chunk yet; None if nobody knows.
        """
        if left is None:
            return self.size
        shortest = self._smallest if self._per_byte is None else int(_SHORTEST / self._per_byte)
        return min(self.size, max(left // self._shares, shortest, self._batch, self._smallest))

    def record(self, size: int, seconds: float, *, rows: int = 0, batch: int = 0) -> None:
        """Learn that a chunk of *size* bytes took *seconds*.

        Args:
            size: Of the chunk.
            seconds: From when it was given out until its result came.
            rows: In the chunk.
            batch: Rows that the handler takes at once: a chunk should have a few times as many.
        """
        if size <= 0 or seconds <= 0:
            return
        latest = seconds / size
        known = self._per_byte
        self._per_byte = latest if known is None else known + _MEMORY * (latest - known)
        wanted = int(self._seconds / self._per_byte)
        self._batch = min(batch * size // rows, self._most) if rows else 0
        needed = min(_BATCHES * self._batch, self._most)
        wanted = max(needed, min(wanted, self._largest), self._smallest)
        self.size = min(wanted, self.size * _GROWTH)


@dataclass(slots=True)
class Rest:
    """How much of the input is in no chunk yet.

    Args:
        weight: Of it, as of ``Chunk.weight``; None if nobody knows.
    """

    weight: int | None
    _sizes: int = 0
    _weights: int = 0

    @property
    def size(self) -> int | None:
        """Bytes, about, as chunks are planned in; None if nobody knows."""
        if self.weight is None or not self._weights:
            return self.weight
        return max(0, self.weight) * self._sizes // self._weights

    def take(self, chunk: Chunk) -> None:
        """Note that *chunk* was planned."""
        if self.weight is not None:
            self.weight -= chunk.weight
        self._sizes += chunk.size
        self._weights += chunk.weight


@dataclass(slots=True)
class Window:
    """Holds results until it is their turn.

    Args:
        limit: Chunks that may be given out and not written.
        is_ordered: Whether results wait for those before them.
        workers: So many chunks may always be.
        most_bytes: Of all these chunks, where they are more; 0 for any.

    Attributes:
        under_way: number -> chunk, of those given out and not written.
    """

    limit: int
    is_ordered: bool
    workers: int = 1
    most_bytes: int = 0
    under_way: dict[int, Chunk] = field(default_factory=dict)
    _ready: dict[int, Result] = field(default_factory=dict)
    _is_waiting_again: bool = False

    @property
    def is_full(self) -> bool:
        """Whether no further chunk may be given out."""
        count = len(self.under_way)
        if count < self.workers or not self.most_bytes:
            return count >= self.limit
        return count >= self.limit or sum(each.size for each in self.under_way.values()) >= self.most_bytes

    @property
    def is_waiting_for_order(self) -> bool:
        """Whether results are there, and the one before them is not."""
        return self.is_ordered and bool(self._ready)

    def give_out(self, chunk: Chunk) -> None:
        """Note that *chunk* is with a worker."""
        self.under_way[chunk.number] = chunk

    def take(self, result: Result) -> Iterator[tuple[Chunk, Result]]:
        """Take *result*, and yield what may be written now, in order; it is under way no more then.

        Call ``wait_again`` for what is yielded and cannot be written yet.
        """
        self._ready[result.number] = result
        while True:
            number = next(iter(self.under_way), None) if self.is_ordered else next(iter(self._ready), None)
            if number is None or number not in self._ready:
                return
            self._is_waiting_again = False
            yield self.under_way[number], self._ready.pop(number)
            if not self._is_waiting_again:
                del self.under_way[number]

    def wait_again(self) -> None:
        """Leave the chunk that was yielded last under way, in its place in the order, without a result."""
        self._is_waiting_again = True
